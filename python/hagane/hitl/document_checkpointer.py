"""The one checkpointer behind all of ours: they differ in where their documents are kept."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from enum import Enum
from typing import Any, ParamSpec, TypeVar

from hagane._core import Blob
from hagane.core.model import utc_now
from hagane.errors import CheckpointError
from hagane.hitl.documents import Document, Documents, now_micros
from hagane.hitl.interface import CheckpointData, Checkpointer
from hagane.observability import standard

__all__ = ["DEFAULT_KEEP", "DocumentCheckpointer"]

DEFAULT_KEEP = 50
# An answer, and that it was delivered.
MARKS_PER_CHECKPOINT = 2

P = ParamSpec("P")
T = TypeVar("T")


class DocumentCheckpointer(Checkpointer):
    """Checkpoints as encoded snapshots: nothing that the caller changes later reaches them, and types stay exact.

    Args:
        documents: Where they are kept; None for those that connect later.
        keep: How many checkpoints of a thread stay, the newest; at least 1.
        kind: The store's name in the metrics.
        blocks: Whether a call may wait for a disk or a server; it then runs in a thread.
        namespace: What the names of its collections begin with.

    Every method raises `StoreError` if the store fails; `save` raises `SnapshotError` with the path of a value that
    cannot be stored without loss, and `CheckpointError` for an id that belongs to another thread.
    """

    def __init__(
        self,
        documents: Documents | None,
        *,
        keep: int = DEFAULT_KEEP,
        kind: str,
        blocks: bool = True,
        namespace: str = "hitl",
    ) -> None:
        if keep < 1:
            raise ValueError(f"keep is {keep}; at least the newest checkpoint of a thread must stay")
        self._documents: Documents | None = documents
        self._keep = keep
        self._kind = kind
        self._blocks = blocks
        self._checkpoints = f"{namespace}.checkpoint"
        self._marks = f"{namespace}.mark"
        standard.declare_store(kind)

    async def save(self, data: CheckpointData) -> str:
        """Keep a snapshot of `data`, with `updated_at` now, as the thread's newest; `data` stays as it is."""
        began = time.monotonic()
        blob = Blob(self._fields(data), f"checkpoint {data.checkpoint_id}")
        store = await self._store()
        size = await self._call(self._save, store, data.thread_id, data.checkpoint_id, blob)
        standard.checkpoint_saved(self._kind, size, time.monotonic() - began)
        return data.checkpoint_id

    async def load(self, checkpoint_id: str) -> CheckpointData | None:
        """Return a fresh copy of a checkpoint, None if there is none of that id."""
        store = await self._store()
        found = await self._call(store.documents, self._checkpoints, key=checkpoint_id, limit=2)
        if len(found) > 1:
            raise _not_its_own(checkpoint_id, found[0].thread_id)
        return self._restored(found[0]) if found else None

    async def load_latest(self, thread_id: str) -> CheckpointData | None:
        """Return a fresh copy of what was saved last for this thread."""
        store = await self._store()
        found = await self._call(store.documents, self._checkpoints, thread_id, limit=1)
        return self._restored(found[0]) if found else None

    async def delete(self, checkpoint_id: str) -> bool:
        """Remove a checkpoint; False if there was none of that id."""
        store = await self._store()
        return bool(await self._call(store.remove, self._checkpoints, key=checkpoint_id))

    async def list_by_thread(self, thread_id: str) -> list[CheckpointData]:
        """Return fresh copies of the thread's checkpoints, the last saved first."""
        store = await self._store()
        found = await self._call(store.documents, self._checkpoints, thread_id, limit=self._keep)
        return [self._restored(each) for each in found]

    async def put_mark(self, thread_id: str, name: str, value: dict[str, Any]) -> bool:
        """Write a fact of a thread unless it is there; tell whether it was written. Atomic."""
        store, keep = await self._store(), MARKS_PER_CHECKPOINT * self._keep
        blob = Blob(value, name)
        return await self._call(store.put, self._marks, thread_id, name, blob, at=now_micros(), once=True, keep=keep)

    async def get_mark(self, thread_id: str, name: str) -> dict[str, Any] | None:
        """Return a fact of a thread, None if it is not there."""
        store = await self._store()
        found = await self._call(store.documents, self._marks, thread_id, name, 1)
        return found[0].blob.value() if found else None

    async def _store(self) -> Documents:
        """Return where the documents are; those that live on a server connect here."""
        if self._documents is None:
            raise CheckpointError(f"{type(self).__name__} is closed; make a new one")
        return self._documents

    async def _call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await asyncio.to_thread(function, *args, **kwargs) if self._blocks else function(*args, **kwargs)

    def _save(self, store: Documents, thread_id: str, checkpoint_id: str, blob: Blob) -> int:
        for other in store.documents(self._checkpoints, key=checkpoint_id, limit=2):
            if other.thread_id != thread_id:
                raise _not_its_own(checkpoint_id, other.thread_id)
        store.put(self._checkpoints, thread_id, checkpoint_id, blob, at=now_micros(), keep=self._keep)
        return blob.size

    def _fields(self, data: CheckpointData) -> dict[str, Any]:
        fields = {name: getattr(data, name) for name in type(data).model_fields}
        if payload := fields["interrupt_payload"]:
            # A payload's dump holds its kind as a member of an enum, AgentFlow's or ours.
            known = {key: value.value if isinstance(value, Enum) else value for key, value in payload.items()}
            fields["interrupt_payload"] = known
        return {**fields, "updated_at": utc_now()}

    def _restored(self, document: Document) -> CheckpointData:
        return CheckpointData(**document.blob.value())


def _not_its_own(checkpoint_id: str, thread_id: str) -> CheckpointError:
    return CheckpointError(
        f"checkpoint id {checkpoint_id!r} belongs to thread {thread_id!r}; give every checkpoint an id of its own"
    )
