"""One attempt of a stage: within its budget, with its context, and with what persons answered to its agents."""

from __future__ import annotations

import math
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

from hagane.engines.agents import as_dict
from hagane.engines.effects import StageContext, enter, leave
from hagane.engines.stage import FAILED_KEY, Stage
from hagane.hitl.interrupt import answers
from hagane.observability.spending import model_usage

if TYPE_CHECKING:
    from hagane.engines.run import Run

__all__ = ["run_agents", "take_failed"]


async def run_agents(run: Run, stage: Stage, place: int) -> dict[str, Any]:
    """Run the stage's agents once and return the output, ready to be judged.

    Time, tokens and cost are booked whatever happens. Raises what the agents raise.
    """
    given = run.progress.inputs_of(stage.name, review=stage.config.review)
    responses = _responses(run.progress.answers.get(stage.name, []))
    wall = run.plan.left(place)[0]
    context = StageContext(
        run.ledger,
        run_id=run.journal.run_id,
        thread_id=run.journal.thread_id,
        stage=stage.name,
        attempt=run.attempt,
        key=f"{run.journal.run_id}:{stage.name}:{run.plan.generation(place)}",
    )
    begun = run.pipeline.environment.monotonic()
    entered = enter(context)
    told = model_usage.set(lambda tokens, cost: run.ledger.spend(stage.name, tokens, cost))
    try:
        with answers(responses, thread_id=run.journal.thread_id, flow_id=run.journal.run_id, node_id=stage.name):
            output = await run.deadline.bound(_executed(stage, given), None if wall is None else wall / 1000)
    finally:
        model_usage.reset(told)
        leave(entered)
        run.plan.used(place, wall=math.ceil((run.pipeline.environment.monotonic() - begun) * 1000))
    return as_dict(output)


def _executed(stage: Stage, given: dict[str, Any]) -> Coroutine[Any, Any, dict[str, Any]]:
    """Execute the stage on inputs that are its own already; an `execute` of somebody else's is called instead."""
    own = type(stage) is Stage and "execute" not in vars(stage)
    return stage.execute_on(given) if own else stage.execute(given)


def take_failed(output: dict[str, Any], stage: Stage) -> dict[str, Any]:
    """Take the note of agents that failed out of an output; empty if none did or the stage makes no such note."""
    if not stage.config.parallel or stage.config.on_error == "fail":
        return {}
    failed = output.pop(FAILED_KEY, {})
    return failed if isinstance(failed, dict) else {}


def _responses(answered: list[dict[str, Any]]) -> list[Any]:
    if not answered:
        return []
    from hagane.hitl.types import ApprovalResponse

    return [ApprovalResponse(**answer["response"]) for answer in answered]
