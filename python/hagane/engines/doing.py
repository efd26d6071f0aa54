"""What is done for each action of the plan, and what is told to the plan afterwards."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from hagane import _core
from hagane.engines.attempt import begin_attempt, take_failed
from hagane.engines.deadline import OutOfTime
from hagane.engines.ending import why
from hagane.engines.interrupts import interrupt_in, signal_of
from hagane.engines.judge import Judgement
from hagane.engines.prepare import STARTS, accept
from hagane.engines.progress import OUTPUT_KEY
from hagane.engines.stage import Stage
from hagane.engines.traces import log_failure, place_of
from hagane.engines.trouble import said
from hagane.engines.undo import CompensationFailed, compensate
from hagane.errors import PipelineError
from hagane.observability import standard, tracing

if TYPE_CHECKING:
    from hagane.engines.run import Hook, Run

__all__ = ["perform", "run_stage", "stopped"]

STOPS = {"fail": "failed", "reject": "rejected", "abort": "rejected"}


async def perform(run: Run, action: _core.Action, kind: str) -> _core.Action | None:
    """Do an action of this kind that was prepared; what the plan says then, None if the run has ended.

    Raises:
        InterruptSignal: a person has to decide something.
    """
    if run.result is not None:
        return None
    try:
        follows = await _do(run, action, kind)
        return follows if run.hook is None or follows is None else await _or_hook(run, run.hook, follows)
    except (OutOfTime, CompensationFailed) as error:
        await stopped(run, action, error)
        return None


async def stopped(run: Run, action: _core.Action, error: OutOfTime | CompensationFailed) -> None:
    """End a run that cannot go on, at the action that showed it."""
    stage = run.stage(action).name
    if isinstance(error, OutOfTime):
        reason = "the run's time is spent (EngineConfig.timeout_seconds)"
        await run.end("failed", stage=stage, reason=reason, timeout=True)
    else:
        await run.end("failed", stage=stage, reason=str(error))


async def _or_hook(run: Run, hook: Hook, action: _core.Action) -> _core.Action | None:
    """Let an overridden `_rollback_and_retry` answer a failure; what it returns without going on is the result."""
    if action.kind not in ("retry", "rollback"):
        return action
    given = await hook(run, action)
    if run.result is None:
        await run.end("partial", output=given)
    return None


async def _do(run: Run, action: _core.Action, kind: str) -> _core.Action | None:
    if kind in STARTS or kind == "judge":
        with tracing.use(run.span), tracing.stage_span(run.stage(action).name, run.attempt) as span:
            return await (_rejudge(run, action) if kind == "judge" else run_stage(run, action, kind, span))
    if kind in ("accept", "skip", "fallback") and run.broken is None:
        return run.plan.accepted()
    if kind == "check_final":
        with tracing.use(run.span):
            return await _judge_final(run)
    if kind == "rollback":
        return run.plan.going_back()
    if kind == "compensate":
        return await compensate(run, action.stage or 0)
    if kind == "ask":
        raise signal_of(run.progress.question, run_id=run.journal.run_id, thread_id=run.journal.thread_id)
    await _end(run, action, kind)
    return None


async def run_stage(run: Run, action: _core.Action, kind: str, span: tracing.Span) -> _core.Action:
    """Run a stage's agents and have the output judged; what the plan says to it.

    Raises:
        OutOfTime: the run's time is spent.
    """
    place = action.stage or 0
    stage = run.pipeline.stages[place]
    name = stage.name
    if run.failure is not None and kind == "retry":
        await run.pause(run.attempt - 1, run.failure)
    failed: dict[str, Any] = {}
    run.output, run.failure, run.seconds = {}, None, 0.0
    try:
        begun = run.monotonic()
        try:
            run.output = output = await begin_attempt(run, stage, place)
        finally:
            # Whatever became of it.
            run.ledger.current = None
            run.seconds = run.monotonic() - begun
            run.plan.ran(place, run.seconds)
        if stage.config.parallel:
            failed = take_failed(output, stage)
        if run.journal.store is not None:
            run.check_storable(f"{OUTPUT_KEY}{name}", output)
    except Exception as error:
        signal = interrupt_in(error)
        if signal is not None:
            _refuse_other_run(run, name, signal)
            run.asked, run.asker = getattr(signal, "payload", None), getattr(signal, "asked_by", None)
            return run.plan.asked()
        return _failed(run, stage, error, span)
    _report_duration(run, place)
    if name in run.judge.unchecked and not failed:
        return _pass(run, name, output)
    about = {"stage": name, "attempt": run.attempt, "duration_ms": run.seconds * 1000, "verdict": "ok"}
    branches = {"failed": failed} if failed else {}
    run.journal.note("stage_output", **about, fields=list(output), **branches)
    judgement = await run.judge.stage(stage, run.attempt, output, run.progress.outputs)
    if judgement.failures:
        span.fail("refused")
    _note_damage(run, name, failed, judgement.advice)
    return _decide(run, judgement)


def _refuse_other_run(run: Run, stage: str, signal: BaseException) -> None:
    """See that a question is this run's own: the answer to another run's would never get there.

    Raises:
        PipelineError: it is that of a pipeline that an agent runs.
    """
    payload = getattr(signal, "payload", None)
    inner, state = getattr(payload, "flow_id", None), getattr(payload, "state", None)
    if inner is None or inner == run.journal.run_id:
        return
    thread = state.get("thread_id") if isinstance(state, dict) else None
    raise PipelineError(
        f"stage {stage!r}: an agent runs another pipeline (run {inner!r}, thread {thread!r}) that waits for a person, "
        "whom this run cannot ask for it; resume that thread with its own engine and then this one, and let the agent "
        "give that run a fixed thread_id and resume it where it exists"
    ) from signal


def _pass(run: Run, stage: str, output: dict[str, Any]) -> _core.Action:
    """Take over an output that nobody checks."""
    run.journal.note_passed(stage, run.attempt, run.seconds, tuple(output))
    run.complaint = {}
    if run.progress.notes:
        run.progress.notes.pop(stage, None)
    if run.learn is not None:  # which may raise: before the plan knows
        return run.plan.judged([])
    accepted, action = run.plan.passed()
    if accepted:
        accept(run, stage)
    return action


def _failed(run: Run, stage: Stage, failure: Exception, span: tracing.Span) -> _core.Action:
    """Note what a stage raised instead of giving an output, and have it judged; the end of the run's time is not."""
    _report_duration(run, run.pipeline.places[stage.name])
    told = {"type": type(failure).__name__, "message": said(failure), "where": place_of(failure)}
    about = {"stage": stage.name, "attempt": run.attempt, "duration_ms": run.seconds * 1000}
    if not isinstance(failure, OutOfTime):
        log_failure(f"stage {stage.name!r}, attempt {run.attempt} of run {run.journal.run_id}", failure)
    run.journal.note("stage_output", **about, verdict="error", error=told)
    if isinstance(failure, OutOfTime):
        raise failure
    run.output, run.failure = {}, failure
    span.fail(failure)
    return _decide(run, run.judge.raised(stage.name, run.attempt, failure))


async def _rejudge(run: Run, action: _core.Action) -> _core.Action:
    """Judge an output that a person changed."""
    run.failure = None
    return _decide(run, await run.judge.stage(run.stage(action), run.attempt, run.output, run.progress.outputs))


async def _judge_final(run: Run) -> _core.Action:
    last = run.pipeline.names[-1]
    run.output, run.failure = run.progress.outputs.get(last, {}), None
    return _decide(run, await run.judge.final(last, run.attempt, run.output, run.progress.merged()))


def _decide(run: Run, judgement: Judgement) -> _core.Action:
    run.complaint = judgement.complaint
    run.repeated = judgement.fingerprint is not None and judgement.fingerprint == run.fingerprint
    run.fingerprint = judgement.fingerprint
    return run.plan.judged(judgement.failures, judgement.fingerprint)


def _report_duration(run: Run, place: int) -> None:
    timer = run.pipeline.timers[place]
    if timer is not None and tracing.API not in sys.modules and run.seconds >= 0:
        timer.observe(run.seconds)
    else:
        standard.stage_run(run.pipeline.name, run.pipeline.names[place], run.seconds)


def _note_damage(run: Run, stage: str, failed: dict[str, Any], advice: str | None) -> None:
    run.progress.notes.pop(stage, None)
    if failed or advice is not None:
        run.plan.damaged()
        notes = {**({"failed": failed} if failed else {}), **({"advice": advice} if advice is not None else {})}
        run.progress.notes[stage] = notes


async def _end(run: Run, action: _core.Action, kind: str) -> None:
    """End the run as the plan says, or because a fallback could not be made."""
    if run.broken is not None:
        await run.end("failed", stage=run.stage(action).name, reason=run.broken)
    elif kind == "complete":
        await run.end("partial" if action.partial else "success")
    elif kind == "cancelled":
        await run.end("cancelled", by="person", reason=run.complaint.get("message") or "cancelled by a person")
    else:
        stage, told = run.stage(action).name, why(run, action)
        if kind == "abort":
            run.journal.note("aborted", stage=stage, attempt=run.attempt, **told)
        extra = {"budget": action.budget} if action.budget else {}
        output = run.complaint.get("previous_output") if action.check is not None else None
        await run.end(STOPS[kind], stage=stage, reason=told["reason"], gate=told["gate"], output=output, **extra)
