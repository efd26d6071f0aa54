"""Copies that keep stages from changing each other's data."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, MutableSequence, MutableSet
from dataclasses import is_dataclass
from typing import Any

from hagane.errors import SnapshotError

# What cannot change and holds nothing that can: asked first, because most values are of these types.
_PLAIN = frozenset({str, int, float, bool, type(None), bytes, complex})
# Below what a snapshot can hold (128): an output is stored inside other containers.
_DEEPEST = 100


class _TooDeep(Exception):
    """Found no ground within the limit."""


def isolate(value: Any) -> Any:
    """Copy the containers in `value`; other objects (clients, arrays, functions) stay the same ones.

    A container that refuses to be copied stays the same one too: better shared than lost.

    Raises:
        SnapshotError: `value` is nested deeper than a checkpoint can hold, or contains itself; the message says where.
    """
    try:
        return _isolate(value, 0)
    except _TooDeep:
        raise SnapshotError(
            f"the value is nested deeper than {_DEEPEST} levels or contains itself, at {_deep_path(value)}; flatten it"
        ) from None


def copier_of(value: Any) -> Callable[[Any], Any]:
    """What copies `value` as `isolate` would, found once for a value that nobody changes and that is copied often."""
    kind = type(value)
    if kind in _PLAIN:
        return _same
    if kind is list and _PLAIN.issuperset(map(type, value)):
        return list.copy
    if kind is dict and _PLAIN.issuperset(map(type, value.values())):
        return dict.copy
    return isolate


def _same(value: Any) -> Any:
    return value


def _isolate(value: Any, depth: int) -> Any:
    kind = type(value)
    if kind in _PLAIN:
        return value
    if depth > _DEEPEST:
        raise _TooDeep
    if kind is dict:
        return {key: entry if type(entry) in _PLAIN else _isolate(entry, depth + 1) for key, entry in value.items()}
    if kind is list:
        return [entry if type(entry) in _PLAIN else _isolate(entry, depth + 1) for entry in value]
    if kind is tuple:
        return tuple(_isolate(entry, depth + 1) for entry in value)
    return _copy(value) if _is_container(value) else value


def _is_container(value: Any) -> bool:
    changeable = isinstance(value, (Mapping, MutableSequence, MutableSet, bytearray))
    return changeable or hasattr(value, "model_copy") or (is_dataclass(value) and not isinstance(value, type))


def _copy(value: Any) -> Any:
    try:
        return copy.deepcopy(value)
    except Exception:
        return value


def _deep_path(value: Any) -> str:
    """The first steps on the way to a place below the limit, such as `results.a[0]...`."""
    todo: list[tuple[Any, tuple[str, ...]]] = [(value, ())]
    while todo:
        place, path = todo.pop()
        if len(path) > _DEEPEST:
            return "".join(path[:6]).lstrip(".") + "..."
        if type(place) is dict:
            todo += [(entry, (*path, f".{key}")) for key, entry in place.items()]
        elif type(place) in (list, tuple):
            todo += [(entry, (*path, f"[{number}]")) for number, entry in enumerate(place)]
    return "a place that changed meanwhile"
