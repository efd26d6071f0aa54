"""The checkpointers' interface, under AgentFlow's module name, and the one in memory."""

from __future__ import annotations

from hagane.hitl.document_checkpointer import DEFAULT_KEEP, DocumentCheckpointer
from hagane.hitl.documents import MemoryDocuments
from hagane.hitl.interface import CheckpointData, Checkpointer

__all__ = ["CheckpointData", "Checkpointer", "MemoryCheckpointer"]


class MemoryCheckpointer(DocumentCheckpointer):
    """Checkpoints in this process's memory, for tests and development; they end with the process.

    Args:
        keep: How many checkpoints of a thread stay.
        threads: How many threads stay; beyond, the one that was saved longest ago is forgotten.
    """

    def __init__(self, *, keep: int = DEFAULT_KEEP, threads: int = 10_000) -> None:
        super().__init__(MemoryDocuments(threads), keep=keep, kind="memory", blocks=False)
