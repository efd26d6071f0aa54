"""Copies that keep stages from changing each other's data."""

from __future__ import annotations

import copy
from collections.abc import Mapping, MutableSequence, MutableSet
from dataclasses import is_dataclass
from typing import Any


def isolate(value: Any) -> Any:
    """Copy the containers in `value`, however deep; other objects (clients, arrays, functions) stay the same ones.

    A container that refuses to be copied stays the same one too: better shared than lost.
    """
    kind = type(value)
    if kind is dict:
        return {key: isolate(entry) for key, entry in value.items()}
    if kind is list:
        return [isolate(entry) for entry in value]
    if kind is tuple:
        return tuple(isolate(entry) for entry in value)
    return _copy(value) if _is_container(value) else value


def _is_container(value: Any) -> bool:
    changeable = isinstance(value, (Mapping, MutableSequence, MutableSet, bytearray))
    return changeable or hasattr(value, "model_copy") or (is_dataclass(value) and not isinstance(value, type))


def _copy(value: Any) -> Any:
    try:
        return copy.deepcopy(value)
    except Exception:
        return value
