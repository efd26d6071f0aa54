"""One run of a pipeline: asks the plan what to do, does it, and reports what happened."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from hagane import _core
from hagane.engines.attempt import run_agents, take_failed
from hagane.engines.backoff import retry_after
from hagane.engines.checks import Checks
from hagane.engines.config import EngineConfig
from hagane.engines.deadline import Deadline, OutOfTime
from hagane.engines.ending import finished, why
from hagane.engines.environment import Environment
from hagane.engines.interrupts import is_interrupt, signal_of
from hagane.engines.journal import Event, Journal
from hagane.engines.judge import Judge, Judgement
from hagane.engines.ledger import Ledger
from hagane.engines.prepare import STARTS, prepare
from hagane.engines.progress import OUTPUT_KEY, Progress
from hagane.engines.report import Reporter
from hagane.engines.stage import Stage
from hagane.engines.undo import CompensationFailed, compensate
from hagane.errors import LeaseLost, StoreError
from hagane.observability import standard, tracing

__all__ = ["Hook", "Pipeline", "Run"]

_log = logging.getLogger("hagane.engines")

STOPS = {"fail": "failed", "reject": "rejected", "abort": "rejected"}
Hook = Callable[["Run", _core.Action], Awaitable[Any]]


@dataclass(frozen=True)
class Pipeline:
    """Everything that the runs of an engine share; nothing in it changes during a run."""

    name: str
    version: str
    stages: list[Stage]
    checks: Checks
    reporter: Reporter
    environment: Environment
    config: EngineConfig
    plan: _core.Plan

    @property
    def names(self) -> list[str]:
        """The stages' names in order."""
        return [stage.name for stage in self.stages]


class Run:
    """One run. `events()` drives it; `result` is there when it has ended.

    Args:
        hook: called instead of a retry or a rollback, if somebody overrode what happens then.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        plan: _core.Plan,
        progress: Progress,
        journal: Journal,
        deadline: Deadline,
        validator: Any,
        hook: Hook | None = None,
    ) -> None:
        self.pipeline = pipeline
        self.plan = plan
        self.progress = progress
        self.journal = journal
        self.deadline = deadline
        self.ledger = Ledger(pipeline.names, plan, progress, journal)
        self.result: dict[str, Any] | None = None
        # The output that is being judged, and what was wrong with it.
        self.output: dict[str, Any] = {}
        self.complaint: dict[str, Any] = {}
        # Whether that is what was wrong the time before.
        self.repeated = False
        self._fingerprint: str | None = None
        self._hook = hook
        self.validator = validator
        self._judge = Judge(pipeline.name, pipeline.checks, validator, journal, deadline)
        self._begun = pipeline.environment.monotonic()
        # A resumed run may judge the whole before it starts anything itself.
        self.attempt = plan.attempts[-1]
        self.failure: Exception | None = None
        self.asked: Any = None
        self._span = tracing.NO_SPAN

    async def events(self, first: _core.Action | None = None) -> AsyncGenerator[Event, None]:
        """Drive the run from the action `first` to its end and yield what happens, each event after it was stored.

        A cancellation, a closed stream or an interrupt is recorded and raised again; so is a failure of the store.
        """
        # Not made current here: between two events this context is the caller's.
        self._enter()
        try:
            following: _core.Action | None = self.plan.begin() if first is None else first
            while following is not None:
                await prepare(self, following)
                for event in self.journal.drain():
                    yield event
                following = await self._perform(following)
            for event in self.journal.drain():
                yield {**event, "result": self.result} if event["type"] == "run_completed" else event
        except BaseException as error:
            if isinstance(error, LeaseLost):
                yield self.journal.unstored("lease_lost", reason=str(error))
            self._stopped_by(error)
            raise
        finally:
            self._span.end()

    async def complete(self, first: _core.Action | None = None) -> dict[str, Any]:
        """Do the same for somebody who wants the result and no events."""
        self.journal.listened = False
        self._enter()
        try:
            await self.drive(self.plan.begin() if first is None else first)
        except BaseException as error:
            self._stopped_by(error)
            raise
        finally:
            self._span.end()
        return self.result or {}

    def _enter(self) -> None:
        self._span = tracing.workflow_span(self.pipeline.name, self.journal.run_id)
        self.ledger.opened()

    def _stopped_by(self, error: BaseException) -> None:
        """Record what stopped the run, where it can be recorded; a failed store stands as it was last committed."""
        asked = self.progress.question and is_interrupt(error)
        if not asked and not isinstance(error, StoreError):
            self._interrupted(error)
        self._span.fail(error if isinstance(error, Exception) else "cancelled")

    def stands_at(self, attempt: int, complaint: dict[str, Any]) -> None:
        """Take up where a run stood that waited for a person: the attempt, and what is to be said about it."""
        self.attempt, self.complaint = attempt, complaint

    async def drive(self, action: _core.Action | None) -> None:
        """Do what `events` does, for somebody who is called in the middle of it: the events are yielded there later."""
        while action is not None:
            await prepare(self, action)
            action = await self._perform(action)

    # --- doing it, and asking what comes next ---

    async def _perform(self, action: _core.Action) -> _core.Action | None:
        if self.result is not None:
            return None
        try:
            return await self._do(action)
        except OutOfTime:
            reason = "the run's time is spent (EngineConfig.timeout_seconds)"
            await self.end("failed", stage=self.stage(action).name, reason=reason, timeout=True)
        except CompensationFailed as error:
            await self.end("failed", stage=self.stage(action).name, reason=str(error))
        return None

    async def _do(self, action: _core.Action) -> _core.Action | None:
        kind = action.kind
        if kind in STARTS or kind == "judge":
            stage = self.stage(action)
            with tracing.use(self._span), tracing.stage_span(stage.name, self.attempt) as span:
                follows = await (self._run_stage(stage, action, span) if kind in STARTS else self._rejudge(stage))
            return await self._or_hook(follows)
        if kind == "check_final":
            with tracing.use(self._span):
                return await self._or_hook(await self._judge_final())
        if kind in ("accept", "skip", "fallback"):
            return self.plan.accepted()
        if kind == "rollback":
            return self.plan.going_back()
        if kind == "compensate":
            return await compensate(self, action.stage or 0)
        if kind == "ask":
            raise signal_of(self.progress.question, run_id=self.journal.run_id, thread_id=self.journal.thread_id)
        if kind == "complete":
            await self.end("partial" if action.partial else "success")
        elif kind == "cancelled":
            await self.end("cancelled", by="person", reason=self.complaint.get("message") or "cancelled by a person")
        else:
            await self._stop(action)
        return None

    async def _or_hook(self, action: _core.Action) -> _core.Action | None:
        """Let an overridden `_rollback_and_retry` answer a failure; what it returns without going on is the result."""
        if self._hook is None or action.kind not in ("retry", "rollback"):
            return action
        given = await self._hook(self, action)
        if self.result is None:
            await self.end("partial", output=given)
        return None

    async def _run_stage(self, stage: Stage, action: _core.Action, span: tracing.Span) -> _core.Action:
        if action.kind == "retry" and isinstance(self.failure, Exception):
            await self.deadline.bound(self.pipeline.environment.sleep(self.pause(self.attempt - 1, self.failure)))
        monotonic = self.pipeline.environment.monotonic
        begun, failure = monotonic(), None
        self.output, self.failure = {}, None
        failed: dict[str, Any] = {}
        try:
            self.output = await run_agents(self, stage, action.stage or 0)
            failed = take_failed(self.output, stage)
            self.check_storable(f"{OUTPUT_KEY}{stage.name}", self.output)
        except Exception as error:
            if is_interrupt(error):
                self.asked = getattr(error, "payload", None)
                return self.plan.asked()
            failure = error
        self._note_output(stage.name, monotonic() - begun, failure, failed)
        if isinstance(failure, OutOfTime):
            raise failure
        if failure is not None:
            self.failure = failure
            span.fail(failure)
            return self._decide(self._judge.raised(stage.name, self.attempt, failure))
        judgement = await self._judge.stage(stage, self.attempt, self.output)
        if judgement.failures:
            span.fail("refused")
        self._note_damage(stage.name, failed, judgement.advice)
        return self._decide(judgement)

    async def _rejudge(self, stage: Stage) -> _core.Action:
        """Judge an output that a person changed."""
        self.failure = None
        return self._decide(await self._judge.stage(stage, self.attempt, self.output))

    def _note_output(self, stage: str, seconds: float, failure: Exception | None, failed: dict[str, Any]) -> None:
        standard.stage_run(self.pipeline.name, stage, seconds)
        shown: dict[str, Any] = {"stage": stage, "attempt": self.attempt, "duration_ms": seconds * 1000}
        if failure is None:
            branches = {"failed": failed} if failed else {}
            self.journal.note("stage_output", **shown, verdict="ok", fields=list(self.output), **branches)
        else:
            told = {"type": type(failure).__name__, "message": str(failure)}
            self.journal.note("stage_output", **shown, verdict="error", error=told)

    def _note_damage(self, stage: str, failed: dict[str, Any], advice: str | None) -> None:
        notes = {**({"failed": failed} if failed else {}), **({"advice": advice} if advice is not None else {})}
        self.progress.notes.pop(stage, None)
        if notes:
            self.plan.damaged()
            self.progress.notes[stage] = notes

    async def _judge_final(self) -> _core.Action:
        last = self.pipeline.names[-1]
        self.output, self.failure = self.progress.outputs.get(last, {}), None
        return self._decide(await self._judge.final(last, self.attempt, self.output, self.progress.merged()))

    def _decide(self, judgement: Judgement) -> _core.Action:
        self.complaint = judgement.complaint
        self.repeated = judgement.fingerprint is not None and judgement.fingerprint == self._fingerprint
        self._fingerprint = judgement.fingerprint
        return self.plan.judged(judgement.failures, judgement.fingerprint)

    # --- endings ---

    async def _stop(self, action: _core.Action) -> None:
        stage, status, told = self.stage(action).name, STOPS[action.kind], why(self, action)
        if action.kind == "abort":
            self.journal.note("aborted", stage=stage, attempt=self.attempt, **told)
        extra = {"budget": action.budget} if action.budget else {}
        output = self.complaint.get("previous_output") if action.check is not None else None
        await self.end(status, stage=stage, reason=told["reason"], gate=told["gate"], output=output, **extra)

    async def end(self, status: str, **ending: Any) -> None:
        """End the run with this status: make its result and its last event, and commit."""
        report = None
        if status in ("success", "partial"):
            try:
                report = self.pipeline.reporter.build(self.progress)
            except Exception as error:
                status, ending = "failed", {"reason": f"the report failed: {type(error).__name__}: {error}"}
        self.progress.ending = {"status": status, **ending}
        self.result = finished(self.pipeline, self.progress, self.journal, self.plan, report)
        self._span.set({"hagane.run.status": status})
        if status not in ("success", "partial"):
            self._span.fail(status)
        seconds = self.pipeline.environment.monotonic() - self._begun
        self.journal.note("run_completed", status=status, reason=ending.get("reason"), duration_ms=seconds * 1000)
        await self.commit(status, f"ended: {status}")

    def _interrupted(self, error: BaseException) -> None:
        """Leave a record that the run can go on from. A store that fails here must not hide why the run stopped."""
        status = "failed" if isinstance(error, Exception) else "cancelled"
        if self.result is not None:
            return
        try:
            self.journal.note("run_completed", status=status, reason=f"{type(error).__name__}: {error}")
            self.progress.ending = {"status": status, "reason": type(error).__name__}
            self.journal.commit_now(status, self.progress, self.plan, f"ended: {status}")
        except Exception as failure:
            _log.warning("run %s could not record why it stopped: %s", self.journal.run_id, failure)
            self.journal.let_go()

    # --- small helpers ---

    def check_storable(self, key: str, value: Any) -> None:
        """Refuse what the store cannot keep; SnapshotError, with the path."""
        if self.journal.store is not None:
            self.journal.blob(key, value)

    async def commit(self, status: str, label: str) -> None:
        """Write what happened."""
        await self.journal.commit(status, self.progress, self.plan, label)

    def pause(self, retry: int, error: Exception) -> float:
        """Seconds to wait before retry number `retry` of something that raised `error`."""
        config, environment = self.pipeline.config, self.pipeline.environment
        asked = retry_after(error, environment.clock())
        draw = environment.random()
        return _core.backoff(max(retry, 1), config.backoff_seconds, config.backoff_cap_seconds, draw, asked)

    def stage(self, action: _core.Action) -> Stage:
        """Find the stage that an action is about."""
        return self.pipeline.stages[action.stage or 0]
