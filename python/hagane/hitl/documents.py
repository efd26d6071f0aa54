"""Small named values, kept per thread: what checkpointers and the approval manager are built on.

The stores of `hagane.rollback` are one implementation, Redis another, memory the one here. Every method is one
transaction; times are microseconds since 1970.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from hagane._core import Blob

__all__ = ["Document", "Documents", "MemoryDocuments", "now_micros"]


class Document(Protocol):
    """One kept value."""

    @property
    def thread_id(self) -> str:
        """Whose it is."""

    @property
    def key(self) -> str:
        """Its name in the thread."""

    @property
    def seq(self) -> int:
        """Grows with every write."""

    @property
    def at(self) -> int:
        """When it was written."""

    @property
    def blob(self) -> Blob:
        """The value."""


class Documents(Protocol):
    """Where such values are kept."""

    def put(
        self,
        collection: str,
        thread_id: str,
        key: str,
        blob: Blob,
        *,
        at: int,
        once: bool = False,
        keep: int | None = None,
    ) -> bool:
        """Insert or replace a value, which is the thread's newest then; `keep` is how many of the newest stay.

        With `once` a value that is there stays, and the answer is False.
        """

    def documents(
        self, collection: str, thread_id: str | None = None, key: str | None = None, limit: int = 100
    ) -> Sequence[Document]:
        """Return the values of a collection, newest first."""

    def remove(self, collection: str, thread_id: str | None = None, key: str | None = None) -> Sequence[Document]:
        """Remove values and return what was there."""


def now_micros() -> int:
    """Return the time as documents hold it."""
    return time.time_ns() // 1000


class _Kept(NamedTuple):
    thread_id: str
    key: str
    seq: int
    at: int
    blob: Blob


class MemoryDocuments:
    """Documents in this process's memory.

    At most `threads` threads per collection are kept: beyond, the one that was written longest ago is forgotten.
    A write costs the same however many there are.
    """

    def __init__(self, threads: int = 10_000) -> None:
        self._threads = threads
        self._lock = threading.Lock()
        self._seq = itertools.count(1)
        # Collection, thread, key: both inner dictionaries hold the newest last.
        self._kept: dict[str, dict[str, dict[str, _Kept]]] = {}
        # Collection, key: the threads that have it.
        self._homes: dict[str, dict[str, set[str]]] = {}

    def put(
        self,
        collection: str,
        thread_id: str,
        key: str,
        blob: Blob,
        *,
        at: int,
        once: bool = False,
        keep: int | None = None,
    ) -> bool:
        """Keep a value; see `Documents`."""
        with self._lock:
            threads = self._kept.setdefault(collection, {})
            kept = threads.pop(thread_id, {})
            threads[thread_id] = kept
            if once and key in kept:
                return False
            kept.pop(key, None)
            kept[key] = _Kept(thread_id, key, next(self._seq), at, blob)
            self._homes.setdefault(collection, {}).setdefault(key, set()).add(thread_id)
            while keep is not None and len(kept) > keep:
                self._forget(collection, thread_id, next(iter(kept)))
            if len(threads) > self._threads:
                oldest = next(iter(threads))
                for each in list(threads[oldest]):
                    self._forget(collection, oldest, each)
            return True

    def documents(
        self, collection: str, thread_id: str | None = None, key: str | None = None, limit: int = 100
    ) -> Sequence[Document]:
        """Return values, newest first; see `Documents`."""
        with self._lock:
            return list(self._matching(collection, thread_id, key)[:limit])

    def remove(self, collection: str, thread_id: str | None = None, key: str | None = None) -> Sequence[Document]:
        """Remove values; see `Documents`."""
        with self._lock:
            found = self._matching(collection, thread_id, key)
            for each in found:
                self._forget(collection, each.thread_id, each.key)
            return list(found)

    def _matching(self, collection: str, thread_id: str | None, key: str | None) -> list[_Kept]:
        threads = self._kept.get(collection, {})
        if key is not None:
            homes = self._homes.get(collection, {}).get(key, set())
            found = [threads[home][key] for home in homes if thread_id in (None, home)]
        elif thread_id is not None:
            found = list(threads.get(thread_id, {}).values())
        else:
            found = [each for kept in threads.values() for each in kept.values()]
        return sorted(found, key=lambda each: each.seq, reverse=True)

    def _forget(self, collection: str, thread_id: str, key: str) -> None:
        threads, homes = self._kept[collection], self._homes[collection]
        del threads[thread_id][key]
        if not threads[thread_id]:
            del threads[thread_id]
        homes[key].discard(thread_id)
        if not homes[key]:
            del homes[key]
