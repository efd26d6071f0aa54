"""An agent's series are there at 0 once its object is, whoever writes its class, and under no other name."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, Protocol, TypeVar

import attrs
import pytest
from pydantic import BaseModel

from hagane.observability import get_metrics, metrics_tracked


def declared() -> set[str]:
    """The agents that have a series."""
    return {value.labels["agent"] for value in get_metrics().collect()["counters"]["agent_execution_total"]["series"]}


@pytest.fixture
def appeared():
    """The agents that have come since the test began."""
    before = declared()
    return lambda: declared() - before


def test_a_derived_class_that_inherits_the_method_is_declared_and_its_base_is_not(appeared):
    class ZeroBase:
        @metrics_tracked
        def run(self):
            return 1

    class ZeroDerived(ZeroBase):
        pass

    class ZeroNamed(ZeroBase):
        name = "zero-named"

    assert appeared() == {"zero-named"}
    ZeroDerived()
    ZeroNamed()
    assert appeared() == {"zero-named", "ZeroDerived"}


def test_a_derived_class_that_tracks_a_method_again_is_made_as_before_and_declared(appeared):
    class ZeroFirst:
        def __init__(self, name):
            self.name = name

        @metrics_tracked
        def run(self):
            return 1

    class ZeroSecond(ZeroFirst):
        @metrics_tracked
        def run(self):
            return 2

    class ZeroThird(ZeroSecond):
        @metrics_tracked
        def run(self):
            return 3

    assert (ZeroSecond("zero-second").name, ZeroThird("zero-third").name) == ("zero-second", "zero-third")
    assert appeared() == {"zero-second", "zero-third"}


def test_a_name_that_a_derived_class_gives_after_its_bases_init_is_the_only_one(appeared):
    class ZeroInit:
        def __init__(self):
            self.ready = True

        @metrics_tracked
        def run(self):
            return 1

    class ZeroLate(ZeroInit):
        def __init__(self, name):
            super().__init__()
            self.name = name

    assert ZeroLate("zero-late").ready
    assert appeared() == {"zero-late"}


def test_an_init_that_comes_from_a_class_of_somebody_else_still_runs_and_names_the_agent(appeared):
    class Foreign:
        def __init__(self, name: str, size: int = 3) -> None:
            self.name, self.size = name, size

    class ZeroHeir(Foreign):
        @metrics_tracked
        def run(self):
            return 1

    class Mixin:
        @metrics_tracked
        def run(self):
            return 1

    class ZeroMixed(Mixin, Foreign):
        pass

    assert (ZeroHeir("zero-heir").size, ZeroMixed("zero-mixed", size=4).size) == (3, 4)
    assert appeared() == {"zero-heir", "zero-mixed"}
    assert inspect.signature(ZeroMixed) == inspect.signature(ZeroHeir) == inspect.signature(Foreign)


def test_a_pydantic_model_is_declared_with_each_object(appeared):
    class ZeroModel(BaseModel):
        name: str
        size: int = 1

        @metrics_tracked
        async def run(self):
            return 1

    class ZeroPrivate(ZeroModel):
        extra: int = 2
        _secret: int = 3

        def model_post_init(self, context):
            self._secret = 4

    before = inspect.signature(ZeroModel)
    private = ZeroPrivate(name="zero-private")
    assert (ZeroModel(name="zero-model").size, private._secret) == (1, 4)
    assert appeared() == {"zero-model", "zero-private"}
    assert list(before.parameters) == ["name", "size"]
    assert ZeroModel.model_validate({"name": "zero-validated"}).name == "zero-validated"
    with pytest.raises(ValueError, match="name"):
        ZeroModel()


@pytest.mark.parametrize("slots", [False, True])
def test_dataclasses_and_attrs_classes_are_declared_with_each_object(appeared, slots):
    @dataclass(slots=slots)
    class ZeroData:
        name: str
        sizes: list[int] = field(default_factory=list)

        @metrics_tracked
        def run(self):
            return 1

    @dataclass
    class ZeroMore(ZeroData):
        more: int = 0
        seen: bool = False

        def __post_init__(self):
            self.seen = True

    @attrs.define(slots=slots)
    class ZeroAttrs:
        name: str
        size: int = attrs.field(default=2)

        @metrics_tracked
        def run(self):
            return 1

    ZeroData(f"zero-data-{slots}")
    assert ZeroMore(f"zero-more-{slots}", more=2).seen
    assert ZeroAttrs(f"zero-attrs-{slots}").size == 2
    assert appeared() == {f"zero-{kind}-{slots}" for kind in ("data", "more", "attrs")}


def test_a_class_whose_init_nobody_writes_is_declared_by_its_name(appeared):
    class ZeroAnnotated:
        retries: int = 3

        @metrics_tracked
        def run(self):
            return 1

    assert appeared() == {"ZeroAnnotated"}
    assert ZeroAnnotated().run() == 1


def test_a_named_tuple_keeps_nothing_of_it_once_it_has_run(appeared):
    class ZeroTuple(NamedTuple):
        size: int

        @metrics_tracked
        def run(self):
            return self.size

    assert ZeroTuple(3).run() == 3
    assert appeared() == {"ZeroTuple"}
    assert not [name for name in vars(ZeroTuple) if "hagane" in name]


def test_no_class_comes_out_other_than_it_was():
    class Plain:
        @metrics_tracked
        def run(self):
            return 1

    class WithNew:
        def __new__(cls, size):
            made = super().__new__(cls)
            made.size = size
            return made

        @metrics_tracked
        def run(self):
            return 1

    class Shape(Protocol):
        @metrics_tracked
        def run(self): ...

    class Of(Shape):
        pass

    T = TypeVar("T")

    class Box(Generic[T]):
        @metrics_tracked
        def run(self):
            return 1

    class Text(str):
        @metrics_tracked
        def run(self):
            return 1

    assert str(inspect.signature(Plain)) == "()"
    with pytest.raises(TypeError, match=r"Plain\(\) takes no arguments"):
        Plain(1)
    with pytest.raises(TypeError, match="Protocols cannot be instantiated"):
        Shape()
    assert (WithNew(5).size, Of().run(), Box[int]().run(), Text("text")) == (5, None, 1, "text")


def test_a_hook_of_the_class_itself_for_its_derived_classes_still_runs():
    seen = []

    class Hooked:
        def __init_subclass__(cls, **kwargs):
            seen.append((cls.__name__, kwargs))

        @metrics_tracked
        def run(self):
            return 1

    class HookedDerived(Hooked, flavour="x"):
        pass

    class Registry:
        def __init_subclass__(cls, **kwargs):
            seen.append(cls.__name__)

    class Registered(Registry):
        @metrics_tracked
        def run(self):
            return 1

    class RegisteredDerived(Registered):
        pass

    assert seen == [("HookedDerived", {"flavour": "x"}), "Registered", "RegisteredDerived"]


def test_objects_that_cannot_be_declared_are_made_all_the_same(appeared):
    class ZeroBroken:
        @property
        def name(self):
            raise RuntimeError("not ready")

        @metrics_tracked
        def run(self):
            return 1

    assert ZeroBroken().run() == 1
    assert appeared() == {"ZeroBroken"}
