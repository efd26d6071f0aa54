"""Somebody's values in messages: short, on one line, and never an exception."""

from __future__ import annotations

import reprlib

__all__ = ["MOST_CHARACTERS", "told"]

MOST_CHARACTERS = 80


def told(value: object) -> str:
    """Show somebody's value in few characters on one line; its own repr may be long, or raise."""
    try:
        if isinstance(value, (str, bytes)):
            value = value[:MOST_CHARACTERS]
        text = str(value) if isinstance(value, Exception) else reprlib.repr(value)
        return "".join(mark if mark.isprintable() else " " for mark in text[:MOST_CHARACTERS])
    except Exception:
        return f"{type(value).__name__} (its repr raises)"
