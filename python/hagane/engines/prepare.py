"""What an action of the plan means before anything runs: notes in the journal, and one commit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hagane import _core
from hagane.engines.ending import reason_of, why
from hagane.engines.interrupts import question_of, question_of_agent
from hagane.engines.isolate import isolate
from hagane.observability import standard

if TYPE_CHECKING:
    from hagane.engines.run import Run

__all__ = ["STARTS", "prepare"]

STARTS = ("run", "retry")
ASKED_OF_STAGES = {
    "before": "stage {stage!r} may run only when a person approved it",
    "after": "the output of stage {stage!r} is taken over only when a person approved it",
}


async def prepare(run: Run, action: _core.Action) -> None:
    """Do what comes before an action: note it, and commit."""
    kind = action.kind
    if kind in STARTS:
        await _start(run, action)
    elif kind == "check_final":
        await run.commit("running", "before the checks of the merged results")
    elif kind in ("accept", "skip", "fallback"):
        await _acceptance(run, action)
    elif kind == "rollback":
        _rollback(run, action)
    elif kind == "compensate":
        run.journal.note("compensation_started", stage=run.stage(action).name)
        await run.commit("running", f"before the compensation of {run.stage(action).name}")
    elif kind == "ask":
        await _question(run, action)


async def _start(run: Run, action: _core.Action) -> None:
    stage = run.stage(action)
    run.attempt = action.attempt or 1
    if run.progress.outputs:
        run.progress.drop_from(run.pipeline.names, stage.name)
    if action.kind == "retry":
        run.progress.feedback[stage.name] = run.complaint
        run.journal.note("retry", **why(run, action), stage=stage.name, attempt=run.attempt)
        standard.stage_retry(run.pipeline.name, stage.name)
    run.journal.note("stage_started", stage=stage.name, attempt=run.attempt)
    await run.commit("running", f"before {stage.name}, attempt {run.attempt}")
    if action.kind == "run" and run.journal.store is not None:
        run.progress.points[stage.name] = run.journal.checkpoint


def _rollback(run: Run, action: _core.Action) -> None:
    stage, origin = run.stage(action), run.pipeline.names[action.origin or 0]
    run.progress.feedback[stage.name] = run.complaint
    run.progress.answers.pop(stage.name, None)
    run.journal.supersede_after = run.progress.points.get(stage.name)
    to = {"stage": stage.name, "attempt": action.attempt}
    run.journal.note("rollback", **why(run, action), **to, from_stage=origin, to_stage=stage.name)
    standard.rollback(run.pipeline.name, stage.name)


async def _acceptance(run: Run, action: _core.Action) -> None:
    stage = run.stage(action)
    if action.kind == "skip":
        run.journal.note("skipped", **why(run, action), stage=stage.name, attempt=run.attempt)
    else:
        if action.kind == "fallback":
            try:
                run.output = _substitute(run, action)
            except Exception as error:
                reason = f"the fallback failed: {type(error).__name__}: {error}"
                await run.end("failed", stage=stage.name, reason=reason)
                return
            run.journal.note("fallback_used", **why(run, action), stage=stage.name, attempt=run.attempt)
        else:
            _learn(run, stage.name)
        run.progress.outputs[stage.name] = run.output
    run.progress.feedback.pop(stage.name, None)
    run.journal.note("checkpoint", stage=stage.name, attempt=run.attempt)


def _learn(run: Run, stage: str) -> None:
    """Let anomaly detection know an output that was accepted; a substitute is none."""
    learn = getattr(run.validator, "learn", None)
    if callable(learn) and stage not in run.progress.outputs:
        learn(stage, isolate(run.output))


async def _question(run: Run, action: _core.Action) -> None:
    stage, ask, environment = run.stage(action).name, action.ask or "output", run.pipeline.environment
    now = environment.clock()
    if ask == "agent":
        question = question_of_agent(run.asked, stage=stage, now=now)
    else:
        refused = run.complaint if ask in ("output", "results") else {"previous_output": run.output}
        question = question_of(
            ask,
            stage=stage,
            pipeline=run.pipeline.name,
            reason=ASKED_OF_STAGES[ask].format(stage=stage) if ask in ASKED_OF_STAGES else reason_of(run, action),
            complaint=refused,
            now=now,
            seconds=run.pipeline.config.hitl.default_timeout_seconds,
            name=environment.new_id(),
        )
    run.progress.question = {**question, "attempt": run.attempt}
    stands = ask in ("output", "results", "after") and run.failure is None
    run.progress.pending = {"output": run.output} if stands else {}
    shown = {key: value for key, value in question.items() if key != "payload"}
    run.journal.note("escalated", **why(run, action), stage=stage, attempt=run.attempt, request=shown)
    await run.commit("escalated", f"waiting for a decision about {stage}")
    standard.pipeline_waiting(run.pipeline.name, 1)


def _substitute(run: Run, action: _core.Action) -> dict[str, Any]:
    gate = run.pipeline.checks.gate(action.check or 0)
    fallback = gate.fallback if gate is not None else {}
    made = fallback(isolate(run.output)) if callable(fallback) else fallback
    if not isinstance(made, dict):
        raise TypeError(f"the fallback of gate {gate and gate.name!r} gave {type(made).__name__}; give a dict")
    return isolate(made)  # type: ignore[no-any-return]
