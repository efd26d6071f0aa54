"""What an action of the plan means before anything is done: notes in the journal, and what is to be committed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hagane import _core
from hagane.engines.ending import reason_of, why
from hagane.engines.interrupts import question_of, question_of_agent
from hagane.engines.isolate import isolate
from hagane.observability import standard

if TYPE_CHECKING:
    from hagane.engines.run import Run

__all__ = ["STARTS", "accept", "committed", "prepare", "start"]

STARTS = ("run", "retry")
ASKED_OF_STAGES = {
    "before": "stage {stage!r} may run only when a person approved it",
    "after": "the output of stage {stage!r} is taken over only when a person approved it",
}

# Status and label of a commit.
Commit = tuple[str, str]
# One that no store sees.
UNSTORED: Commit = "running", ""


def prepare(run: Run, action: _core.Action, kind: str) -> Commit | None:
    """Note an action, which is of this kind; what is to be committed before it is done, None if nothing is."""
    if kind in STARTS:
        return start(run, action, kind)
    if kind == "accept":
        accept(run, run.pipeline.names[action.stage or 0])
        return None
    if kind in ("skip", "fallback"):
        _go_on_without(run, action, kind)
        return None
    if kind == "check_final":
        return "running", "before the checks of the merged results"
    if kind == "rollback":
        _rollback(run, action)
        return None
    if kind == "compensate":
        run.journal.note("compensation_started", stage=run.stage(action).name)
        return "running", f"before the compensation of {run.stage(action).name}"
    return _question(run, action) if kind == "ask" else None


def committed(run: Run, action: _core.Action, kind: str) -> None:
    """Do what follows the commit of an action."""
    if kind == "run" and run.journal.store is not None:
        run.progress.points[run.stage(action).name] = run.journal.checkpoint
    elif kind == "ask":
        standard.pipeline_waiting(run.pipeline.name, 1)


def start(run: Run, action: _core.Action, kind: str) -> Commit:
    """Note that a stage is started, and why again."""
    place = action.stage or 0
    name = run.pipeline.names[place]
    run.attempt = action.attempt or 1
    if len(run.progress.outputs) > place or run.attempt > 1:
        run.progress.drop_from(run.pipeline.names, name)
    if kind == "retry":
        run.progress.feedback[name] = run.complaint
        if run.failure is None:
            run.progress.take_back_answers(name)
        run.journal.note("retry", **why(run, action), stage=name, attempt=run.attempt)
        standard.stage_retry(run.pipeline.name, name)
    run.journal.note_small("stage_started", {"stage": name, "attempt": run.attempt})
    return UNSTORED if run.journal.store is None else ("running", f"before {name}, attempt {run.attempt}")


def _rollback(run: Run, action: _core.Action) -> None:
    stage, origin = run.stage(action), run.pipeline.names[action.origin or 0]
    run.progress.feedback[stage.name] = run.complaint
    run.progress.drop_decisions(run.pipeline.names, stage.name)
    run.journal.supersede_after = run.progress.points.get(stage.name)
    to = {"stage": stage.name, "attempt": action.attempt}
    run.journal.note("rollback", **why(run, action), **to, from_stage=origin, to_stage=stage.name)
    standard.rollback(run.pipeline.name, stage.name)


def accept(run: Run, stage: str) -> None:
    """Take the stage's output over."""
    progress = run.progress
    if run.learn is not None and stage not in progress.outputs:
        # Anomaly detection gets to know an output that was accepted; a substitute is none.
        run.learn(stage, isolate(run.output))
    progress.accept(stage, run.output)
    if progress.feedback:
        progress.feedback.pop(stage, None)
    run.journal.note_small("checkpoint", {"stage": stage, "attempt": run.attempt})


def _go_on_without(run: Run, action: _core.Action, kind: str) -> None:
    """Go on without the stage's output, or with a substitute."""
    name = run.pipeline.names[action.stage or 0]
    if kind == "skip":
        run.journal.note("skipped", **why(run, action), stage=name, attempt=run.attempt)
    else:
        try:
            run.output = _substitute(run, action)
        except Exception as error:
            run.broken = f"the fallback failed: {type(error).__name__}: {error}"
            return
        run.journal.note("fallback_used", **why(run, action), stage=name, attempt=run.attempt)
        run.progress.accept(name, run.output)
    run.progress.feedback.pop(name, None)
    run.journal.note_small("checkpoint", {"stage": name, "attempt": run.attempt})


def _question(run: Run, action: _core.Action) -> Commit:
    stage, ask, environment = run.stage(action).name, action.ask or "output", run.pipeline.environment
    run.ledger.close()
    now = environment.clock()
    if run.progress.question:  # it was asked before the run was stopped
        question = run.progress.question
        about = {"check": "human", "gate": question.get("gate"), "reason": question["reason"]}
        run.journal.note("escalated", **about, stage=stage, attempt=run.attempt, request=_shown(question))
        return "escalated", f"waiting for a decision about {stage}"
    if ask == "agent":
        question = question_of_agent(run.asked, stage=stage, now=now, asker=run.asker)
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
    run.journal.note("escalated", **why(run, action), stage=stage, attempt=run.attempt, request=_shown(question))
    return "escalated", f"waiting for a decision about {stage}"


def _shown(question: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in question.items() if key not in ("payload", "asked", "asker")}


def _substitute(run: Run, action: _core.Action) -> dict[str, Any]:
    gate = run.pipeline.checks.gate(action.check or 0)
    fallback = gate.fallback if gate is not None else {}
    made = fallback(isolate(run.output)) if callable(fallback) else fallback
    if not isinstance(made, dict):
        raise TypeError(f"the fallback of gate {gate and gate.name!r} gave {type(made).__name__}; give a dict")
    return isolate(made)  # type: ignore[no-any-return]
