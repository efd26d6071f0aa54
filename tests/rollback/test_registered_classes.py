"""Classes of the program in snapshots: made anew by the class itself, never by a stored name."""

from __future__ import annotations

import pickle
from dataclasses import InitVar, dataclass
from typing import Any

import pytest
from registered_types import Answer, Colour, Frozen, Point

from hagane._core import Blob
from hagane.errors import CheckpointError, SnapshotError, StoreCorrupt
from hagane.rollback import register, register_pickled
from hagane.rollback.registry import put_together, registered_classes

KEY = b"0123456789abcdef0123456789abcdef"


def test_a_model_keeps_what_was_set_and_what_is_private() -> None:
    answer = Answer(text="x", more=[1])
    answer._seen = 3
    back = Blob(answer).value()
    assert back == answer
    assert (back.model_fields_set, back._seen, back.model_extra) == ({"text", "more"}, 3, {"more": [1]})
    back.tags.append(1)
    assert answer.tags == []


def test_a_model_is_validated_again_on_load() -> None:
    content = {"fields": {"text": "x", "score": -1}, "extra": None, "set": set(), "private": None}
    with pytest.raises(StoreCorrupt, match="a score is not below 0"):
        put_together("registered_types.Answer", content)


def test_a_field_that_the_class_lost_is_said() -> None:
    content = {"fields": {"gone": 1}, "extra": None, "set": set(), "private": None}
    with pytest.raises(StoreCorrupt, match="no field gone"):
        put_together("registered_types.Answer", content)
    with pytest.raises(StoreCorrupt, match="does not fit class Point"):
        put_together("point", {"x": 1})
    with pytest.raises(StoreCorrupt, match="does not fit class Colour"):
        put_together("registered_types.Colour", "GREEN")


def test_enum_members_are_the_members() -> None:
    assert Blob(Colour.BLUE).value() is Colour.BLUE


def test_a_dataclass_is_made_by_its_constructor() -> None:
    point = Point(1, [])
    point.length = 7
    assert Blob(point).value() == point
    assert Blob(Frozen((1, 2))).value().double == 6


def test_what_a_dataclass_holds_beside_its_fields_is_refused() -> None:
    point = Point(1, [])
    point.extra = 1  # type: ignore[attr-defined]
    with pytest.raises(
        SnapshotError, match=r"state: Point cannot be stored: it has attributes that are no fields: extra"
    ):
        Blob(point)


def test_a_field_that_cannot_be_stored_is_named() -> None:
    with pytest.raises(SnapshotError, match=r"^state\.x\.path\[0\]: object"):
        Blob({"x": Point(1, [object()])})  # type: ignore[list-item]


def test_a_name_that_nobody_registered_is_not_imported() -> None:
    with pytest.raises(CheckpointError, match=r"'os\.system', which this program has not registered"):
        put_together("os.system", {})


def test_names_are_not_taken_twice() -> None:
    class Other:
        pass

    register(Point, name="point")
    assert registered_classes()["point"] is Point
    with pytest.raises(ValueError, match=r"'point' belongs to registered_types\.Point"):
        register(dataclass(Other), name="point")
    with pytest.raises(ValueError, match="names that begin with 'numpy' are taken"):
        register(dataclass(Other), name="numpy.x")


def test_what_cannot_be_made_anew_is_not_registered() -> None:
    @dataclass
    class WithInitVar:
        seed: InitVar[int]

    class Plain:
        pass

    with pytest.raises(TypeError, match="InitVar"):
        register(WithInitVar)
    with pytest.raises(TypeError, match="no Enum, dataclass or Pydantic model"):
        register(Plain)
    with pytest.raises(TypeError, match="not an instance"):
        register(Point(1, []))  # type: ignore[call-overload]


class Odd:
    """Only a pickle fits it."""

    def __init__(self, x: int) -> None:
        self.x = x

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Odd) and other.x == self.x

    __hash__ = None  # type: ignore[assignment]


def test_a_class_is_pickled_only_if_it_opted_in() -> None:
    with pytest.raises(SnapshotError, match="register its class"):
        Blob(Odd(1))
    with pytest.raises(ValueError, match="16 are the least"):
        register_pickled(Odd, key=b"short", name="odd")
    register_pickled(Odd, key=KEY, name="odd")
    assert Blob(Odd(2)).value() == Odd(2)


class Bomb:
    def __reduce__(self) -> tuple[Any, ...]:
        return pytest.fail, ("a pickle without a seal was read",)


def test_a_pickle_without_its_seal_is_not_read() -> None:
    register_pickled(Odd, key=KEY, name="odd")
    for seal in (b"", b"\0" * 32):
        with pytest.raises(StoreCorrupt, match="does not carry the seal"):
            put_together("odd", [seal, pickle.dumps(Bomb())])


def test_a_pickle_is_good_for_its_class_alone() -> None:
    register_pickled(Odd, key=KEY, name="odd")
    from hagane.rollback import pickled
    from hagane.rollback.registry import take_apart

    taken = take_apart(Odd(1))
    assert taken is not None
    _, make = pickled.parts(Point, KEY)
    with pytest.raises(StoreCorrupt, match="seal"):
        make(taken[1])


@pytest.mark.parametrize(
    "content",
    [
        ["object", [1], "C", b"\0" * 8],
        ["<i8", [2], "C", b"\0" * 8],
        ["nonsense", [1], "C", b""],
        [],
        ["<i8", [-1, -1], "C", b"\0" * 8],
    ],
)
def test_forged_numpy_data_is_damage(content: list[Any]) -> None:
    with pytest.raises(StoreCorrupt, match="no numpy data"):
        put_together("numpy.ndarray", content)


@pytest.mark.parametrize(
    ("content", "expected"), [(["<U0", b"\0" * 4], ""), (["|S0", b"\0"], b""), ([">U1", b"\0\0\0a"], "a")]
)
def test_numpy_text_that_was_stored_with_a_nul_too_many_can_be_loaded(content: list[Any], expected: Any) -> None:
    assert put_together("numpy.scalar", content) == expected
