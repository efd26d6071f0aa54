"""Attributes that were replaced, with what was there before."""

from __future__ import annotations

import logging
from typing import Any

__all__ = ["MISSING", "Replacements"]

MISSING = object()


class Replacements:
    """Remembers what it replaced, in order.

    Args:
        log: where it says that somebody else replaced the same attribute afterwards.
    """

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._made: list[tuple[Any, str, Any, Any]] = []

    def set(self, owner: Any, name: str, value: Any) -> None:
        """Set `owner.name`, a module's or a class's own attribute, to `value`."""
        self._made.append((owner, name, vars(owner).get(name, MISSING), value))
        setattr(owner, name, value)

    def undo(self) -> None:
        """Put everything back that nobody else has replaced since."""
        for owner, name, before, after in reversed(self._made):
            if vars(owner).get(name, MISSING) is not after:
                self._log.warning(
                    "%s.%s was replaced by something else since; it is left as it is", owner.__name__, name
                )
            elif before is MISSING:
                delattr(owner, name)
            else:
                setattr(owner, name, before)
        self._made.clear()
