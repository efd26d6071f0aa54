"""One run of one object: a tracked method that calls another of the same object is part of the same run.

`async def run(self): return await super().run()` over two tracked methods is one run. So is any other tracked method of
the object that is called within, if it counts for the same agent. A method that calls itself counts each time, and so
does whatever outlives the run it was started in.

Only the methods of a class that has several of them need to look, which costs more than the counting itself; a class is
looked at when it is made.
"""

from __future__ import annotations

from contextlib import suppress
from contextvars import ContextVar, Token
from typing import Any

from hagane.observability._meters import Meter

__all__ = ["MARK", "Nesting", "Within", "find_nesting", "is_part", "look_when_called", "nesting_of"]

MARK = "__hagane_nesting__"
"""Where a tracked function keeps its `Nesting`."""

Nesting = list[str]
"""Empty while a tracked function need not look, which is the cheapest of all questions; the same for its lifetime."""

_NOT_YET = "the class was not looked at"
_LOOK = "look"


class Within:
    """A run of `owner` that is going on; `close` when it has ended."""

    __slots__ = ("_above", "_nesting", "_token", "meter", "owner")

    def __init__(self, owner: Any, meter: Meter, nesting: Nesting) -> None:
        self.owner, self.meter, self._nesting = owner, meter, nesting
        self._above = _CURRENT.get()
        self._token: Token[Within | None] | None = None

    def close(self) -> None:
        """Forget the object: what was started within the run and outlives it is no longer part of it."""
        self.owner = _NOBODY

    def __enter__(self) -> None:
        self._token = _CURRENT.set(self)

    def __exit__(self, *_: object) -> None:
        # A generator may be closed in a context in which it never ran.
        with suppress(ValueError):
            if self._token is not None:
                _CURRENT.reset(self._token)

    def includes(self, owner: Any, meter: Meter, nesting: Nesting) -> bool:
        """Whether a call belongs to this run, or to one that this is within."""
        at: Within | None = self
        while at is not None:
            if at.owner is owner and (at.meter is meter or at.meter.agent == meter.agent):
                return at._nesting is not nesting
            at = at._above
        return False


_NOBODY = object()
_CURRENT: ContextVar[Within | None] = ContextVar("hagane_run", default=None)


def is_part(owner: Any, meter: Meter, nesting: Nesting) -> bool:
    """Whether a call of `owner`'s method is part of a run that is going on."""
    if nesting[0] is _NOT_YET:
        nesting[0] = _LOOK
        with suppress(Exception):
            find_nesting(owner if isinstance(owner, type) else type(owner))
    current = _CURRENT.get()
    return current is not None and current.includes(owner, meter, nesting)


def look_when_called(nesting: Nesting) -> None:
    """Of a function whose class is not known: it looks, and at its first call its class is looked at."""
    nesting.append(_NOT_YET)


def find_nesting(cls: type) -> None:
    """Let the tracked methods of `cls` look for each other if there are several, inherited ones included."""
    found: list[Nesting] = []
    for base in cls.__mro__[:-1]:
        for value in list(vars(base).values()):
            nesting = nesting_of(value)
            if nesting is not None and all(nesting is not other for other in found):
                found.append(nesting)
    if len(found) > 1 or (found and found[0]):
        for nesting in found:
            if not nesting:
                nesting.append(_LOOK)


def nesting_of(value: Any) -> Nesting | None:
    """The `Nesting` of a tracked function, below a class or static method or a property."""
    for attribute in ("__func__", "fget"):
        value = getattr(value, attribute, value) if isinstance(value, (classmethod, staticmethod, property)) else value
    try:
        found = vars(value).get(MARK)
    except TypeError:
        return None
    return found if isinstance(found, list) else None
