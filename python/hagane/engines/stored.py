"""Runs that are not being driven: in the store, or waiting in this process for a person."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hagane import _core
from hagane.engines.progress import Progress
from hagane.errors import PipelineError

if TYPE_CHECKING:
    from hagane.engines.parts import EngineParts

__all__ = ["Stored", "awaiting", "restore"]


@dataclass
class Stored:
    """A run as it was last committed: `head` is None where no store keeps it."""

    thread_id: str
    run_id: str
    status: str
    plan: _core.Plan
    progress: Progress
    last_seq: int
    head: _core.Head | None = None
    checkpoint_id: str | None = None
    # The parts of the state as they are stored, by key: what did not change need not be encoded again.
    blobs: Mapping[str, _core.Blob] = field(default_factory=dict)

    @property
    def standing(self) -> tuple[str, int | None, str] | None:
        """What changes when somebody writes the run: its id, checkpoint and status; None without a store."""
        return self.head and (self.head.run.run_id, self.head.checkpoint, self.head.run.status)

    @property
    def over(self) -> bool:
        """Whether there is nothing to go on with."""
        by_person = self.progress.ending.get("by") == "person"
        return self.status in ("success", "partial", "rejected") or (self.status == "cancelled" and by_person)


def restore(engine: EngineParts, store: _core.Store, head: _core.Head) -> Stored:
    """Read a stored run.

    Raises:
        PipelineError: it is another pipeline's, or died before its first checkpoint.
        StoreCorrupt: its checkpoint is damaged.
    """
    run = head.run
    if run.version != engine._version():
        raise PipelineError(
            f"thread {run.thread_id!r} is a run of pipeline {run.pipeline!r} with other stages or gates; "
            "resume it with the pipeline that began it, or start a new run"
        )
    if head.checkpoint is None:
        raise PipelineError(f"thread {run.thread_id!r} has no checkpoint to go on from; start a new run")
    blobs = store.load(head.checkpoint)
    progress, state = Progress.load(blobs)
    plan = engine._new_plan(engine._build_checks(), state)
    return Stored(run.thread_id, run.run_id, run.status, plan, progress, head.last_seq, head, blobs=blobs)


def awaiting(thread_id: str, question: dict[str, Any]) -> str:
    """Say what a person has to decide and how."""
    where = f"stage {question.get('stage')!r}, gate {question.get('gate')!r}"
    return (
        f"thread {thread_id!r} awaits a human's decision: {where}: {question.get('reason')}. Decide with "
        "resume(thread_id, command=Command.approve() | .update({...}) | .retry(...) | .reject(...) | .cancel()), or "
        "with RollbackController(engine, thread_id)"
    )
