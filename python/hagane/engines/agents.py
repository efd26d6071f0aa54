"""Calling whatever a stage was given as its agent."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from hagane.engines.environment import Environment
from hagane.engines.interrupts import is_interrupt
from hagane.errors import PipelineError
from hagane.observability import standard, tracing

METHODS = ("run", "invoke", "process")
TRACKED = "__hagane_tracked__"


def instance_of(agent: Any) -> Any:
    """Make an instance of a class, leave anything else as it is."""
    return agent() if isinstance(agent, type) else agent


def entry_point(agent: Any, stage: str) -> Callable[[dict[str, Any]], Any]:
    """Find what to call: the first of `run`, `invoke`, `process`, or the agent itself.

    Raises:
        PipelineError: there is nothing to call.
    """
    for method in METHODS:
        found = getattr(agent, method, None)
        if callable(found):
            return found  # type: ignore[no-any-return]
    if callable(agent):
        return agent  # type: ignore[no-any-return]
    raise PipelineError(
        f"stage {stage!r}: {type(agent).__name__} has none of run, invoke, process and cannot be called; "
        "give a class or instance with one of them, or a function of the inputs"
    )


def agent_name(agent: Any, stage: str) -> str:
    """The agent's `name` if it has one, else that of its function or class; a lambda goes by its stage."""
    for source in (getattr(agent, "name", None), getattr(agent, "__name__", None)):
        if isinstance(source, str) and source:
            return stage if source == "<lambda>" else source
    return type(agent).__name__


def counts_itself(agent: Any, stage: str) -> bool:
    """Whether the agent reports its own runs (`@metrics_tracked`), so that nobody else may count them."""
    return bool(getattr(entry_point(agent, stage), TRACKED, False))


async def initialize(agent: Any) -> None:
    """Call the agent's `initialize`, if it has one."""
    hook = getattr(agent, "initialize", None)
    if callable(hook):
        waiting = hook()
        if inspect.isawaitable(waiting):
            await waiting


async def call(agent: Any, stage: str, inputs: dict[str, Any], environment: Environment) -> dict[str, Any]:
    """Run the agent once, count it once, and give its result as a dict.

    An agent that counts itself (`@metrics_tracked`) is not counted here. A synchronous agent runs in a thread, so that
    it neither blocks the event loop nor escapes the time limit; the thread itself cannot be stopped.
    """
    function = entry_point(agent, stage)
    name = agent_name(agent, stage)
    if getattr(function, tracing.SPANS_ITSELF, False):
        return await _counted(agent, name, stage, function, inputs, environment)
    with tracing.agent_span(name):
        return await _counted(agent, name, stage, function, inputs, environment)


async def _counted(
    agent: Any,
    name: str,
    stage: str,
    function: Callable[[dict[str, Any]], Any],
    inputs: dict[str, Any],
    environment: Environment,
) -> dict[str, Any]:
    if counts_itself(agent, stage):
        return as_dict(await _invoke(function, inputs))
    begun, status = environment.monotonic(), "cancelled"
    standard.agent_started(name)
    try:
        result = as_dict(await _invoke(function, inputs))
        status = "success"
    except Exception as error:
        status = "cancelled" if is_interrupt(error) else "error"
        raise
    finally:
        standard.agent_ended(name)
        standard.agent_run(name, status, environment.monotonic() - begun)
    return result


async def _invoke(function: Callable[[dict[str, Any]], Any], inputs: dict[str, Any]) -> Any:
    if is_async(function):
        return await function(inputs)
    result = await asyncio.to_thread(function, inputs)
    return await result if inspect.isawaitable(result) else result


def is_async(function: Callable[..., Any]) -> bool:
    """Whether calling it gives a coroutine; looks through `__call__` of objects."""
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(getattr(function, "__call__", None))  # noqa: B004


def as_dict(result: Any) -> dict[str, Any]:
    """Make a dict of a stage's output: None is empty, models are dumped, anything else goes under `result`."""
    if result is None:
        return {}
    if isinstance(result, Mapping):
        return dict(result)
    dump = getattr(result, "model_dump", None)
    if callable(dump):
        return dict(dump())
    return {"result": result}
