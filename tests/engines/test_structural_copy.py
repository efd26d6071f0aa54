"""Copies of a running pipeline's values: equal to what a snapshot would give back, and nobody else's."""

from __future__ import annotations

import gc
import weakref
from collections import OrderedDict, deque
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hagane import _core
from hagane.engines.isolate import isolate
from hagane.engines.progress import Progress
from hagane.errors import SnapshotError

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.complex_numbers(),
    TEXTS,
    st.binary(max_size=8),
    st.binary(max_size=8).map(bytearray),
    st.decimals(),
    st.uuids(),
    st.dates(),
    st.datetimes(timezones=st.sampled_from([None, timezone.utc])),
    st.timedeltas(),
    st.sampled_from([Path("a/b"), Path()]),
    st.frozensets(st.integers(), max_size=3),
    st.sets(TEXTS, max_size=3),
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=4).map(tuple),
        st.lists(inner, max_size=4).map(deque),
        st.dictionaries(TEXTS, inner, max_size=4),
        st.dictionaries(TEXTS, inner, max_size=4).map(OrderedDict),
    ),
    max_leaves=20,
)
DICTS = st.dictionaries(TEXTS, VALUES, max_size=4)


def address(value: Any) -> str:
    """Stands for the value with its types, its order and its NaNs."""
    return _core.Blob(value).address


def spoil(value: Any) -> None:
    """Change everything in `value` that can be changed."""
    if isinstance(value, dict):
        for entry in list(value.values()):
            spoil(entry)
        value["spoilt"] = True
    elif isinstance(value, (list, deque, tuple)):
        for entry in value:
            spoil(entry)
        if not isinstance(value, tuple):
            value.append("spoilt")
    elif isinstance(value, (set, bytearray)):
        value.clear()
        value.update(["spoilt"]) if isinstance(value, set) else value.extend(b"spoilt")


@given(VALUES)
def test_a_copy_is_what_a_snapshot_gives_back_and_shares_nothing_that_can_change(value: Any) -> None:
    before = address(value)
    copied = isolate(value)
    assert address(copied) == before == address(_core.Blob(value).value())
    spoil(copied)
    assert address(value) == before


@given(DICTS, st.lists(st.tuples(st.sampled_from("abc"), DICTS), max_size=5))
def test_a_stage_is_given_the_inputs_and_the_outputs_over_them(inputs: Any, outputs: list[Any]) -> None:
    progress, accepted = Progress(isolate(inputs)), {}
    for stage, output in outputs:
        progress.inputs_of("next")  # whatever is kept from the time before must not stand in the way
        accepted[stage] = output
        progress.accept(stage, isolate(output))
    expected = dict(inputs)
    for stage, output in accepted.items():
        expected[f"{stage}_result"] = output
        expected.update(output)
    expected.pop("_feedback", None)
    first = progress.inputs_of("next")
    assert address(first) == address(expected)
    spoil(first)
    assert address(progress.inputs_of("next")) == address(expected)


def test_what_is_forgotten_is_not_given_any_more() -> None:
    progress = Progress({"x": 1})
    progress.accept("a", {"x": [2], "y": 3})
    assert progress.inputs_of("b") == {"x": [2], "y": 3, "a_result": {"x": [2], "y": 3}}
    progress.forget("a")
    assert progress.inputs_of("b") == {"x": 1}
    progress.changes["b"] = {"x": [5]}
    assert progress.inputs_of("b") == {"x": [5]}
    assert progress.inputs_of("c") == {"x": 1}


@dataclass
class Point:
    x: list[int]


class Tagged(dict):  # type: ignore[type-arg]
    pass


class Refuses(dict):  # type: ignore[type-arg]
    def __deepcopy__(self, memo: Any) -> Any:
        raise RuntimeError("I am one of a kind")


def test_containers_of_other_types_keep_their_type_and_what_refuses_is_shared() -> None:
    tagged, point, refuses = Tagged(rows=[1]), Point([1]), Refuses(a=1)
    copied = isolate([tagged, point, refuses])
    assert (type(copied[0]), copied[0], copied[1], copied[2]) == (Tagged, tagged, point, refuses)
    copied[0]["rows"].append(2)
    copied[1].x.append(2)
    assert (tagged["rows"], point.x) == ([1], [1])
    assert copied[2] is refuses


def test_a_value_that_occurs_twice_is_copied_twice() -> None:
    row = [1]
    copied = isolate({"a": row, "b": [row, row]})
    copied["a"].append(2)
    copied["b"][0].append(3)
    assert copied == {"a": [1, 2], "b": [[1, 3], [1]]}


def test_what_cannot_change_is_shared() -> None:
    text, pair = "x" * 1000, ("a", ("b", 1))
    copied = isolate({"text": text, "pair": pair})
    assert copied["text"] is text
    assert copied["pair"] is pair


@pytest.mark.parametrize("make", [lambda inner: [inner], lambda inner: (inner,), lambda inner: {7: inner}])
def test_depth_is_bounded_in_every_container(make: Any) -> None:
    value: Any = "ground"
    for _ in range(101):
        value = make(value)
    assert isolate(value) == value
    with pytest.raises(SnapshotError, match="nested deeper than 100 levels"):
        isolate(make(value))


def test_keys_may_be_anything_that_a_dictionary_takes() -> None:
    moment = datetime(2026, 1, 1) - timedelta(days=1)
    keys: dict[Any, Any] = {1: [1], None: [2], (1, "a"): [3], moment: [4], UUID(int=1): [5], Decimal(1): [6]}
    assert isolate(keys) == keys
    assert Progress(dict(keys)).inputs_of("a") == keys
    assert isolate({date(2026, 1, 1): {"a": [1]}}) == {date(2026, 1, 1): {"a": [1]}}


def test_layers_that_hold_themselves_are_collected() -> None:
    class Client:
        layers: Any = None

    client = Client()
    client.layers = _core.Layers({"client": client, "rows": [client]})
    gone = weakref.ref(client)
    del client
    gc.collect()
    assert gone() is None
