"""A pipeline that goes back on its own when trying again is not enough, with the document's hooks."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any

from hagane import _core
from hagane.engines.checks import Policy
from hagane.engines.deadline import Deadline
from hagane.engines.feedback import bounded, feedback
from hagane.engines.interrupts import is_interrupt
from hagane.engines.isolate import isolate
from hagane.engines.overridden import current_call, not_applied
from hagane.engines.pipeline_engine import PipelineEngine
from hagane.engines.progress import Progress
from hagane.engines.run import Hook, Run
from hagane.errors import PipelineError, UnknownStage

__all__ = ["ResilientPipelineEngine"]

# The run and the action that an overridden `_rollback_and_retry` was called for.
_handed: ContextVar[tuple[Run, _core.Action] | None] = ContextVar("hagane_handed", default=None)


class ResilientPipelineEngine(PipelineEngine):
    """`PipelineEngine` that answers a failed validation or an exception with a rollback to the stage before.

    The stage is tried again with feedback first; when that is spent, or the same failure came twice, the stage before
    it runs again with the feedback, at most `max_revisions` times. Only then the run is rejected or failed.

    Subclasses may override `_execute_with_rollback(inputs)`, the whole loop, and
    `_rollback_and_retry(stage_name, checkpoints, feedback)`, what follows a failure; each is a coroutine that gives a
    dict, and `super()` does the usual thing. `self._stages` (each with `name` and `await execute(inputs)`) and
    `self._validator` are there for them. `run`, `run_stream`, `resume` and `resume_stream` all go through
    `_execute_with_rollback`; in a resume its `super()` goes on with the stored run.

    A loop that never calls `super()` does without what the engine's loop does: gates, interrupts, the checkpoint store,
    budgets, compensations. Where the engine was given any of these, the result of such a loop is `partial`, with
    `not_applied`, and a warning is logged.
    """

    _has_warned = False
    _policy = Policy(on_error=("retry", "rollback", "fail"), on_invalid=("retry", "rollback", "reject"))

    async def _execute(self, inputs: dict[str, Any]) -> dict[str, Any]:
        given = await self._execute_with_rollback(isolate(inputs))
        if not self._is_overridden():
            return given
        call = current_call.get()
        drives = call is not None and call.engine is self and call.drives > 0
        if drives and isinstance(given, dict) and "status" in given and "run_id" in given:
            return given
        # A loop of somebody else's: whatever it returned without raising is the result.
        names = {"run_id": self._flow_id, "thread_id": self.thread_id}
        if drives:
            return {"status": (call and call.status) or "success", "results": given, **names}
        return {**self._own_status(), "results": given, **names}

    def _own_status(self) -> dict[str, Any]:
        missing = not_applied(self)
        if not missing:
            return {"status": "success"}
        reason = (
            f"{type(self).__name__}._execute_with_rollback did not call super(), so nothing was done for: "
            f"{', '.join(missing)}; call super()._execute_with_rollback(inputs), or build the engine without them"
        )
        if not self._has_warned:
            self._has_warned = True
            self._logger.warning("%s", reason)
        return {"status": "partial", "reason": reason, "not_applied": missing}

    def _is_overridden(self) -> bool:
        own = type(self)._execute_with_rollback is not ResilientPipelineEngine._execute_with_rollback
        return own or type(self)._execute is not ResilientPipelineEngine._execute

    async def _execute_with_rollback(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """Run the stages over `inputs`; what `run` returns."""
        return await super()._execute(inputs)

    async def _rollback_and_retry(self, stage_name: str, checkpoints: dict[str, Any], feedback: Any) -> dict[str, Any]:
        """Go on after `stage_name` failed: run it again, or the stage before it, told `feedback`.

        Called by the engine's own loop only where a subclass overrides it; then this goes on with that run to its end
        and returns its result. Called by a subclass's own loop, it goes on from the stage before the failed one with
        the outputs in `checkpoints` (`{stage: {"inputs": ..., "result": ...}}`), within the same budgets, and returns
        the inputs merged with all outputs. A person cannot be asked then, since nothing is kept that could be resumed.

        Raises:
            UnknownStage: the pipeline has no such stage.
            PipelineError: the work was not accepted in the end.
        """
        handed = _handed.get()
        if handed is not None:
            run, action = handed
            _handed.set(None)
            failed = run.complaint.get("stage", "")
            if stage_name != failed:
                self._refuse_stage(stage_name, failed)
            if feedback != run.complaint.get("message", ""):
                run.complaint = {**run.complaint, "message": bounded(str(feedback))}
            # A task has a stack of its own: each failure calls the override again, within this call.
            await asyncio.ensure_future(run.drive(action))
            return run.result or {}
        return await self._go_on_from(stage_name, checkpoints, feedback)

    def _refuse_stage(self, named: str, failed: str) -> None:
        names = self._pipeline().names
        if named not in names:
            raise UnknownStage(f"the pipeline has no stage {named!r}; the stages are {', '.join(names)}")
        raise PipelineError(f"stage {failed!r} failed, not {named!r}; the plan says where a run goes back to")

    def _hook(self) -> Hook | None:
        if type(self)._rollback_and_retry is ResilientPipelineEngine._rollback_and_retry:
            return None
        return self._hand_over

    async def _hand_over(self, run: Run, action: _core.Action) -> Any:
        outputs = {name: {"inputs": isolate(run.progress.inputs), "result": isolate(output)}
                   for name, output in run.progress.outputs.items()}  # fmt: skip
        failed = run.complaint.get("stage", "")
        checkpoints = {**outputs, failed: {"inputs": run.progress.inputs_of(failed)}}
        token = _handed.set((run, action))
        try:
            return await self._rollback_and_retry(failed, checkpoints, run.complaint.get("message", ""))
        finally:
            _handed.reset(token)

    async def _go_on_from(self, failed: str, checkpoints: Mapping[str, Any], told: Any) -> dict[str, Any]:
        pipeline = self._pipeline()
        names = pipeline.names
        if failed not in names:
            raise UnknownStage(f"the pipeline has no stage {failed!r}; the stages are {', '.join(names)}")
        # The stage before the failed one, as far back as outputs are there to go on with.
        target = max(names.index(failed) - 1, 0)
        kept = [name for name in names[:target] if "result" in checkpoints.get(name, {})]
        target = min(target, len(kept))
        inputs = checkpoints.get(names[0], {}).get("inputs", {})
        progress = Progress(isolate(dict(inputs)))
        plan = pipeline.plan.fresh()
        plan.begin()
        for name in names[:target]:
            progress.accept(name, isolate(checkpoints[name]["result"]))
            plan.judged([])
            plan.accepted()
        message = str(told)
        progress.feedback[names[target]] = feedback("validation", stage=failed, attempt=1, message=message)
        journal = self._journal_apart()
        run = Run(
            pipeline,
            plan,
            progress,
            journal,
            Deadline(self._environment, self._config.timeout_seconds),
            self._validator,
        )
        run.ledger.opened()
        try:
            await run.drive(plan.begin())
        except Exception as error:
            if not is_interrupt(error):
                raise
            raise PipelineError(
                f"stage {failed!r}: a person has to decide ({run.progress.question.get('reason')}), but nothing keeps "
                "the run of a loop of its own until then; call super()._execute_with_rollback(inputs) instead"
            ) from error
        result = run.result or {}
        if result.get("status") not in ("success", "partial"):
            raise PipelineError(f"stage {failed!r} was not accepted after a rollback: {result.get('reason')}")
        return {**progress.inputs, **progress.merged()}

    def _journal_apart(self) -> Any:
        """A record for stages that a subclass's own loop runs: in memory, under the names of its run."""
        from hagane.engines.journal import Journal

        names = {"thread_id": self.thread_id or "", "run_id": self._flow_id or ""}
        flow = self._pipeline()
        return Journal(None, self._environment, **names, pipeline=flow.name, version=flow.version)
