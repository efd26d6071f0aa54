"""A LangGraph checkpoint saver over a store's documents: thin, to put a store under LangGraph's own tests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

from langgraph.checkpoint.base import (
    WRITES_IDX_MAP,
    BaseCheckpointSaver,
    CheckpointTuple,
    get_checkpoint_metadata,
)

from hagane._core import Blob, Document
from hagane.rollback import Store

STATES, WRITES, ALL = "langgraph.checkpoints", "langgraph.writes", 2**32 - 1
MARK = "\x1f"


class StoreSaver(BaseCheckpointSaver[int]):
    """Every checkpoint and every pending write is a document of its thread."""

    def __init__(self, store: Store) -> None:
        super().__init__()
        self._store = store

    def put(self, config: Any, checkpoint: Any, metadata: Any, new_versions: Any) -> Any:
        named, parent = config["configurable"], config["configurable"].get("checkpoint_id")
        body = {
            "checkpoint": _plain(checkpoint),
            "metadata": _plain(get_checkpoint_metadata(config, metadata)),
            "parent": parent,
        }
        thread, space = named["thread_id"], named.get("checkpoint_ns", "")
        self._put(STATES, thread, (space, checkpoint["id"]), body)
        return _config(thread, space, checkpoint["id"])

    def put_writes(self, config: Any, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = "") -> None:
        named = config["configurable"]
        place = (named.get("checkpoint_ns", ""), named["checkpoint_id"], task_id)
        for index, (channel, value) in enumerate(writes):
            number = WRITES_IDX_MAP.get(channel, index)
            body = [task_id, channel, value, task_path, number]
            self._put(WRITES, named["thread_id"], (*place, str(number)), body, once=number >= 0)

    def get_tuple(self, config: Any) -> CheckpointTuple | None:
        named = config["configurable"]
        found = self._find(named["thread_id"], named.get("checkpoint_ns", ""), named.get("checkpoint_id"))
        return self._tuple(found[0]) if found else None

    async def alist(
        self,
        config: Any,
        *,
        filter: dict[str, Any] | None = None,  # noqa: A002
        before: Any = None,
        limit: int | None = None,
    ) -> AsyncIterator[CheckpointTuple]:
        named = config["configurable"] if config else {}
        found = self._find(named.get("thread_id"), named.get("checkpoint_ns"), named.get("checkpoint_id"))
        for document in found:
            one = self._tuple(document)
            if before and one.config["configurable"]["checkpoint_id"] >= before["configurable"]["checkpoint_id"]:
                continue
            if filter and any(one.metadata.get(key) != value for key, value in filter.items()):
                continue
            if limit is not None:
                if limit <= 0:
                    return
                limit -= 1
            yield one

    def delete_thread(self, thread_id: str) -> None:
        for collection in (STATES, WRITES):
            self._store.remove(collection, thread_id)

    def delete_for_runs(self, run_ids: Sequence[str]) -> None:
        for document in self._store.documents(STATES, limit=ALL):
            if document.blob.value()["metadata"].get("run_id") in run_ids:
                self._drop(document)

    def copy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        for collection in (STATES, WRITES):
            for one in reversed(self._store.documents(collection, source_thread_id, limit=ALL)):
                self._store.put(collection, target_thread_id, one.key, one.blob, at=one.at)

    def prune(self, thread_ids: Sequence[str], *, strategy: str = "keep_latest") -> None:
        for thread in thread_ids:
            kept: set[str] = set()
            for document in self._find(thread, None, None):
                space = document.key.split(MARK)[0]
                if strategy == "delete" or space in kept:
                    self._drop(document)
                kept.add(space)

    async def aget_tuple(self, config: Any) -> CheckpointTuple | None:
        return await asyncio.to_thread(self.get_tuple, config)

    async def aput(self, config: Any, checkpoint: Any, metadata: Any, new_versions: Any) -> Any:
        return await asyncio.to_thread(self.put, config, checkpoint, metadata, new_versions)

    async def aput_writes(
        self, config: Any, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        await asyncio.to_thread(self.put_writes, config, writes, task_id, task_path)

    async def adelete_thread(self, thread_id: str) -> None:
        await asyncio.to_thread(self.delete_thread, thread_id)

    async def adelete_for_runs(self, run_ids: Sequence[str]) -> None:
        await asyncio.to_thread(self.delete_for_runs, run_ids)

    async def acopy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        await asyncio.to_thread(self.copy_thread, source_thread_id, target_thread_id)

    async def aprune(self, thread_ids: Sequence[str], *, strategy: str = "keep_latest") -> None:
        pruned: Callable[[], None] = lambda: self.prune(thread_ids, strategy=strategy)  # noqa: E731
        await asyncio.to_thread(pruned)

    def _put(self, collection: str, thread: str, names: tuple[str, ...], body: Any, *, once: bool = False) -> None:
        self._store.put(collection, thread, MARK.join(names), Blob(body, collection), at=0, once=once)

    def _find(self, thread: str | None, space: str | None, checkpoint: str | None) -> list[Document]:
        def meant(document: Document) -> bool:
            found_space, found = document.key.split(MARK)
            return space in (None, found_space) and checkpoint in (None, found)

        found = [one for one in self._store.documents(STATES, thread, limit=ALL) if meant(one)]
        return sorted(found, key=lambda one: one.key.split(MARK)[1], reverse=True)

    def _drop(self, document: Document) -> None:
        self._store.remove(STATES, document.thread_id, document.key)
        for write in self._writes(document):
            self._store.remove(WRITES, document.thread_id, write.key)

    def _writes(self, document: Document) -> list[Document]:
        writes = self._store.documents(WRITES, document.thread_id, limit=ALL)
        return [one for one in writes if one.key.startswith(document.key + MARK)]

    def _tuple(self, document: Document) -> CheckpointTuple:
        body, (space, checkpoint) = document.blob.value(), document.key.split(MARK)
        thread, parent = document.thread_id, body["parent"]
        writes = sorted((one.blob.value() for one in self._writes(document)), key=lambda one: (one[3], one[0], one[4]))
        return CheckpointTuple(
            _config(thread, space, checkpoint),
            body["checkpoint"],
            body["metadata"],
            _config(thread, space, parent) if parent else None,
            [(task, channel, value) for task, channel, value, _, _ in writes],
        )


def _config(thread: str, space: str, checkpoint: str) -> Any:
    return {"configurable": {"thread_id": thread, "checkpoint_ns": space, "checkpoint_id": checkpoint}}


def _plain(value: Any) -> Any:
    """LangGraph counts versions in defaultdicts; a store takes no class that it does not know."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return value
