"""Calling whatever a stage was given as its agent."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from types import MethodType
from typing import Any

from hagane.engines.interrupts import is_interrupt
from hagane.engines.workers import in_thread
from hagane.errors import PipelineError
from hagane.observability import tracing
from hagane.observability._meters import CANCELLED, ERROR, SUCCESS, meter_of

__all__ = ["Agent", "agent_name", "as_dict", "entry_point", "initialize", "instance_of", "is_async"]

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


async def initialize(agent: Any) -> None:
    """Call the agent's `initialize`, if it has one."""
    hook = getattr(agent, "initialize", None)
    if callable(hook):
        waiting = hook()
        if inspect.isawaitable(waiting):
            await waiting


class Agent:
    """An agent of a stage. How it is to be called is found out once, and again only if it has another method by then.

    `name` is what its runs are counted under.

    Raises:
        PipelineError: there is nothing to call.
    """

    def __init__(self, agent: Any, stage: str) -> None:
        self.given = agent
        self.name = agent_name(agent, stage)
        self._stage = stage
        self._meter = meter_of(self.name)
        self._look(entry_point(agent, stage))

    def _look(self, function: Callable[[dict[str, Any]], Any]) -> None:
        if inspect.isasyncgenfunction(function) or inspect.isgeneratorfunction(function):
            raise PipelineError(_gives_pieces(f"stage {self._stage!r}: agent {self.name!r}"))
        self._function = function
        self._method = next((name for name in METHODS if callable(getattr(self.given, name, None))), None)
        self._is_async = is_async(function)
        self._counts_itself = bool(getattr(function, TRACKED, False))
        self._spans_itself = bool(getattr(function, tracing.SPANS_ITSELF, False))

    async def run(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """Run the agent once, count it once, and give its result as a dict.

        An agent that counts itself (`@metrics_tracked`) is not counted here. A synchronous agent runs in a thread, so
        that it neither blocks the event loop nor escapes the time limit; the thread itself cannot be stopped.
        """
        function: Any = self.given if self._method is None else getattr(self.given, self._method, None)
        if function is not self._function and not (type(function) is MethodType and function == self._function):
            function = entry_point(self.given, self._stage)
            self._look(function)
        if self._counts_itself or tracing.API in sys.modules:
            return await self._shown(function, inputs)
        began = self._meter.begin()
        try:
            result = await (function(inputs) if self._is_async else _in_thread(function, inputs))
            output = result if type(result) is dict else as_dict(result)
        except BaseException as error:
            self._meter.end(began, _way(error))
            raise
        self._meter.succeed(began)
        return output

    async def _shown(self, function: Callable[[dict[str, Any]], Any], inputs: dict[str, Any]) -> dict[str, Any]:
        """Do the same for an agent that counts itself, or where somebody may be tracing."""
        with nullcontext() if self._spans_itself else tracing.agent_span(self.name):
            if self._counts_itself:
                return as_dict(await (function(inputs) if self._is_async else _in_thread(function, inputs)))
            began = self._meter.begin()
            try:
                result = as_dict(await (function(inputs) if self._is_async else _in_thread(function, inputs)))
            except BaseException as error:
                self._meter.end(began, _way(error), tracing.current_trace_exemplar())
                raise
            self._meter.end(began, SUCCESS, tracing.current_trace_exemplar())
            return result


def _way(error: BaseException) -> int:
    return ERROR if isinstance(error, Exception) and not is_interrupt(error) else CANCELLED


async def _in_thread(function: Callable[[dict[str, Any]], Any], inputs: dict[str, Any]) -> Any:
    result = await in_thread(function, inputs)
    return await result if inspect.isawaitable(result) else result


def is_async(function: Callable[..., Any]) -> bool:
    """Whether calling it gives a coroutine; looks through `__call__` of objects."""
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(getattr(function, "__call__", None))  # noqa: B004


def _gives_pieces(who: str) -> str:
    return f"{who} is a generator, which does nothing by being called; collect what it yields and return a dict"


def as_dict(result: Any) -> dict[str, Any]:
    """Make a dict of a stage's output: None is empty, models are dumped, anything else goes under `result`."""
    if type(result) is dict:
        return result
    if result is None:
        return {}
    if isinstance(result, Mapping):
        return dict(result)
    if inspect.isasyncgen(result) or inspect.isgenerator(result):
        raise PipelineError(_gives_pieces("the agent"))
    dump = getattr(result, "model_dump", None)
    if callable(dump):
        return dict(dump())
    return {"result": result}
