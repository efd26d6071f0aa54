"""Compensation: undoing what a stage did, once, with retries, before the run goes on."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from hagane import _core
from hagane.engines.interrupts import is_interrupt
from hagane.engines.isolate import isolate
from hagane.engines.traces import log_failure
from hagane.engines.workers import in_thread
from hagane.hitl.interrupt import given_answers

if TYPE_CHECKING:
    from hagane.engines.run import Run

__all__ = ["CompensationFailed", "compensate"]


class CompensationFailed(Exception):
    """What a stage did could not be undone; the run stands where it was and tries again when it is resumed."""


async def compensate(run: Run, place: int) -> _core.Action:
    """Undo the stage at `place`; return what the plan says then.

    Raises:
        CompensationFailed: it raised each time.
        OutOfTime: the run's time is spent.
    """
    stage = run.pipeline.stages[place]
    record = {
        "stage": stage.name,
        "output": isolate(run.progress.outputs.get(stage.name)),
        "effects": isolate(run.progress.effects.get(stage.name, {})),
        "idempotency_key": f"{run.journal.run_id}:{stage.name}:{run.plan.generation(place)}:undo",
        "inputs": isolate(run.progress.inputs),
    }
    retries = run.pipeline.config.max_retries
    for number in range(1, retries + 2):
        try:
            await run.deadline.bound(_undo(stage.config.compensate, isolate(record)))
            break
        except Exception as error:
            if is_interrupt(error):
                raise
            log_failure(f"the compensation of stage {stage.name!r}", error)
            run.journal.note("compensation_failed", stage=stage.name, attempt=number, error=_told(error))
            if number > retries or type(error).__name__ == "OutOfTime":
                raise CompensationFailed(f"the compensation of stage {stage.name!r} failed: {_told(error)}") from error
            await run.pause(number, error)
    run.progress.undo(stage.name)
    action = run.plan.compensated()
    run.journal.note("compensation_completed", stage=stage.name)
    await run.commit("running", f"{stage.name} is undone")
    return action


async def _undo(function: Any, record: dict[str, Any]) -> None:
    # What a compensation asks is not a stage's question: it goes to the checkpointer that is set, not to the run.
    token = given_answers.set(None)
    try:
        await _called(function, record)
    finally:
        given_answers.reset(token)


async def _called(function: Any, record: dict[str, Any]) -> None:
    if inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(getattr(function, "__call__", None)):  # noqa: B004
        await function(record)
        return
    done = await in_thread(function, record)
    if inspect.isawaitable(done):
        await done


def _told(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"
