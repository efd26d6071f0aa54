"""Going back from outside: for a person or a program that decides what becomes of a stored run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hagane.engines.feedback import feedback
from hagane.engines.stored import restore
from hagane.observability import standard

if TYPE_CHECKING:
    from hagane.engines.pipeline_engine import PipelineEngine


class RollbackController:
    """Moves a stored run back, so that `engine.resume(thread_id)` goes on from there.

    Taking a run over ends what another process is doing with it: that one gets `LeaseLost` at its next write.

    Args:
        engine: the engine of the pipeline, with a checkpoint store.
        thread_id: the thread whose newest run is meant.

    Raises:
        PipelineError: the engine has no store.
    """

    def __init__(self, engine: PipelineEngine, thread_id: str) -> None:
        engine._need_store("RollbackController")
        self._engine = engine
        self._thread_id = thread_id

    def rollback_to(self, stage_name: str, error_context: Any = None) -> None:
        """Go back to the state before `stage_name`.

        When the run goes on, what that stage and later ones did is undone in reverse (`StageConfig.compensate`), and
        their outputs are dropped. Attempts that were spent stay spent, earlier checkpoints stay in history. Doing it
        twice is doing it once. `error_context` (text or plain data) is what the stage is told in `inputs["_feedback"]`.

        Raises:
            UnknownStage: the pipeline has no such stage, or it has not run yet.
            UnknownRun: the store has no such thread.
            PipelineError: the run belongs to another pipeline.
        """
        self._rewind(stage_name, error_context, "rollback")

    def retry_with_feedback(self, error_context: Any) -> None:
        """Let the stage where the run stands (after the end: the last one) run again, told `error_context`.

        Raises:
            UnknownStage: no stage has run yet.
            UnknownRun: the store has no such thread.
            PipelineError: the run belongs to another pipeline.
        """
        self._rewind(None, error_context, "retry")

    def _rewind(self, stage_name: str | None, context: Any, kind: str) -> None:
        engine = self._engine
        store, names = engine._need_store("RollbackController"), [stage.name for stage in engine._stage_configs]
        found = restore(engine, store, store.head(self._thread_id))
        head = store.adopt(self._thread_id)
        same = found.standing == (head.run.run_id, head.checkpoint, head.run.status)
        stored = found if same else restore(engine, store, head)
        plan, progress = stored.plan, stored.progress
        position = len(names) - 1 if plan.position is None else plan.position
        stage = names[position] if stage_name is None else stage_name
        plan.rollback_to(stage)
        # Outputs stay until the run goes on: what has to be undone is undone with them.
        progress.ending, progress.pending = {}, {}
        # What persons decided was about work that is gone: they are asked again.
        progress.drop_decisions(names, stage)
        if progress.question:
            progress.question = {}
            standard.pipeline_waiting(engine._config.name, -1)
        if context is not None:
            progress.feedback[stage] = _as_feedback(stage, context)
        journal = engine._journal(self._thread_id, head.run.run_id)
        journal.continue_from(head.last_seq, head.epoch)
        journal.remember(progress, stored.blobs)
        journal.supersede_after = progress.points.get(stage)
        told = progress.feedback[stage]["message"] if context is not None else None
        about = {"from_stage": names[position], "to_stage": stage, "check": "human", "gate": None}
        journal.note(kind, stage=stage, **about, reason=told)
        journal.commit_now("running", progress, plan, f"before {stage}, by hand")


def _as_feedback(stage: str, context: Any) -> dict[str, Any]:
    if isinstance(context, str):
        return feedback("human", stage=stage, attempt=0, message=context)
    return feedback("human", stage=stage, attempt=0, message=str(context), output=context)
