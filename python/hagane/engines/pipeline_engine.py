"""The pipeline engine: stages in order, with validation, gates, retries, rollback and resumable runs."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from hagane.engines.base import BaseEngine, RunNames, check_inputs
from hagane.engines.checkpointers import forget_in
from hagane.engines.config import StageConfig
from hagane.engines.decisions import decision_on
from hagane.engines.events import Event, read_history
from hagane.engines.interrupts import is_interrupt
from hagane.engines.isolate import isolate
from hagane.engines.keeping import RunKeeping
from hagane.engines.overridden import Call, current_call, driven, through
from hagane.engines.progress import Progress
from hagane.engines.run import Run
from hagane.engines.threads import Turn
from hagane.engines.waiting import last_result
from hagane.errors import PipelineError, UnknownRun

__all__ = ["PipelineEngine", "StageConfig"]


class PipelineEngine(RunKeeping):
    """Runs stages in order; an output reaches later stages only after validation and gates passed.

    Args:
        stages: `StageConfig` objects or dicts with their fields (`{"name": "analysis", "agent": Analyst}`).
        max_revisions: how often a gate, a validation or a review may send work back, each per stage.
        report_generator: function of the results `{stage: output}` that makes the final report.
        report_builder: object with `build(results, inputs)`; wins over `report_generator`.
        config: name, retries, time limit; see `EngineConfig`.
        validation_config: rules for outputs; see `ValidationConfig`.
        quality_gates: see `QualityGate`.
        checkpoint_store: `SqliteStore(path)` or `MemoryStore()`; None keeps nothing beyond the run, save runs that
            wait for a person, which this engine object can resume.
        environment: clocks, names and waiting, for tests.

    Raises:
        PipelineError: the stages, gates or settings do not make a pipeline.
        UnknownStage: a gate, rule or review names a stage that is not there.
    """

    # --- running ---

    async def run(self, inputs: dict[str, Any], thread_id: str | None = None) -> dict[str, Any]:
        """Run the pipeline on `inputs`, which is not changed.

        Returns:
            `status` (success, partial, rejected, failed or cancelled), `results` (`{stage: accepted output}`),
            `attempts` (`{stage: times started}`), `run_id`, `thread_id`, and where they apply `stage`, `reason`,
            `gate`, `output` (the refused output), `budget` (what is spent), `skipped`, `failed` (agents, by stage),
            `advice` (of reviewers, by stage), `used` (tokens and cost, by stage), and the report.

        Raises:
            InterruptSignal: a person has to decide something; everything is committed, and `resume` goes on.
            PipelineError: the thread waits for a person's decision about an earlier run; the message shows the request.
            LeaseHeld: the thread is being run already.
            SnapshotError: the inputs cannot be stored without loss (with a checkpoint store only).
            StoreError: the store failed; the run can be resumed when it is back.
            LeaseLost: another run took the thread over.
        """
        if not self._is_overridden():
            return await super().run(inputs, thread_id)
        return await last_result(await self._through(inputs, thread_id))

    async def _execute(self, inputs: dict[str, Any]) -> dict[str, Any]:
        call = current_call.get()
        if call is not None and call.engine is self:
            return await driven(self, call, inputs)
        names = self._names.get()
        assert names is not None, "set by run"
        turn = await self._take_turn(names.thread_id)
        try:
            run = self._begin(inputs, names.thread_id, names.flow_id, turn)
            if self._store is None:
                return await self._completed(run)
            async with self._driving(run):
                return await run.complete()
        finally:
            if turn is not None:
                turn.end()

    async def run_stream(self, inputs: dict[str, Any], thread_id: str | None = None) -> AsyncGenerator[Event, None]:
        """Run the pipeline and yield what happens, each event after it was stored.

        Every event has `seq` (1, 2, 3, ... in a run), `type`, `at` (seconds since 1970), `run_id`, `thread_id`:

        - `run_started`: `pipeline`, `stages`
        - `stage_started`: `stage`, `attempt`
        - `effect`: `stage`, `effect` (its name): recorded, and not to be repeated
        - `stage_output`: `stage`, `attempt`, `duration_ms`, `verdict` (ok or error), `fields` or `error`, `failed`
        - `validation`: `stage`, `attempt`, `verdict` (passed or failed), `issues`, `score`, `warnings`
        - `gate`: `stage`, `attempt`, `gate`, `verdict` (passed, failed or error), `reason`, `score`
        - `checkpoint`: `stage`, `attempt`, `output` (the accepted output; in the stream only, `history` has none): the
          stage is done and will not be repeated by a resume
        - `retry`: `stage`, `attempt` (the coming one), `check`, `gate`, `reason`
        - `rollback`: `from_stage`, `to_stage`, `stage` (= `to_stage`), `check`, `gate`, `reason`
        - `compensation_started`, `compensation_completed`, `compensation_failed`: `stage`, the last also `error`
        - `skipped`, `fallback_used`, `aborted`: `stage`, `attempt`, `check`, `gate`, `reason`
        - `escalated`: the same and `request` (what a person is asked); the last event, without an exception
        - `resumed`: `stage`, `accepted` (stages not repeated), `command` and `issuer` if a person decided
        - `lease_lost`: `reason`; the last event before `LeaseLost`, stored nowhere
        - `run_completed`: `status`, `reason`, `duration_ms`, `result` (what `run` returns); the last event

        Whoever may stop listening before the end closes the stream, which stops the run: `async with
        contextlib.aclosing(engine.run_stream(...)) as events`. A stream that is left open holds its thread.
        """
        if type(self)._execute_stream is not BaseEngine._execute_stream:
            async with aclosing(super().run_stream(inputs, thread_id)) as own:
                async for event in own:
                    yield event
            return
        await self._wake()
        check_inputs(inputs)
        if self._is_overridden():
            events = await self._through(inputs, thread_id)
        else:
            names = self._new_names(thread_id)
            events = self._events(inputs, names.thread_id, names.flow_id)
        async with aclosing(events):
            async for event in _until_asked(events):
                yield event

    def _is_overridden(self) -> bool:
        """Whether a subclass has a loop of its own, through which every run goes."""
        return type(self)._execute is not PipelineEngine._execute

    async def _through(self, inputs: dict[str, Any], thread_id: str | None) -> AsyncGenerator[Event, None]:
        await self._wake()
        check_inputs(inputs)

        def begin(given: dict[str, Any], names: RunNames) -> AsyncGenerator[Event, None]:
            return self._events(given, names.thread_id, names.flow_id)

        return through(self, Call(self, self._new_names(thread_id), begin), dict(inputs))

    async def _resumed_through(self, thread_id: str, command: Any) -> AsyncGenerator[Event, None]:
        """Go on with a run by way of the subclass's loop, which is given the inputs of that run."""
        await self._wake()
        stored = await self._find(thread_id)

        def go_on(_inputs: dict[str, Any], names: RunNames) -> AsyncGenerator[Event, None]:
            return self._resume_events(names.thread_id, command)

        call = Call(self, RunNames(stored.run_id, thread_id), go_on)
        return through(self, call, isolate(stored.progress.inputs))

    async def _resumed(self, thread_id: str, command: Any) -> AsyncGenerator[Event, None]:
        if self._is_overridden():
            return await self._resumed_through(thread_id, command)
        return self._resume_events(thread_id, command)

    async def _events(self, inputs: dict[str, Any], thread_id: str, run_id: str) -> AsyncGenerator[Event, None]:
        """Begin a run and yield its events; raises `InterruptSignal` where it has to wait for a person."""
        turn = await self._take_turn(thread_id)
        try:
            run = self._begin(inputs, thread_id, run_id, turn)
            async with self._driving(run), aclosing(run.events()) as events:
                async for event in events:
                    yield event
        finally:
            if turn is not None:
                turn.end()

    def _begin(self, inputs: dict[str, Any], thread_id: str, run_id: str, turn: Turn | None) -> Run:
        pipeline = self._pipeline()
        self._keep_a_waiting_run(thread_id)
        journal = self._journal(thread_id, run_id)
        journal.fence = turn.check if turn is not None else None
        journal.claim, journal.on_conflict = self._claim(), self._config.on_conflict
        journal.note_small("run_started", {"pipeline": pipeline.name, "stages": pipeline.names})
        progress = Progress(isolate(dict(inputs)))
        if self._store is not None:
            journal.blob("inputs", progress.inputs)
        return self._new_run(pipeline, pipeline.plan.fresh(), progress, journal)

    async def resume(self, thread_id: str, command: Any = None) -> dict[str, Any]:
        """Go on with the newest run of a thread from its last accepted stage; accepted stages are not repeated.

        A thread that a live process is running is not taken from it (see `EngineConfig.on_conflict`); one whose process
        died on this machine is taken over at once, one on another machine when its lease is over.

        A run that is over (success, partial, rejected, cancelled by a person) is not run again: its result is given
        once more.

        Args:
            thread_id: the thread.
            command: for a run that waits for a person: a `hagane.hitl.Command`, a dict with its `type` and `value`, or
                one of its words. `approve` takes what is there; `update` changes the output (before a stage: the
                inputs) by a dict and has it checked again; `retry` runs the stage once more with the value as feedback;
                `reject` goes back where the gate's `rollback_to` says, else ends the run as rejected; `cancel` ends it
                and undoes what stages did. To an agent that called `interrupt()` all but `retry` and `cancel` are
                the answer. Each decision is taken once: one that was issued before the question was asked, or that
                names another request in `metadata["request_id"]` (the id is `signal.payload.request.id`), is refused.

        Raises:
            InterruptSignal: a person has to decide something else.
            UnknownRun: nobody knows the thread.
            PipelineError: another pipeline's run; a human's decision is awaited and none given, or one that does not
                fit; or a command for a run that awaits none.
            LeaseHeld: the thread is being run.
            InterruptTimeoutError: the decision comes too late, and `HITLEngineConfig.on_expiry` is "error".
            StoreError: the store failed.
        """
        return await last_result(await self._resumed(thread_id, command))

    async def resume_stream(self, thread_id: str, command: Any = None) -> AsyncGenerator[Event, None]:
        """`resume` as a stream of events; see `run_stream`. The first one is `resumed`."""
        async with aclosing(await self._resumed(thread_id, command)) as events:
            async for event in _until_asked(events):
                yield event

    async def _resume_events(self, thread_id: str, command: Any) -> AsyncGenerator[Event, None]:
        await self._wake()
        pipeline = self._pipeline()
        stored = await self._find(thread_id)
        if stored.over:
            if command is not None:
                raise PipelineError(f"thread {thread_id!r} is over ({stored.status}); there is nothing to decide")
            yield await self._replay(stored, pipeline)
            return
        decision = None
        if stored.status == "escalated":
            decision = decision_on(stored, command, self._config.hitl, self._environment.clock())
        elif command is not None:
            raise PipelineError(
                f"thread {thread_id!r} ({stored.status}) awaits no decision; resume it without a command"
            )
        turn = await self._take_turn(thread_id)
        try:
            run = await self._take_up(pipeline, stored)
            run.journal.fence = turn.check if turn is not None else None
            at = pipeline.names[run.plan.position] if run.plan.position is not None else pipeline.names[-1]
            # A rollback by hand leaves later outputs until it is gone on with.
            ahead = pipeline.names if run.plan.position is None else pipeline.names[: run.plan.position]
            accepted = [name for name in run.progress.outputs if name in ahead]
            former = {"former_status": stored.status}
            first = self._apply(run, decision)
            if self._store is None and self._config.hitl.checkpointer is not None:
                await forget_in(self._config.hitl.checkpointer, stored)
            said = {"command": decision.word, "issuer": decision.issuer} if decision else {}
            run.journal.note("resumed", stage=at, accepted=accepted, **former, **said)
            async with self._driving(run), aclosing(run.events(first)) as events:
                async for event in events:
                    yield event
        finally:
            if turn is not None:
                turn.end()

    def history(self, run_id: str) -> list[Event]:
        """Give the events of a run: from the store, or without one, of one of this engine's last 16 runs.

        Raises:
            UnknownRun: nobody knows the run.
        """
        if self._store is not None:
            return read_history(self._store, run_id)
        if run_id not in self._recent:
            raise UnknownRun(f"this engine has no run {run_id!r} in memory; give it a checkpoint_store to keep runs")
        return self._recent[run_id].history


async def _until_asked(events: AsyncGenerator[Event, None]) -> AsyncGenerator[Event, None]:
    """End a stream where a run waits for a person: the last event, `escalated`, has said so."""
    try:
        async for event in events:
            yield event
    except Exception as error:
        if not is_interrupt(error):
            raise
