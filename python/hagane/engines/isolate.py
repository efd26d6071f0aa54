"""Copies that keep stages from changing each other's data."""

from __future__ import annotations

import copy
from collections.abc import Mapping, MutableSequence, MutableSet
from dataclasses import is_dataclass
from types import FunctionType, ModuleType
from typing import Any

from hagane import _core
from hagane.rollback.registry import is_registered

__all__ = ["copy_other", "isolate"]


# `isolate(value)` copies the containers in `value`, and what else holds data: numpy's and pandas' objects, dataclasses,
# models, classes that are registered for checkpoints. Other objects (clients, locks, functions) stay the same ones, and
# so does what refuses to be copied: better shared than lost. Raises SnapshotError, with the place, where
# `value` is nested deeper than a checkpoint can hold (100 levels) or contains itself.
isolate = _core.isolate


def copy_other(value: Any) -> Any:
    """Copy what is no dict, list, tuple or plain value, if it holds data: `isolate` asks this for each of them."""
    return _copy(value) if _is_container(value) or _is_data(value) else value


def _is_container(value: Any) -> bool:
    changeable = isinstance(value, (Mapping, MutableSequence, MutableSet, bytearray))
    return changeable or hasattr(value, "model_copy") or (is_dataclass(value) and not isinstance(value, type))


def _is_data(value: Any) -> bool:
    """Whether this is a value of a kind that can change and that a checkpoint stores, or a table."""
    kind = type(value)
    if kind.__module__.partition(".")[0] in ("numpy", "pandas"):
        return not isinstance(value, (type, FunctionType, ModuleType))
    return is_registered(kind)


def _copy(value: Any) -> Any:
    try:
        return copy.deepcopy(value)
    except Exception:
        return value
