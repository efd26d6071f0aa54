"""Checkpoint stores, and going back to an earlier stage of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hagane._core import MemoryStore, RunRecord, SqliteStore, Store

if TYPE_CHECKING:
    from hagane.rollback.controller import RollbackController

__all__ = ["MemoryStore", "RollbackController", "RunRecord", "SqliteStore", "Store"]


def __getattr__(name: str) -> Any:
    # The controller needs the engines, which need the stores above.
    if name == "RollbackController":
        from hagane.rollback.controller import RollbackController

        return RollbackController
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
