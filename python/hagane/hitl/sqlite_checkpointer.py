"""Checkpoints in a SQLite file."""

from __future__ import annotations

import asyncio
from os import PathLike

from hagane._core import SqliteStore
from hagane.hitl.document_checkpointer import DEFAULT_KEEP, DocumentCheckpointer

__all__ = ["SqliteCheckpointer"]


class SqliteCheckpointer(DocumentCheckpointer):
    """Checkpoints in one SQLite file, which several processes may share.

    What `save` has returned for survives a crash of the process and of the machine.

    Args:
        path: The file, created if it is not there.
        keep: How many checkpoints of a thread stay, the newest.

    Raises:
        StoreError: The file cannot be opened or created.
        StoreCorrupt: It is no store; it was left as it is.
        StoreVersionError: A newer hagane wrote it.
    """

    def __init__(self, path: str | PathLike[str], *, keep: int = DEFAULT_KEEP) -> None:
        self._opened = SqliteStore(path, keep=None, max_age_seconds=None)
        super().__init__(self._opened, keep=keep, kind="sqlite")

    async def close(self) -> None:
        """Close the file; a closed checkpointer raises `CheckpointError`."""
        self._documents = None
        await asyncio.to_thread(self._opened.close)
