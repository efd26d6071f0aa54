"""What differs between two states, by path."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

__all__ = ["ABSENT", "Difference", "differences"]


class _Absent:
    """Stands where one side has nothing."""

    def __repr__(self) -> str:
        return "(absent)"


ABSENT = _Absent()


class Difference(NamedTuple):
    """A place where two states differ; a side that has nothing there is `ABSENT`."""

    path: str
    before: Any
    after: Any

    @property
    def kind(self) -> str:
        """`added`, `removed` or `changed`."""
        if self.before is ABSENT:
            return "added"
        return "removed" if self.after is ABSENT else "changed"


def differences(before: Any, after: Any, path: str = "") -> Iterator[Difference]:
    """Give every place where `after` is not as `before`, in order; dictionaries and sequences are gone into.

    Equal values of different types differ: 1 is not 1.0 here, and NaN is NaN.
    """
    if type(before) is type(after) and isinstance(before, Mapping):
        for key in [*before, *(key for key in after if key not in before)]:
            inner = f"{path}.{key}" if path else str(key)
            yield from differences(before.get(key, ABSENT), after.get(key, ABSENT), inner)
    elif type(before) is type(after) and isinstance(before, (list, tuple)):
        for index in range(max(len(before), len(after))):
            one = before[index] if index < len(before) else ABSENT
            other = after[index] if index < len(after) else ABSENT
            yield from differences(one, other, f"{path}[{index}]")
    elif not _same(before, after):
        yield Difference(path, before, after)


def _same(before: Any, after: Any) -> bool:
    # By what is stored: arrays have no single truth value, and NaN is not equal to itself.
    from hagane._core import Blob

    if before is ABSENT or after is ABSENT:
        return before is after
    return Blob(before).address == Blob(after).address
