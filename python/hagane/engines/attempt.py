"""One attempt of a stage: within its budget, with its context, and with what persons answered to its agents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hagane.engines.agents import as_dict
from hagane.engines.effects import StageContext, enter
from hagane.engines.stage import FAILED_KEY, Stage
from hagane.hitl.interrupt import give_answers
from hagane.observability.spending import model_usage

if TYPE_CHECKING:
    from hagane.engines.run import Run

__all__ = ["run_agents", "take_failed"]


async def run_agents(run: Run, stage: Stage, place: int) -> dict[str, Any]:
    """Run the stage's agents once and return the output, ready to be judged; `run.seconds` is how long they took.

    Time, tokens and cost are booked whatever happens. Raises what the agents raise.
    """
    name, journal, progress = stage.name, run.journal, run.progress
    given = progress.inputs_of(name, stage.config.review)
    wall, generation = run.plan.entering(place)
    key = f"{journal.run_id}:{name}:{generation}"
    context = StageContext(run.ledger, journal.run_id, journal.thread_id, name, run.attempt, key)
    if progress.answers:
        context.remaining = iter(_responses(progress.answers.get(name, [])))
    monotonic = run.pipeline.environment.monotonic
    begun = monotonic()
    try:
        work = _in_context(context, stage, given)
        return await run.deadline.bound(work, None if wall is None else wall / 1000)
    finally:
        run.seconds = monotonic() - begun
        run.plan.ran(place, run.seconds)


async def _in_context(context: StageContext, stage: Stage, given: dict[str, Any]) -> dict[str, Any]:
    """Execute the stage with what its agents can ask for; nothing of that is taken back: the context is its own."""
    enter(context)
    model_usage.set(context.book)
    give_answers(context)
    # The inputs are the stage's own already; an `execute` of somebody else's is called instead.
    return await (stage.execute_on(given) if stage.is_plain else _executed(stage, given))


async def _executed(stage: Stage, given: dict[str, Any]) -> dict[str, Any]:
    return as_dict(await stage.execute(given))


def take_failed(output: dict[str, Any], stage: Stage) -> dict[str, Any]:
    """Take the note of agents that failed out of an output; empty if none did or the stage makes no such note."""
    if not stage.config.parallel or stage.config.on_error == "fail":
        return {}
    failed = output.pop(FAILED_KEY, {})
    return failed if isinstance(failed, dict) else {}


def _responses(answered: list[dict[str, Any]]) -> list[Any]:
    from hagane.hitl.types import ApprovalResponse

    return [ApprovalResponse(**answer["response"]) for answer in answered]
