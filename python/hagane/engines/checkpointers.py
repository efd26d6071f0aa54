"""Runs that wait for a person, kept in an AgentFlow checkpointer: for engines that have one and no store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hagane.engines.interrupts import payload_of
from hagane.engines.progress import OPTIONAL, Progress
from hagane.engines.stored import Stored
from hagane.errors import PipelineError, StoreCorrupt, UnknownRun

if TYPE_CHECKING:
    from hagane.engines.parts import EngineParts

__all__ = ["forget_in", "load_from", "save_to"]

# Where a checkpoint's `state` has what the engine itself needs to go on.
KEY = "hagane_run"
PARTS = ("inputs", "outputs", "feedback", "ending", "effects", *OPTIONAL)


async def save_to(checkpointer: Any, stored: Stored, version: str) -> None:
    """Save an interrupted run, with AgentFlow's fields for whoever looks at it."""
    from hagane.hitl.checkpointer import CheckpointData

    progress, question = stored.progress, stored.progress.question
    own = {name: getattr(progress, name) for name in PARTS}
    payload = payload_of(question, run_id=stored.run_id, thread_id=stored.thread_id)
    stored.checkpoint_id = f"cp-{stored.run_id}-{stored.last_seq}"
    data = CheckpointData(
        checkpoint_id=stored.checkpoint_id,
        thread_id=stored.thread_id,
        flow_id=stored.run_id,
        node_id=question["stage"],
        # Text, not bytes: checkpointers of others may know no bytes.
        state={KEY: {**own, "version": version, "last_seq": stored.last_seq, "plan": stored.plan.state().hex()}},
        inputs=progress.inputs,
        results=dict(progress.outputs),
        interrupt_payload=payload.model_dump(),
    )
    await checkpointer.save(data)


async def load_from(engine: EngineParts, checkpointer: Any, thread_id: str) -> Stored:
    """Read the newest interrupted run of a thread.

    Raises:
        UnknownRun: the checkpointer has none.
        PipelineError: it is another pipeline's.
        StoreCorrupt: what is kept is not what an engine keeps.
    """
    data = await checkpointer.load_latest(thread_id)
    own = data.state.get(KEY) if data is not None else None
    if data is None or not isinstance(own, dict):
        raise UnknownRun(f"the checkpointer has no run of thread {thread_id!r} that waits for a person")
    if own.get("version") != engine._version():
        raise PipelineError(
            f"thread {thread_id!r} is a run of a pipeline with other stages or gates; resume it with the pipeline that "
            "began it, or start a new run"
        )
    try:
        progress = Progress(**{name: own[name] for name in PARTS})
        plan = engine._new_plan(engine._build_checks(), bytes.fromhex(own["plan"]))
        stored = Stored(thread_id, str(data.flow_id), "escalated", plan, progress, int(own["last_seq"]))
    except (KeyError, TypeError, ValueError) as error:
        raise StoreCorrupt(f"thread {thread_id!r}: its checkpoint lacks parts of a run's state ({error})") from error
    stored.checkpoint_id = data.checkpoint_id
    return stored


async def forget_in(checkpointer: Any, stored: Stored) -> None:
    """Take the checkpoint of a run that was decided.

    Raises:
        PipelineError: somebody else took it: each decision counts once.
    """
    if stored.checkpoint_id is not None and not await checkpointer.delete(stored.checkpoint_id):
        raise PipelineError(f"thread {stored.thread_id!r} was decided by somebody else at the same time")
