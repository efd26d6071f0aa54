"""The pipeline engine: stages in order, with validation, gates, retries, rollback and resumable runs."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from hagane import _core
from hagane.engines.base import EngineParts
from hagane.engines.isolate import isolate
from hagane.engines.journal import Event, Journal, read_history
from hagane.engines.progress import Progress
from hagane.engines.run import Pipeline, Run, finished
from hagane.engines.stage import Deadline
from hagane.engines.waiting import complete, last_result
from hagane.errors import PipelineError, UnknownRun

ENDED = ("success", "partial", "rejected")
REMEMBERED_RUNS = 16


class PipelineEngine(EngineParts):
    """Runs stages in order; an output reaches later stages only after validation and gates passed.

    Args:
        stages: `StageConfig` objects or dicts with their fields (`{"name": "analysis", "agent": Analyst}`).
        max_revisions: how often a gate, a validation or a review may send work back, each per stage.
        report_generator: function of the results `{stage: output}` that makes the final report.
        report_builder: object with `build(results, inputs)`; wins over `report_generator`.
        config: name, retries, time limit; see `EngineConfig`.
        validation_config: rules for outputs; see `ValidationConfig`.
        quality_gates: see `QualityGate`.
        checkpoint_store: `SqliteStore(path)` or `MemoryStore()`; None keeps nothing beyond the run.
        environment: clocks and names, for tests.

    Raises:
        PipelineError: the stages, gates or settings do not make a pipeline.
        UnknownStage: a gate, rule or review names a stage that is not there.
    """

    # --- running ---

    async def run(self, inputs: dict[str, Any], thread_id: str | None = None) -> dict[str, Any]:
        """Run the pipeline on `inputs`, which is not changed.

        Returns:
            `status` (success, partial, rejected, failed or escalated), `results` (`{stage: accepted output}`),
            `attempts` (`{stage: times started}`), `run_id`, `thread_id`, and where they apply `stage`, `reason`,
            `gate`, `output` (the refused output), `escalation` (what a human is to decide), `skipped`, and the report.

        Raises:
            SnapshotError: the inputs cannot be stored without loss (with a checkpoint store only).
            StoreError: the store failed; the run can be resumed when it is back.
            LeaseLost: another run took the thread over.
        """
        return await last_result(self.run_stream(inputs, thread_id))

    async def run_stream(self, inputs: dict[str, Any], thread_id: str | None = None) -> AsyncGenerator[Event, None]:
        """Run the pipeline and yield what happens, each event after it was stored.

        Every event has `seq` (1, 2, 3, ... in a run), `type`, `at` (seconds since 1970), `run_id`, `thread_id`:

        - `run_started`: `pipeline`, `stages`
        - `stage_started`: `stage`, `attempt`
        - `stage_output`: `stage`, `attempt`, `duration_ms`, `verdict` (ok or error), `fields` or `error`
        - `validation`: `stage`, `attempt`, `verdict` (passed or failed), `issues`, `score`
        - `gate`: `stage`, `attempt`, `gate`, `verdict` (passed, failed or error), `reason`, `score`
        - `checkpoint`: `stage`, `attempt`: the stage is done and will not be repeated by a resume
        - `retry`: `stage`, `attempt` (the coming one), `check`, `gate`, `reason`
        - `rollback`: `from_stage`, `to_stage`, `stage` (= `to_stage`), `check`, `gate`, `reason`
        - `skipped`, `fallback_used`, `escalated`, `aborted`: `stage`, `attempt`, `check`, `gate`, `reason`
        - `resumed`: `stage`, `accepted` (stages not repeated)
        - `run_completed`: `status`, `reason`, `duration_ms`, `result` (what `run` returns); the last event
        """
        await self._wake()
        pipeline = self._pipeline()
        journal = self._journal(
            thread_id or f"thread-{self._environment.new_id()}", f"run-{self._environment.new_id()}"
        )
        journal.note("run_started", pipeline=pipeline.name, stages=pipeline.names)
        plan = self._new_plan(pipeline.checks, None)
        progress = Progress(isolate(dict(inputs)))
        if self._store is not None:
            journal.blob("inputs", progress.inputs)
        async with aclosing(self._drive(pipeline, plan, progress, journal)) as events:
            async for event in events:
                yield event

    def run_sync(self, inputs: dict[str, Any], thread_id: str | None = None) -> dict[str, Any]:
        """`run` for scripts and notebooks; see there."""
        return complete(self.run(inputs, thread_id))

    async def resume(self, thread_id: str, command: Any = None) -> dict[str, Any]:
        """Go on with the newest run of a thread from its last accepted stage; accepted stages are not repeated.

        Whoever runs the thread at this moment loses it and gets `LeaseLost` at its next write, so be sure that the
        former run is dead.

        A run that ended (success, partial, rejected) is not run again: its result is given once more.

        Raises:
            UnknownRun: the store has no such thread.
            PipelineError: no store; another pipeline's run; a human's decision is awaited; or `command` was given,
                which this version cannot carry out.
            StoreError: the store failed.
        """
        return await last_result(self.resume_stream(thread_id, command))

    async def resume_stream(self, thread_id: str, command: Any = None) -> AsyncGenerator[Event, None]:
        """`resume` as a stream of events; see `run_stream`. The first one is `resumed`."""
        store = self._need_store("resume")
        if command is not None:
            raise PipelineError(
                "resume(command=...) is not available in this version; decide with "
                "RollbackController(engine, thread_id).retry_with_feedback(...) or .rollback_to(stage), then resume()"
            )
        await self._wake()
        pipeline = self._pipeline()
        head = self._check_head(store.head(thread_id))
        if head.run.status in ENDED:
            yield self._replay(store, head, pipeline)
            return
        if head.run.status == "escalated":
            raise PipelineError(_awaiting(thread_id, self._restore(store, head)[1]))
        head = store.adopt(thread_id)
        plan, progress = self._restore(store, head)
        journal = self._journal(thread_id, head.run.run_id)
        journal.continue_from(head)
        progress.ending = {}
        at = pipeline.names[plan.position] if plan.position is not None else pipeline.names[-1]
        journal.note("resumed", stage=at, accepted=list(progress.outputs), former_status=head.run.status)
        async with aclosing(self._drive(pipeline, plan, progress, journal)) as events:
            async for event in events:
                yield event

    def resume_sync(self, thread_id: str, command: Any = None) -> dict[str, Any]:
        """`resume` for scripts and notebooks; see there."""
        return complete(self.resume(thread_id, command))

    def history(self, run_id: str) -> list[Event]:
        """Give the events of a run: from the store, or without one, of one of this engine's last 16 runs.

        Raises:
            UnknownRun: nobody knows the run.
        """
        if self._store is not None:
            return read_history(self._store, run_id)
        if run_id not in self._recent:
            raise UnknownRun(f"this engine has no run {run_id!r} in memory; give it a checkpoint_store to keep runs")
        return isolate(self._recent[run_id])  # type: ignore[no-any-return]

    def _journal(self, thread_id: str, run_id: str) -> Journal:
        names = {"thread_id": thread_id, "run_id": run_id}
        journal = Journal(self._store, self._environment, **names, pipeline=self._config.name, version=self._version())
        if self._store is None:
            self._recent[run_id] = journal.history
            while len(self._recent) > REMEMBERED_RUNS:
                self._recent.popitem(last=False)
        return journal

    async def _drive(
        self, pipeline: Pipeline, plan: _core.Plan, progress: Progress, journal: Journal
    ) -> AsyncGenerator[Event, None]:
        deadline = Deadline(self._environment, self._config.timeout_seconds)
        async with aclosing(Run(pipeline, plan, progress, journal, deadline).events()) as events:
            async for event in events:
                yield event

    # --- stored runs ---

    def _need_store(self, what: str) -> _core.Store:
        if self._store is None:
            raise PipelineError(
                f"{what} needs a checkpoint store; build the engine with checkpoint_store=SqliteStore(path)"
            )
        return self._store

    def _check_head(self, head: _core.Head) -> _core.Head:
        if head.run.version != self._version():
            raise PipelineError(
                f"thread {head.run.thread_id!r} is a run of pipeline {head.run.pipeline!r} with other stages or gates; "
                "resume it with the pipeline that began it, or start a new run"
            )
        return head

    def _restore(self, store: _core.Store, head: _core.Head) -> tuple[_core.Plan, Progress]:
        if head.checkpoint is None:
            raise PipelineError(f"thread {head.run.thread_id!r} has no checkpoint to go on from; start a new run")
        progress, state = Progress.load(store.load(head.checkpoint))
        return self._new_plan(self._build_checks(), state), progress

    def _replay(self, store: _core.Store, head: _core.Head, pipeline: Pipeline) -> Event:
        """Give the last event of a run that ended once more."""
        plan, progress = self._restore(store, head)
        journal = self._journal(head.run.thread_id, head.run.run_id)
        report = self._reporter.build(progress) if head.run.status != "rejected" else None
        last = read_history(store, head.run.run_id)[-1]
        return {**last, "replayed": True, "result": finished(pipeline, progress, journal, plan, report)}


def _awaiting(thread_id: str, progress: Progress) -> str:
    request = progress.ending.get("escalation", {})
    where = f"stage {request.get('stage')!r}, gate {request.get('gate')!r}"
    return (
        f"thread {thread_id!r} awaits a human's decision: {where}: {request.get('message')}. Decide with "
        "RollbackController(engine, thread_id).retry_with_feedback(...) or .rollback_to(stage), then resume()"
    )
