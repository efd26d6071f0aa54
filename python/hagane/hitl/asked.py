"""What makes two calls of `interrupt()` the same question: an answer is given to the question it was given for only."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any

from hagane import _core

__all__ = ["asked_of"]

PARTS = ("action", "reason", "resource_id", "resource_type", "context")


def asked_of(payload: Any, asker: str | None = None) -> str:
    """Stand for what `payload` asks and who asks it: the kind, the words, the options, the resource and the context.

    Ids, times, priority and metadata do not count: they differ from attempt to attempt. `payload` may be anything that
    has the fields of an `InterruptPayload`, or lacks them.
    """
    request = getattr(payload, "request", None)
    shown = [getattr(payload, name, None) for name in ("interrupt_type", "prompt", "options", "node_id")]
    asked = [asker, *shown, *(getattr(request, part, None) for part in PARTS)]
    return _core.fingerprint([json.dumps(_plain(asked), ensure_ascii=True)])


def _plain(value: Any) -> Any:
    """Lay a value out so that equal ones are written alike, in any process: dicts and sets have no order."""
    if isinstance(value, Enum):
        return _plain(value.value)
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if hasattr(value, "model_dump"):
        value = value.model_dump()
    elif is_dataclass(value) and not isinstance(value, type):
        value = {field.name: getattr(value, field.name) for field in fields(value)}
    if isinstance(value, Mapping):
        return ["dict", *sorted(([str(key), _plain(entry)] for key, entry in value.items()), key=json.dumps)]
    if isinstance(value, (set, frozenset)):
        return ["set", *sorted(map(_plain, value), key=json.dumps)]
    if isinstance(value, (list, tuple)):
        return [_plain(entry) for entry in value]
    return [type(value).__name__, str(value)]
