"""What a run says of itself: why something happened, and the result when it is over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hagane import _core
from hagane.engines.isolate import isolate
from hagane.engines.journal import Journal
from hagane.engines.ledger import MILLIONTHS
from hagane.engines.progress import Progress

if TYPE_CHECKING:
    from hagane.engines.pipeline import Pipeline
    from hagane.engines.run import Run

__all__ = ["finished", "reason_of", "why"]

BUDGETS = {
    "starts": "the run's starts are spent (EngineConfig.max_stage_starts)",
    "attempts": "the stage's attempts are spent (StageConfig.max_attempts)",
    "wall": "the stage's time is spent (StageConfig.timeout_seconds)",
    "tokens": "not enough tokens are left for one more attempt (max_tokens of the stage or the engine)",
    "cost": "not enough of the cost budget is left for one more attempt (max_cost of the stage or the engine)",
}


def reason_of(run: Run, action: _core.Action) -> str:
    """Why the plan says `action`: the failed check's complaint, or the budget that is spent."""
    if action.budget is not None:
        return BUDGETS[action.budget]
    reason = str(run.complaint.get("message", ""))
    given_up = run.repeated and run.failure is not None and action.kind not in ("retry", "rollback")
    return f"{reason} (the same as before, so it was not tried again)" if given_up else reason


def why(run: Run, action: _core.Action) -> dict[str, Any]:
    """Name the failed check for events; `gate` is None for built-in checks."""
    reason = reason_of(run, action)
    if action.check is None:
        return {"check": "budget" if action.budget else "human", "gate": None, "reason": reason}
    checks = run.pipeline.checks
    name = checks.rows[action.check][0]
    gate = name if checks.gate(action.check) or action.check in checks.revise.values() else None
    return {"check": name.partition(":")[0] if name in _isolated(run) else name, "gate": gate, "reason": reason}


def _isolated(run: Run) -> set[str]:
    return {run.pipeline.checks.rows[place][0] for place in run.pipeline.checks.isolated.values()}


def finished(
    pipeline: Pipeline, progress: Progress, journal: Journal, plan: _core.Plan, report: Any = None
) -> dict[str, Any]:
    """Make the result of a run that has ended, as the caller gets it."""
    attempts = dict(zip(pipeline.names, plan.attempts, strict=True))
    result = {
        **progress.ending,
        "results": isolate(progress.outputs),
        "attempts": attempts,
        "run_id": journal.run_id,
        "thread_id": journal.thread_id,
        **(_noted(progress) if progress.notes else {}),
        **_used(pipeline, plan),
    }
    if result["status"] in ("success", "partial"):
        outputs = progress.outputs
        whole = len(outputs) == len(attempts)
        result["skipped"] = [] if whole else [name for name in attempts if attempts[name] and name not in outputs]
    return pipeline.reporter.dress(result, report)


def _noted(progress: Progress) -> dict[str, Any]:
    """What is to be said of accepted stages: `failed` (agents, by stage) and `advice` (of reviewers, by stage)."""
    told: dict[str, Any] = {}
    for stage, notes in progress.notes.items():
        for kind, note in notes.items():
            told.setdefault(kind, {})[stage] = isolate(note)
    return told


def _used(pipeline: Pipeline, plan: _core.Plan) -> dict[str, Any]:
    """Tokens and cost by stage, where there were any."""
    names = pipeline.names
    used = {names[stage]: {"tokens": tokens, "cost": cost / MILLIONTHS} for stage, tokens, cost in plan.spent}
    return {"used": used} if used else {}
