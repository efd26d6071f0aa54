"""A pipeline that goes back on its own when trying again is not enough, with the document's hooks."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any

from hagane import _core
from hagane.engines.checks import Policy
from hagane.engines.deadline import Deadline
from hagane.engines.feedback import feedback
from hagane.engines.isolate import isolate
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
    `self._validator` are there for them.
    """

    _policy = Policy(on_error=("retry", "rollback", "fail"), on_invalid=("retry", "rollback", "reject"))

    async def _execute(self, inputs: dict[str, Any]) -> dict[str, Any]:
        given = await self._execute_with_rollback(isolate(inputs))
        if isinstance(given, dict) and "status" in given and "run_id" in given:
            return given
        # A loop of somebody else's: whatever it returned without raising is the result.
        return {"status": "success", "results": given, "run_id": self._flow_id, "thread_id": self.thread_id}

    async def _execute_with_rollback(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """Run the stages over `inputs`; what `run` returns."""
        return await super()._execute(inputs)

    async def _rollback_and_retry(self, stage_name: str, checkpoints: dict[str, Any], feedback: Any) -> dict[str, Any]:
        """Go on after `stage_name` failed: run it again, or the stage before it, told `feedback`.

        Called by the engine's own loop only where a subclass overrides it; then this goes on with that run to its end
        and returns its result. Called by a subclass's own loop, it goes on from the stage before the failed one with
        the outputs in `checkpoints` (`{stage: {"inputs": ..., "result": ...}}`), within the same budgets, and returns
        the inputs merged with all outputs.

        Raises:
            UnknownStage: the pipeline has no such stage.
            PipelineError: the work was not accepted in the end.
        """
        handed = _handed.get()
        if handed is not None:
            run, action = handed
            _handed.set(None)
            await run.drive(action)
            return run.result or {}
        return await self._go_on_from(stage_name, checkpoints, feedback)

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
        run = Run(pipeline, plan, progress, journal, Deadline(self._environment, None), self._validator)
        run.ledger.opened()
        await run.drive(plan.begin())
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
