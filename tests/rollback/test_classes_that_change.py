"""Registered classes whose own code makes something else of what they hold: exact, or refused where they are saved."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, RootModel, field_validator
from pydantic.dataclasses import dataclass as pydantic_dataclass

from hagane._core import Blob
from hagane.errors import SnapshotError, StoreCorrupt
from hagane.rollback import register, register_pickled, registry


@pytest.fixture(autouse=True)
def registered_here(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a test registers is forgotten after it."""
    monkeypatch.setattr(registry, "_by_class", dict(registry._by_class))
    monkeypatch.setattr(registry, "_by_name", dict(registry._by_name))
    return


class Roots(RootModel[Any]):
    pass


class Numbers(RootModel[list[int]]):
    pass


class Named(RootModel[dict[str, int]]):
    _note: int = PrivateAttr(default=0)


@pytest.mark.parametrize(
    "model", [Roots({"x": 1}), Roots({"root": {"root": 1}}), Roots(None), Numbers([1, 2]), Named({"root": 3})]
)
def test_a_root_model_is_its_root(model: RootModel[Any]) -> None:
    register(type(model))
    back = Blob({"k": [model]}).value()["k"][0]
    assert (type(back), back.root, back.model_fields_set) == (type(model), model.root, {"root"})


class Percent(BaseModel):
    p: float

    @field_validator("p")
    @classmethod
    def of_one(cls, p: float) -> float:
        return p / 100


@dataclass
class Share:
    p: float

    def __post_init__(self) -> None:
        self.p /= 100


@dataclass
class Growing:
    path: list[int]

    def __post_init__(self) -> None:
        self.path.append(0)


@dataclass
class Holder:
    inner: Any
    note: str = ""


class Parent(BaseModel):
    model_config = ConfigDict(extra="allow")
    kids: list[Any]


CHANGING = [
    (Percent(p=50), r"Percent cannot be stored: .*: p is 0\.5 and becomes 0\.005"),
    (Share(50), r"Share cannot be stored: .*: p is 0\.5 and becomes 0\.005"),
    (Growing([1]), r"Growing cannot be stored: .*: path\[2\] is \(absent\) and becomes 0"),
]


@pytest.mark.parametrize(("value", "said"), CHANGING, ids=lambda one: type(one).__name__)
def test_what_a_class_would_change_each_time_it_is_loaded_is_refused(value: Any, said: str) -> None:
    register(type(value))
    with pytest.raises(SnapshotError, match=rf"^state\.k: {said}"):
        Blob({"k": value})


@pytest.mark.parametrize(("value", "said"), CHANGING, ids=lambda one: type(one).__name__)
def test_the_path_is_that_of_the_one_that_changes_however_deep_it_is(value: Any, said: str) -> None:
    for cls in (type(value), Parent, Holder):
        register(cls)
    with pytest.raises(SnapshotError, match=rf"^state\.k\.kids\[1\]\.inner: {said}"):
        Blob({"k": Parent(kids=[Holder(1), Holder(value)])})


class Rounding:
    def __set__(self, instance: Any, value: float) -> None:
        vars(instance)["p"] = round(value)

    def __get__(self, instance: Any, owner: type) -> float:
        return 0.0 if instance is None else vars(instance)["p"]


@dataclass
class Described:
    p: float = Rounding()  # type: ignore[assignment]


@dataclass
class Initialised:
    p: float

    def __init__(self, p: float) -> None:
        self.p = round(p)


@dataclass
class Setting:
    p: float

    def __setattr__(self, name: str, value: float) -> None:
        super().__setattr__(name, round(value))


@dataclass
class Made:
    p: float

    def __new__(cls, p: float = 0) -> Made:
        made = super().__new__(cls)
        made.p = round(p)
        return made

    def __init__(self, p: float) -> None: ...


class Inherited(Share):
    pass


@pytest.mark.parametrize("cls", [Described, Initialised, Setting, Made, Inherited])
def test_whatever_code_of_a_dataclass_changes_its_fields_is_found(cls: Any) -> None:
    register(cls)
    value = cls(2)
    vars(value)["p"] = 0.7
    with pytest.raises(SnapshotError, match=r"^state\[0\]: \w+ cannot be stored: .* p is 0\.7"):
        Blob([value])


def test_what_is_saved_is_tried_on_a_copy() -> None:
    register(Growing)
    growing = Growing([1])
    with pytest.raises(SnapshotError):
        Blob(growing)
    assert growing.path == [1, 0]


def test_a_place_in_a_model_is_called_as_in_the_program() -> None:
    register(Parent)
    for held, path in ((Parent(kids=[object()]), r"kids\[0\]"), (Parent(kids=[], other=object()), "other")):
        with pytest.raises(SnapshotError, match=rf"^state\.k\.{path}: object cannot"):
            Blob({"k": held})
        with pytest.raises(SnapshotError, match=rf"^{path}: object cannot"):
            Blob(held, "")


class Loose(BaseModel):
    score: float = 0
    flag: bool = Field(default=1)  # type: ignore[assignment]


def test_a_number_of_another_type_than_the_field_says_stays_what_it_is() -> None:
    register(Loose)
    loose = Loose()
    loose.score = 3
    back = Blob(loose).value()
    assert (type(back.score), type(back.flag)) == (int, int)
    assert Blob(Loose(score=float("nan"))).value().score != 0


def test_a_value_that_validation_makes_into_another_is_refused() -> None:
    register(Loose)
    loose = Loose()
    loose.score = "3"  # type: ignore[assignment]
    with pytest.raises(SnapshotError, match=r"score is '3' and becomes 3\.0"):
        Blob(loose)


class Strict(BaseModel):
    a: int


@pytest.mark.parametrize("how", ["assigned", "constructed", "left out"])
def test_a_model_that_is_not_valid_any_more_is_refused_when_it_is_saved(how: str) -> None:
    register(Strict)
    strict = Strict(a=1)
    if how == "assigned":
        strict.a = "bad"  # type: ignore[assignment]
    else:
        strict = Strict.model_construct(a="bad") if how == "constructed" else Strict.model_construct()
    with pytest.raises(
        SnapshotError, match=r"^state\[0\]: Strict cannot be stored: 1 validation error for Strict\na\n"
    ):
        Blob([strict])


class ByName(BaseModel):
    model_config = ConfigDict(validate_by_alias=False, validate_by_name=True)
    a: int = Field(alias="A")


def test_a_model_that_is_validated_by_name_alone_is_made_by_name() -> None:
    register(ByName)
    assert Blob(ByName(a=1)).value() == ByName(a=1)


class CachedModel(BaseModel):
    a: int

    @functools.cached_property
    def double(self) -> Any:
        return [2 * self.a]


@dataclass
class CachedData:
    a: int

    @functools.cached_property
    def double(self) -> Any:
        return [2 * self.a]

    @functools.cached_property
    def another(self) -> int:
        return 1


@pytest.mark.parametrize("cls", [CachedModel, CachedData])
def test_the_value_of_a_cached_property_comes_back_with_the_rest(cls: Any) -> None:
    register(cls)
    unread, read = cls(a=1), cls(a=1)
    assert read.double == [2]
    read.a = 5
    back, never = Blob(read).value(), Blob(unread).value()
    assert (back.double, back.a) == ([2], 5)
    assert "double" not in vars(never)
    read.double.append(object())
    with pytest.raises(SnapshotError, match=r"^state\.double\[1\]: object"):
        Blob(read)


def test_what_stands_in_an_instance_and_is_no_field_is_refused() -> None:
    register(Strict)
    strict = Strict(a=1)
    vars(strict)["hidden"] = 1
    with pytest.raises(SnapshotError, match="attributes that are no fields: hidden"):
        Blob(strict)


class Base:
    __slots__ = ("__own", "other")

    def keep(self, value: int) -> None:
        self.__own = value


@dataclass
class Slotted(Base):
    a: int = 1


def test_what_stands_in_a_slot_and_is_no_field_is_refused() -> None:
    register(Slotted)
    slotted = Slotted()
    assert Blob(slotted).value() == slotted
    slotted.keep(1)
    with pytest.raises(SnapshotError, match="attributes that are no fields: _Base__own"):
        Blob(slotted)


@pytest.mark.parametrize("base", [dict, list, Exception, np.ndarray])
def test_a_class_with_content_beside_its_fields_is_not_registered(base: type[Any]) -> None:
    cls = dataclass(type("Odd", (base,), {"__annotations__": {"a": int}, "a": 1}))
    with pytest.raises(TypeError, match=f"Odd inherits from {base.__name__}, whose content is in no field"):
        register(cls)


def test_a_dataclass_of_pydantic_is_a_dataclass() -> None:
    @pydantic_dataclass
    class Checked:
        a: int

    register(Checked)
    assert Blob(Checked(a=1)).value() == Checked(a=1)
    checked = Checked(a=1)
    checked.a = "x"  # type: ignore[assignment]
    with pytest.raises(SnapshotError, match="1 validation error for Checked"):
        Blob(checked)


def test_a_class_that_lost_a_field_is_said() -> None:
    register(Holder, name="holder")
    with pytest.raises(StoreCorrupt, match="Holder has no field gone"):
        registry.put_together("holder", {"inner": 1, "gone": 2})


def test_a_class_that_changed_since_may_convert_what_it_loads() -> None:
    register(Percent, name="percent")
    content = {"fields": {"p": 50}, "extra": None, "set": {"p"}, "private": None}
    assert registry.put_together("percent", content).p == 0.5


class Unstable:
    """Its pickles differ though it is the same."""

    count = 0

    def __reduce__(self) -> tuple[Any, ...]:
        Unstable.count += 1
        return Unstable._make, (Unstable.count,)

    @staticmethod
    def _make(_: int) -> Unstable:
        return Unstable()


class Unloadable(Unstable):
    def __reduce__(self) -> tuple[Any, ...]:
        return int, ("x",)


def test_pickles_need_not_be_the_same_twice_but_must_be_loadable() -> None:
    for cls in (Unstable, Unloadable):
        register_pickled(cls, key=b"0123456789abcdef")
    register(Holder)
    register(Parent)
    assert type(Blob(Unstable()).value()) is Unstable
    back = Blob(Holder(Parent(kids=[Unstable()]))).value()
    assert type(back.inner.kids[0]) is Unstable
    with pytest.raises(SnapshotError, match=r"^state\.inner\.kids\[0\]: Unloadable cannot be stored: invalid literal"):
        Blob(Holder(Parent(kids=[Unloadable()])))


@dataclass
class Interrupting:
    a: int = field(default=0)

    def __post_init__(self) -> None:
        if self.a:
            raise KeyboardInterrupt


def test_control_c_while_a_value_is_saved_is_no_refusal() -> None:
    register(Interrupting)
    value = Interrupting()
    value.a = 1
    with pytest.raises(KeyboardInterrupt):
        Blob(value)
