"""Copies of a program's state that nothing outside can change.

What the snapshot encoder knows is encoded, which is also the faster way; two places that shared one list have one each
afterwards. Anything else is copied as `copy.deepcopy` does, save what cannot be copied at all (locks, sockets, open
files, clients): that is shared, by the copies too, and said in the log.
"""

from __future__ import annotations

import copy
import logging
from typing import Any

from hagane._core import Blob
from hagane.errors import SnapshotError

__all__ = ["StateCopy"]

logger = logging.getLogger("hagane.core")


class StateCopy:
    """One state, as it was. `restore` gives a fresh copy each time."""

    __slots__ = ("_kept",)

    def __init__(self, state: Any) -> None:
        self._kept: Any
        try:
            self._kept = Blob(state)
        except SnapshotError:
            self._kept = _Copier(logging.WARNING).copied(state, "state")

    def restore(self) -> Any:
        """Return a copy of the state that the caller may change."""
        return (
            self._kept.value() if isinstance(self._kept, Blob) else _Copier(logging.DEBUG).copied(self._kept, "state")
        )


class _Copier:
    """Copies as deeply as can be; what holds something uncopyable is copied around it."""

    def __init__(self, level: int) -> None:
        self._level = level
        # By identity, as for `copy.deepcopy`: what was copied already, so that cycles end and sharing stays.
        self._memo: dict[int, Any] = {}

    def copied(self, value: Any, path: str) -> Any:
        if id(value) in self._memo:
            return self._memo[id(value)]
        if type(value) is dict:
            copied: Any = self._memo.setdefault(id(value), {})
            copied.update({key: self.copied(each, f"{path}.{key}") for key, each in value.items()})
            return copied
        if type(value) is list:
            copied = self._memo.setdefault(id(value), [])
            copied.extend(self.copied(each, f"{path}[{index}]") for index, each in enumerate(value))
            return copied
        if type(value) in (tuple, set, frozenset):
            return type(value)(self.copied(each, f"{path}[*]") for each in value)
        return self._object(value, path)

    def _object(self, value: Any, path: str) -> Any:
        trial = dict(self._memo)
        try:
            copied = copy.deepcopy(value, trial)
        except Exception as error:
            return self._around(value, path, error)
        self._memo = trial
        return copied

    def _around(self, value: Any, path: str, error: Exception) -> Any:
        """Copy a plain object attribute by attribute; share what is not one."""
        attributes = getattr(value, "__dict__", None)
        ordinary = "__reduce_ex__" not in {name for kind in type(value).__mro__[:-1] for name in vars(kind)}
        if not attributes or not ordinary or isinstance(value, type):
            logger.log(self._level, "%s, a %s, cannot be copied and is shared (%s)", path, type(value), error)
            self._memo[id(value)] = value
            return value
        copied = object.__new__(type(value))
        self._memo[id(value)] = copied
        copied.__dict__.update({name: self.copied(each, f"{path}.{name}") for name, each in attributes.items()})
        return copied
