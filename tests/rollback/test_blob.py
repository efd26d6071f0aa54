from __future__ import annotations

import enum
import math
import zoneinfo
from collections import OrderedDict, deque
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from pathlib import Path, PurePosixPath
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hagane._core import Blob
from hagane.errors import SnapshotError
from hagane.rollback import register

TOKYO = ZoneInfo("Asia/Tokyo")
names = st.characters(codec="utf-8")
zones = st.sampled_from([None, timezone.utc, timezone(timedelta(hours=-9, minutes=-30)), TOKYO])
leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.complex_numbers(allow_nan=False),
    st.text(names),
    st.binary(),
    st.dates(),
    st.datetimes(timezones=zones),
    st.times(timezones=st.sampled_from([None, timezone.utc])),
    st.timedeltas(),
    st.decimals(allow_nan=False),
    st.uuids(),
    st.sampled_from([Path("/etc/passwd"), Path("relative")]),
)
hashable = st.one_of(leaves, st.tuples(leaves, leaves))
values = st.recursive(
    st.one_of(leaves, st.binary().map(bytearray), st.sets(hashable), st.frozensets(hashable)),
    lambda inner: st.one_of(
        st.lists(inner),
        st.lists(inner).map(deque),
        st.dictionaries(st.text(names), inner),
        st.dictionaries(st.text(names), inner).map(OrderedDict),
        st.tuples(inner),
        st.tuples(inner, inner),
    ),
    max_leaves=30,
)


def same(one: Any, other: Any) -> bool:
    """Equal, and of equal types all the way down."""
    if type(one) is not type(other) or one != other:
        return False
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple, deque)):
        return all(map(same, one, other))
    return repr(one) == repr(other) or isinstance(one, (set, frozenset))


@settings(max_examples=300, deadline=None)
@given(values)
def test_a_value_comes_back_exactly(value: Any) -> None:
    assert same(Blob(value).value(), value)


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf, -0.0])
def test_special_floats_keep_their_kind(number: float) -> None:
    assert repr(Blob(number).value()) == repr(number)


def test_named_zones_and_folds_are_kept() -> None:
    named = timezone(timedelta(hours=9), "JST")
    for moment in (datetime(2024, 1, 1, tzinfo=named), time(1, 2, 3, 4, tzinfo=named), time(1, fold=1)):
        assert repr(Blob(moment).value()) == repr(moment)
    twice = datetime(2024, 11, 3, 1, 30, tzinfo=ZoneInfo("America/New_York"), fold=1)
    back = Blob(twice).value()
    assert (back.fold, back.utcoffset(), back.tzinfo) == (1, twice.utcoffset(), twice.tzinfo)


@pytest.mark.parametrize("number", [Decimal("NaN"), Decimal("-0.10"), Decimal("1E+9"), Decimal("-Infinity")])
def test_decimals_keep_their_digits(number: Decimal) -> None:
    assert repr(Blob(number).value()) == repr(number)


class Foo:
    pass


class Word(str):
    __slots__ = ()


class Colour(enum.IntEnum):
    RED = 1


class Elsewhere(tzinfo):
    pass


class Moment(datetime):
    pass


@pytest.mark.parametrize(
    "refused",
    [
        Foo(),
        Foo,
        len,
        Word("x"),
        Colour.RED,
        range(3),
        iter([]),
        PurePosixPath("x"),
        Moment(2024, 1, 1),
        datetime(2024, 1, 1, tzinfo=Elsewhere()),
        "\ud800",
        {1: "x"},
        {Word("x"): 1},
        ...,
    ],
)
def test_what_cannot_come_back_exactly_is_refused(refused: Any) -> None:
    with pytest.raises(SnapshotError):
        Blob(refused)


def test_a_refusal_names_the_place_and_the_type() -> None:
    with pytest.raises(SnapshotError, match=r"^results\.a\[3\]\.x: Foo cannot be stored"):
        Blob({"a": [0, 1, 2, {"x": Foo()}]}, "results")
    with pytest.raises(SnapshotError, match=r"^state\.m: key 3 is int; keys must be str"):
        Blob({"m": {3: 1}})
    with pytest.raises(SnapshotError, match=r"^state\[0\]\{\}: Foo"):
        Blob([{Foo()}])


def test_a_zone_that_was_read_from_a_file_is_not_taken_for_the_one_of_its_name() -> None:
    whole = next(path for path in map(Path, zoneinfo.TZPATH) if (path / "Asia" / "Tokyo").exists())
    with (whole / "Asia" / "Tokyo").open("rb") as file:
        berlin = ZoneInfo.from_file(file, key="Europe/Berlin")
    with pytest.raises(SnapshotError, match=r"^state\[0\]: time zone Europe/Berlin was read from a file"):
        Blob([datetime(2024, 1, 1, tzinfo=berlin)])
    fresh = datetime(2024, 1, 1, tzinfo=ZoneInfo.no_cache("Europe/Berlin"))
    assert Blob(fresh).value().utcoffset() == fresh.utcoffset()


def test_a_value_that_contains_itself_is_refused() -> None:
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(SnapshotError, match="contains itself"):
        Blob(loop)


@register
@dataclass
class Wrapped:
    items: Any


@pytest.mark.parametrize("into", [list, tuple, deque, OrderedDict, dict, frozenset, Wrapped])
def test_the_deepest_that_can_be_stored_can_be_read(into: Any) -> None:
    deep: Any = 1
    # An object takes two levels, here with a list in it.
    for _ in range(20 if into is Wrapped else 62):
        deep = into({"a": deep} if issubclass(into, dict) else [deep])
    assert Blob(deep).value() == deep


def test_what_could_not_be_read_again_is_refused_for_its_depth() -> None:
    deep: Any = 1
    for _ in range(70):
        deep = (deep,)
    with pytest.raises(SnapshotError, match=r"state(\[0\])+: nested deeper than 62 levels"):
        Blob(deep)


class Growing:
    """Registered so that storing it runs code, which changes the container that holds it."""


def test_a_container_that_changes_while_it_is_stored_is_refused() -> None:
    from hagane.rollback import registry

    def grow(_: Any) -> None:
        for container in holders:
            if isinstance(container, dict):
                container[str(len(container))] = 1
            elif isinstance(container, list):
                container.append(1)

    registry._by_class[Growing] = registry._Entry("growing", grow, lambda _: None, registry.EXACT)
    try:
        for holders in ([{"a": Growing(), "b": 1}], [[Growing(), 1]]):
            with pytest.raises(SnapshotError, match="changed its length"):
                Blob(holders[0])
    finally:
        del registry._by_class[Growing]


def test_a_blob_is_a_copy_and_gives_copies() -> None:
    value = {"list": [1]}
    blob = Blob(value)
    value["list"].append(2)
    blob.value()["list"].append(3)
    assert blob.value() == {"list": [1]}


def test_equal_content_has_one_address() -> None:
    assert Blob({"a": {1, 2}}).address == Blob({"a": {2, 1}}).address
    assert Blob(1).address != Blob(1.0).address
    assert len(Blob(None).address) == 64


def test_types_are_not_mixed_up() -> None:
    mixed = [1, 1.0, True, "1", b"1", Decimal(1), (1,), {"1"}, date(2024, 1, 1), UUID(int=1)]
    assert [type(one) for one in Blob(mixed).value()] == [type(one) for one in mixed]


def test_what_is_too_large_for_one_key_is_refused() -> None:
    with pytest.raises(SnapshotError, match="store a path or a reference"):
        Blob(b"\0" * ((64 << 20) + 1))


def test_more_values_than_a_blob_takes_are_refused() -> None:
    with pytest.raises(SnapshotError, match="8388609 values are more than a snapshot takes"):
        Blob([None] * (8 << 20))


def test_the_bytes_of_a_sets_texts_are_no_values() -> None:
    assert Blob({"x" * (9 << 20)}).value() == {"x" * (9 << 20)}
