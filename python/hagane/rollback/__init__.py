"""Checkpoint stores, and going back to an earlier stage of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hagane._core import (
    Blob,
    CheckpointRecord,
    Claim,
    Document,
    Head,
    Lease,
    MemoryStore,
    PostgresStore,
    Pruned,
    RunRecord,
    SqliteStore,
    Store,
    Usage,
)

if TYPE_CHECKING:
    from hagane.rollback.controller import RollbackController
    from hagane.rollback.registry import register, register_pickled

__all__ = [
    "Blob",
    "CheckpointRecord",
    "Claim",
    "Document",
    "Head",
    "Lease",
    "MemoryStore",
    "PostgresStore",
    "Pruned",
    "RollbackController",
    "RunRecord",
    "SqliteStore",
    "Store",
    "Usage",
    "register",
    "register_pickled",
]


def __getattr__(name: str) -> Any:
    # The controller needs the engines, which need the stores above; dataclasses take long to import.
    if name == "RollbackController":
        from hagane.rollback.controller import RollbackController

        return RollbackController
    if name in ("register", "register_pickled"):
        from hagane.rollback import registry

        return getattr(registry, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
