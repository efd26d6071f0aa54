"""Runs of engines whose loop a subclass overrides: every way to run or resume goes through the subclass's method."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hagane.engines.base import RunNames
from hagane.engines.events import Event

if TYPE_CHECKING:
    from hagane.engines.pipeline_engine import PipelineEngine

__all__ = ["Call", "current_call", "driven", "not_applied", "through"]

Events = AsyncGenerator[Event, None]


@dataclass
class Call:
    """One call of `run`, `resume` or their streams.

    Attributes:
        engine: whose call it is.
        names: of the run that it is about.
        first: what the engine's own loop does when it is first come to: begin a run over the inputs, or go on with one.
        drives: how often the engine's own loop was come to.
        status: of the last run that it drove to its end.
        told: the events, and None when the subclass's method has ended.
    """

    engine: PipelineEngine
    names: RunNames
    first: Callable[[dict[str, Any], RunNames], Events]
    drives: int = 0
    status: str | None = None
    told: asyncio.Queue[Event | None] = field(default_factory=asyncio.Queue)


current_call: ContextVar[Call | None] = ContextVar("hagane_overridden_call", default=None)


async def driven(engine: PipelineEngine, call: Call, inputs: dict[str, Any]) -> dict[str, Any]:
    """Do what `super()._execute` does in this call: the first time what was asked for, then further runs."""
    call.drives += 1
    if call.drives == 1:
        events = call.first(inputs, call.names)
    else:
        names = engine._new_names(call.names.thread_id)
        engine._names.set(names)
        events = engine._events(inputs, names.thread_id, names.flow_id)
    result: dict[str, Any] = {}
    async with aclosing(events) as listening:
        async for event in listening:
            call.told.put_nowait(event)
            if event["type"] == "run_completed":
                result = event["result"]
    call.status = result.get("status")
    return result


async def through(engine: PipelineEngine, call: Call, inputs: dict[str, Any]) -> Events:
    """Call the subclass's `_execute` and yield what happens; the last event has what it returned."""
    task = asyncio.ensure_future(_work(engine, call, inputs))
    held: Event | None = None
    try:
        while (event := await call.told.get()) is not None:
            if held is not None:
                yield held
            # The end of a run that the engine drove is not yet the end of the subclass's method.
            held = event if event["type"] == "run_completed" else None
            if held is None:
                yield event
        try:
            result = await task
        except BaseException:
            if held is not None:
                yield held
            raise
        for event in [held] if held is not None else _own_loops_events(engine, call, result):
            yield {**event, "result": result} if event["type"] == "run_completed" else event
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _work(engine: PipelineEngine, call: Call, inputs: dict[str, Any]) -> dict[str, Any]:
    current_call.set(call)
    engine._names.set(call.names)
    try:
        return await engine._execute(inputs)
    finally:
        call.told.put_nowait(None)


def _own_loops_events(engine: PipelineEngine, call: Call, result: Any) -> list[Event]:
    """Make the events of a run in which the engine drove nothing."""
    pipeline, told = engine._pipeline(), result if isinstance(result, dict) else {}
    journal = engine._journal(call.names.thread_id, call.names.flow_id)
    journal.note("run_started", pipeline=pipeline.name, stages=pipeline.names)
    journal.note("run_completed", status=str(told.get("status", "success")), reason=told.get("reason"), duration_ms=0.0)
    return journal.history


def not_applied(engine: PipelineEngine) -> list[str]:
    """List the settings of an engine that a loop of somebody else's does nothing for."""
    config, stages = engine._config, engine._stage_configs
    limited = [config.max_tokens, config.max_cost, config.max_stage_starts]
    limited += [limit for stage in stages for limit in (stage.max_attempts, stage.max_tokens, stage.max_cost)]
    limited += [stage.timeout_seconds for stage in stages]
    asking = [stage.interrupt_before or stage.interrupt_after for stage in stages]
    asking += [config.hitl.enabled and bool(config.hitl.interrupt_before or config.hitl.interrupt_after)]
    found = {
        "quality gates": bool(engine._quality_gates) or any(stage.gates for stage in stages),
        "gate and review stages": any(stage.gate or stage.review for stage in stages),
        "interrupts": any(asking),
        "checkpoint_store": engine._store is not None,
        "compensations": any(stage.compensate for stage in stages),
        "budgets and limits": any(limit is not None for limit in limited),
    }
    return [name for name, is_set in found.items() if is_set]
