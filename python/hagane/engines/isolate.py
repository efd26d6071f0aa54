"""Copies that keep stages from changing each other's data."""

from __future__ import annotations

import copy
from collections.abc import Mapping, MutableSequence, MutableSet
from dataclasses import is_dataclass
from typing import Any

from hagane import _core

__all__ = ["copy_other", "isolate"]


# `isolate(value)` copies the containers in `value`; other objects (clients, arrays, functions) stay the same ones, and
# so does a container that refuses to be copied: better shared than lost. Raises SnapshotError, with the place, where
# `value` is nested deeper than a checkpoint can hold (100 levels) or contains itself.
isolate = _core.isolate


def copy_other(value: Any) -> Any:
    """Copy what is no dict, list, tuple or plain value, if it is a container: `isolate` asks this for each of them."""
    return _copy(value) if _is_container(value) else value


def _is_container(value: Any) -> bool:
    changeable = isinstance(value, (Mapping, MutableSequence, MutableSet, bytearray))
    return changeable or hasattr(value, "model_copy") or (is_dataclass(value) and not isinstance(value, type))


def _copy(value: Any) -> Any:
    try:
        return copy.deepcopy(value)
    except Exception:
        return value
