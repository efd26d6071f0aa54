"""What a stage gives away is a copy, and what cannot be copied is refused with its place."""

from __future__ import annotations

from typing import Any

import pytest

from hagane.engines.isolate import isolate
from hagane.errors import SnapshotError


def nested(depth: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(depth):
        value = {"a": [value]}
    return value


def test_containers_are_copied_and_objects_are_kept() -> None:
    client = object()
    original = {"rows": [{"n": 1}], "pair": ([1], {2}), "client": client}
    copied = isolate(original)
    assert copied == original
    copied["rows"][0]["n"] = 2
    copied["pair"][0].append(3)
    assert original["rows"] == [{"n": 1}]
    assert original["pair"] == ([1], {2})
    assert copied["client"] is client


def test_a_value_that_contains_itself_is_refused_with_its_place() -> None:
    loop: dict[str, Any] = {"rows": []}
    loop["rows"].append(loop)
    with pytest.raises(SnapshotError, match=r"contains itself, at out\.rows\[0\]\.rows"):
        isolate({"out": loop})


def test_a_value_nested_too_deep_is_refused_and_one_just_within_is_copied() -> None:
    assert isolate(nested(40)) == nested(40)
    with pytest.raises(SnapshotError, match="nested deeper than 100 levels"):
        isolate(nested(100))
