"""One attempt of a stage: within its budget, with its context, and with what persons answered to its agents."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any

from hagane.engines.effects import StageContext
from hagane.engines.stage import FAILED_KEY, Stage

if TYPE_CHECKING:
    from hagane.engines.run import Run

__all__ = ["begin_attempt", "take_failed"]


def begin_attempt(run: Run, stage: Stage, place: int) -> Awaitable[dict[str, Any]]:
    """Begin to run the stage's agents once; await the output, ready to be judged.

    Raises what the agents raise, when it is awaited.
    """
    name, progress = stage.name, run.progress
    wall, generation = run.plan.entering(place)
    context = StageContext(run.ledger, name, run.attempt, generation)
    if progress.answers:
        context.answers = _answers(progress.answers.get(name, []))
    run.ledger.current = context
    work = stage.execute_in(context, progress.inputs_of(name, stage.config.review))
    return run.deadline.bound(work, None if wall is None else wall / 1000)


def take_failed(output: dict[str, Any], stage: Stage) -> dict[str, Any]:
    """Take the note of agents that failed out of an output; empty if none did or the stage makes no such note."""
    if not stage.config.parallel or stage.config.on_error == "fail":
        return {}
    failed = output.pop(FAILED_KEY, {})
    return failed if isinstance(failed, dict) else {}


def _answers(answered: list[dict[str, Any]]) -> list[tuple[str | None, Any]]:
    from hagane.hitl.types import ApprovalResponse

    return [(answer.get("asked"), ApprovalResponse(**answer["response"])) for answer in answered]
