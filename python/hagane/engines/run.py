"""One run of a pipeline: asks the plan what to do, does it, and reports what happened."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any

from hagane import _core
from hagane.engines.checks import Checks
from hagane.engines.environment import Environment
from hagane.engines.isolate import isolate
from hagane.engines.journal import Event, Journal
from hagane.engines.judge import Judge, Judgement
from hagane.engines.progress import OUTPUT_KEY, Progress
from hagane.engines.report import Reporter
from hagane.engines.stage import Deadline, OutOfTime, Stage
from hagane.errors import StoreError
from hagane.observability import standard, tracing
from hagane.validation import StageValidator

_log = logging.getLogger("hagane.engines")

STOPS = {"escalate": "escalated", "fail": "failed", "reject": "rejected", "abort": "rejected"}


@dataclass(frozen=True)
class Pipeline:
    """Everything that the runs of an engine share; nothing in it changes during a run."""

    name: str
    version: str
    stages: list[Stage]
    checks: Checks
    validator: StageValidator
    reporter: Reporter
    environment: Environment

    @property
    def names(self) -> list[str]:
        """The stages' names in order."""
        return [stage.name for stage in self.stages]


class Run:
    """One run. `events()` drives it; `result` is there when it has ended."""

    def __init__(
        self, pipeline: Pipeline, plan: _core.Plan, progress: Progress, journal: Journal, deadline: Deadline
    ) -> None:
        self.pipeline = pipeline
        self.plan = plan
        self.progress = progress
        self.journal = journal
        self.result: dict[str, Any] | None = None
        self._deadline = deadline
        self._judge = Judge(pipeline.name, pipeline.checks, pipeline.validator, journal, deadline)
        self._begun = pipeline.environment.monotonic()
        self._output: dict[str, Any] = {}
        self._complaint: dict[str, Any] = {}
        self._attempt = 0
        self._span = tracing.NO_SPAN

    async def events(self) -> AsyncGenerator[Event, None]:
        """Drive the run to its end and yield what happens, each event after it was stored.

        A cancellation, a closed stream or an interrupt is recorded and raised again; so is a failure of the store.
        """
        # Not made current here: between two events this context is the caller's.
        self._span = tracing.workflow_span(self.pipeline.name, self.journal.run_id)
        try:
            action: _core.Action | None = self.plan.begin()
            while action is not None:
                await self._prepare(action)
                for event in self.journal.drain():
                    yield event
                action = await self._perform(action) if self.result is None else None
            for event in self.journal.drain():
                yield {**event, "result": self.result} if event["type"] == "run_completed" else event
        except StoreError as error:
            # Nothing more can be written; the run stands in the store as it was last committed.
            self._span.fail(error)
            raise
        except BaseException as error:
            self._interrupted(error)
            self._span.fail(error if isinstance(error, Exception) else "cancelled")
            raise
        finally:
            self._span.end()

    # --- what an action means before anything runs: notes and one commit ---

    async def _prepare(self, action: _core.Action) -> None:
        if action.kind in ("run", "retry", "rollback"):
            await self._prepare_start(action)
        elif action.kind == "check_final":
            await self._commit("running", "before the checks of the merged results")
        elif action.kind in ("accept", "skip", "fallback"):
            await self._prepare_acceptance(action)

    async def _prepare_start(self, action: _core.Action) -> None:
        stage = self._stage(action)
        name = self.pipeline.name
        if action.kind == "retry":
            self.progress.drop_from(self.pipeline.names, stage.name)
            self.progress.feedback[stage.name] = self._complaint
            self.journal.note("retry", **self._why(action), stage=stage.name, attempt=action.attempt)
            standard.stage_retry(name, stage.name)
        elif action.kind == "rollback":
            origin = self.pipeline.names[action.origin or 0]
            self.progress.drop_from(self.pipeline.names, stage.name)
            self.progress.feedback[stage.name] = self._complaint
            why, to = self._why(action), {"stage": stage.name, "attempt": action.attempt}
            self.journal.note("rollback", **why, **to, from_stage=origin, to_stage=stage.name)
            standard.rollback(name, stage.name)
        self._attempt = action.attempt or 1
        self.journal.note("stage_started", stage=stage.name, attempt=self._attempt)
        await self._commit("running", f"before {stage.name}, attempt {self._attempt}")

    async def _prepare_acceptance(self, action: _core.Action) -> None:
        stage = self._stage(action)
        if action.kind == "skip":
            self.journal.note("skipped", **self._why(action), stage=stage.name, attempt=self._attempt)
        else:
            if action.kind == "fallback":
                try:
                    self._output = self._substitute(action)
                except Exception as error:
                    reason = f"the fallback failed: {type(error).__name__}: {error}"
                    await self._end("failed", stage=stage.name, reason=reason)
                    return
                self.journal.note("fallback_used", **self._why(action), stage=stage.name, attempt=self._attempt)
            self.progress.outputs[stage.name] = self._output
        self.progress.feedback.pop(stage.name, None)
        self.journal.note("checkpoint", stage=stage.name, attempt=self._attempt)

    def _substitute(self, action: _core.Action) -> dict[str, Any]:
        gate = self.pipeline.checks.gate(action.check or 0)
        fallback = gate.fallback if gate is not None else {}
        made = fallback(isolate(self._output)) if callable(fallback) else fallback
        if not isinstance(made, dict):
            raise TypeError(f"the fallback of gate {gate and gate.name!r} gave {type(made).__name__}; give a dict")
        return isolate(made)  # type: ignore[no-any-return]

    # --- doing it, and asking what comes next ---

    async def _perform(self, action: _core.Action) -> _core.Action | None:
        try:
            if action.kind in ("run", "retry", "rollback"):
                stage = self._stage(action)
                with tracing.use(self._span), tracing.stage_span(stage.name, self._attempt) as span:
                    return await self._attempt_stage(stage, span)
            if action.kind == "check_final":
                with tracing.use(self._span):
                    return await self._judge_final()
        except OutOfTime:
            reason = "the run's time is spent (EngineConfig.timeout_seconds)"
            await self._end("failed", stage=self._stage(action).name, reason=reason, timeout=True)
            return None
        if action.kind in ("accept", "skip", "fallback"):
            return self.plan.accepted()
        if action.kind == "complete":
            await self._end("partial" if action.partial else "success")
        else:
            await self._stop(action)
        return None

    async def _attempt_stage(self, stage: Stage, span: tracing.Span) -> _core.Action:
        monotonic = self.pipeline.environment.monotonic
        begun, failure = monotonic(), None
        self._output = {}
        try:
            inputs = self.progress.inputs_of(stage.name, review=stage.config.review)
            self._output = await self._deadline.bound(stage.execute(inputs))
            if self.journal.store is not None:
                self.journal.blob(f"{OUTPUT_KEY}{stage.name}", self._output)
        except Exception as error:
            failure = error
        self._note_output(stage.name, monotonic() - begun, failure)
        if isinstance(failure, OutOfTime):
            raise failure
        if failure is not None:
            span.fail(failure)
            return self._decide(self._judge.raised(stage.name, self._attempt, failure))
        judgement = await self._judge.stage(stage, self._attempt, self._output)
        if judgement.failures:
            span.fail("refused")
        return self._decide(judgement)

    def _note_output(self, stage: str, seconds: float, failure: Exception | None) -> None:
        standard.stage_run(self.pipeline.name, stage, seconds)
        shown = {"stage": stage, "attempt": self._attempt, "duration_ms": seconds * 1000}
        if failure is None:
            self.journal.note("stage_output", **shown, verdict="ok", fields=list(self._output))
        else:
            told = {"type": type(failure).__name__, "message": str(failure)}
            self.journal.note("stage_output", **shown, verdict="error", error=told)

    async def _judge_final(self) -> _core.Action:
        last = self.pipeline.names[-1]
        self._output = self.progress.outputs.get(last, {})
        return self._decide(await self._judge.final(last, self._attempt, self._output, self.progress.merged()))

    def _decide(self, judgement: Judgement) -> _core.Action:
        self._complaint = judgement.complaint
        return self.plan.judged(judgement.failures, judgement.fingerprint)

    # --- endings ---

    async def _stop(self, action: _core.Action) -> None:
        stage = self._stage(action)
        status, why = STOPS[action.kind], self._why(action)
        reason = str(self._complaint.get("message", "")) if action.check is not None else "the run's starts are spent"
        extra: dict[str, Any] = {"gate": why["gate"], "output": self._complaint.get("previous_output")}
        if action.kind == "escalate":
            extra["escalation"] = {**self._complaint, "stage": stage.name}
            self.journal.note("escalated", stage=stage.name, attempt=self._attempt, **why)
        elif action.kind == "abort":
            self.journal.note("aborted", stage=stage.name, attempt=self._attempt, **why)
        await self._end(status, stage=stage.name, reason=reason, **extra)

    async def _end(self, status: str, **ending: Any) -> None:
        if status in ("success", "partial"):
            try:
                ending["report"] = self.pipeline.reporter.build(self.progress)
            except Exception as error:
                status, ending = "failed", {"reason": f"the report failed: {type(error).__name__}: {error}"}
        report = ending.pop("report", None)
        self.progress.ending = {"status": status, **ending}
        self.result = finished(self.pipeline, self.progress, self.journal, self.plan, report)
        self._span.set({"hagane.run.status": status})
        if status not in ("success", "partial"):
            self._span.fail(status)
        seconds = self.pipeline.environment.monotonic() - self._begun
        self.journal.note("run_completed", status=status, reason=ending.get("reason"), duration_ms=seconds * 1000)
        await self._commit(status, f"ended: {status}")

    def _interrupted(self, error: BaseException) -> None:
        """Leave a record that the run can go on from. A store that fails here must not hide why the run stopped."""
        status = "failed" if isinstance(error, Exception) else "cancelled"
        if self.result is not None:
            return
        try:
            self.journal.note("run_completed", status=status, reason=f"{type(error).__name__}: {error}")
            self.progress.ending = {"status": status, "reason": type(error).__name__}
            self.journal.commit_now(status, self.progress.state(self.plan), f"ended: {status}")
        except Exception as failure:
            _log.warning("run %s could not record why it stopped: %s", self.journal.run_id, failure)

    # --- small helpers ---

    async def _commit(self, status: str, label: str) -> None:
        await self.journal.commit(status, self.progress.state(self.plan), label)

    def _stage(self, action: _core.Action) -> Stage:
        return self.pipeline.stages[action.stage or 0]

    def _why(self, action: _core.Action) -> dict[str, Any]:
        """Name the failed check for events; `gate` is None for built-in checks."""
        if action.check is None:
            return {"check": "budget", "gate": None, "reason": "the run's starts are spent"}
        name = self.pipeline.checks.rows[action.check][0]
        quality_gate = self.pipeline.checks.gate(action.check)
        gate = name if quality_gate or action.check in self.pipeline.checks.revise.values() else None
        return {"check": name, "gate": gate, "reason": self._complaint.get("message", "")}


def finished(
    pipeline: Pipeline, progress: Progress, journal: Journal, plan: _core.Plan, report: Any = None
) -> dict[str, Any]:
    """Make the result of a run that has ended, as the caller gets it."""
    attempts = dict(zip(pipeline.names, plan.attempts, strict=True))
    result = {
        **progress.ending,
        "results": isolate(progress.outputs),
        "skipped": [name for name in pipeline.names if attempts[name] and name not in progress.outputs],
        "attempts": attempts,
        "run_id": journal.run_id,
        "thread_id": journal.thread_id,
    }
    if result["status"] not in ("success", "partial"):
        result.pop("skipped")
    return pipeline.reporter.dress(result, report)
