"""Results of flows, kept in memory or as files, and the store that the whole program uses."""

from __future__ import annotations

from typing import Any, ClassVar

from hagane.core.file_result_store import FileResultStore
from hagane.core.result_types import FlowResult, ResultStore
from hagane.core.state_copy import StateCopy

__all__ = ["FileResultStore", "FlowResult", "MemoryResultStore", "ResultStore", "ResultStoreManager"]


class MemoryResultStore(ResultStore):
    """Copies of results in this process's memory.

    Args:
        max_size: How many stay; beyond, the one of the earliest `created_at` goes. At least 1: ValueError.
    """

    def __init__(self, max_size: int = 1000) -> None:
        if max_size < 1:
            raise ValueError(f"max_size is {max_size}; give 1 or more")
        self._store: dict[str, tuple[FlowResult, StateCopy]] = {}
        self._max_size = max_size

    async def save(self, result: FlowResult) -> None:
        """Keep a copy of a result, in place of one of the same id."""
        if result.result_id not in self._store and len(self._store) >= self._max_size:
            oldest = min(self._store, key=lambda each: self._store[each][0].created_at)
            del self._store[oldest]
        bare = result.model_copy(update={"data": {}, "metadata": {}})
        self._store[result.result_id] = bare, StateCopy({"data": result.data, "metadata": result.metadata})

    async def get(self, result_id: str) -> FlowResult | None:
        """Return a copy of a result, None if there is none of that id."""
        kept = self._store.get(result_id)
        return None if kept is None else kept[0].model_copy(update=kept[1].restore())

    async def delete(self, result_id: str) -> bool:
        """Remove a result; False if there was none of that id."""
        return self._store.pop(result_id, None) is not None

    async def list_results(self, flow_id: str | None = None, limit: int = 100) -> list[FlowResult]:
        """Return copies of the newest results, of one flow or of all, the newest first."""
        wanted = [each for each, _ in self._store.values() if flow_id is None or each.flow_id == flow_id]
        newest = sorted(wanted, key=lambda each: each.created_at, reverse=True)[:limit]
        found = [await self.get(each.result_id) for each in newest]
        return [each for each in found if each is not None]


class ResultStoreManager:
    """The program's one store of results; in memory unless `set_store` says otherwise."""

    _store: ClassVar[ResultStore | None] = None

    @classmethod
    def set_store(cls, store: ResultStore) -> None:
        """Use `store` from now on."""
        cls._store = store

    @classmethod
    def get_store(cls) -> ResultStore:
        """Return the store in use."""
        if cls._store is None:
            cls._store = MemoryResultStore()
        return cls._store

    @classmethod
    async def save(
        cls,
        result_id: str,
        data: dict[str, Any],
        flow_id: str,
        status: str = "success",
        metadata: dict[str, Any] | None = None,
    ) -> FlowResult:
        """Keep a result and return it."""
        result = FlowResult(result_id=result_id, flow_id=flow_id, status=status, data=data, metadata=metadata or {})
        await cls.get_store().save(result)
        return result

    @classmethod
    async def get(cls, result_id: str) -> FlowResult | None:
        """Return a result, None if there is none of that id."""
        return await cls.get_store().get(result_id)

    @classmethod
    async def delete(cls, result_id: str) -> bool:
        """Remove a result; False if there was none of that id."""
        return await cls.get_store().delete(result_id)

    @classmethod
    async def list_results(cls, flow_id: str | None = None, limit: int = 100) -> list[FlowResult]:
        """Return the newest results, of one flow or of all, the newest first."""
        return await cls.get_store().list_results(flow_id, limit)
