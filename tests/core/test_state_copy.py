"""Copies of a state: what they share with it (nothing) and what they cannot copy."""

from __future__ import annotations

import collections
import dataclasses
import logging
import threading
from typing import Any

import numpy as np
import pydantic
import pytest

from hagane.core.state_copy import StateCopy
from hagane.rollback import register


class Plain:
    def __init__(self, **attributes):
        self.__dict__.update(attributes)


@pytest.mark.parametrize(
    "state",
    [
        {"a": [1, {"b": (2, {3})}]},
        {"counter": collections.Counter("aab"), "items": [[]]},
        {1: "keys need not be text", "nested": [{2: [3]}]},
    ],
)
def test_a_copy_is_equal_and_of_the_same_types(state):
    restored = StateCopy(state).restore()
    assert restored == state
    assert [type(each) for each in restored.values()] == [type(each) for each in state.values()]


class Anything(pydantic.RootModel[Any]):
    pass


@dataclasses.dataclass
class Share:
    p: float

    def __post_init__(self):
        self.p /= 100


def test_what_a_snapshot_would_change_or_lose_is_kept_as_it_is():
    for cls in (Anything, Share):
        register(cls)
    for value in (Anything({"x": 1}), np.array(["", "a"])[0], np.str_("a\0"), Share(50)):
        restored = StateCopy({"value": value}).restore()["value"]
        assert (type(restored), restored) == (type(value), value)


def test_neither_the_original_nor_a_restored_copy_reaches_the_kept_state():
    state = {"items": [[1]], "object": Plain(items=[1])}
    kept = StateCopy(state)
    state["items"][0].append(2)
    state["object"].items.append(2)
    kept.restore()["items"][0].append(3)
    kept.restore()["object"].items.append(3)
    assert (kept.restore()["items"], kept.restore()["object"].items) == ([[1]], [1])


def test_what_cannot_be_copied_is_shared_and_what_is_around_it_is_not(caplog):
    lock = threading.Lock()
    state = {"lock": lock, "client": Plain(lock=lock, history=[1]), "list": [lock, [1]], "pair": (lock, [1])}
    with caplog.at_level(logging.WARNING, "hagane.core"):
        kept = StateCopy(state)
    state["client"].history.append(2)
    state["list"][1].append(2)
    state["pair"][1].append(2)
    restored = kept.restore()
    assert restored["lock"] is restored["client"].lock is restored["list"][0] is restored["pair"][0] is lock
    assert (restored["client"].history, restored["list"][1], restored["pair"][1]) == ([1], [1], [1])
    assert [record.getMessage().split(",")[0] for record in caplog.records] == ["state.lock"]


def test_a_state_that_contains_itself_is_copied_as_such():
    state = {"items": [threading.Lock()]}
    state["itself"] = state
    state["items"].append(state["items"])
    restored = StateCopy(state).restore()
    assert restored is not state
    assert restored["itself"] is restored
    assert restored["items"][1] is restored["items"]
