"""`@metrics_tracked`: counts and times an agent's runs and changes nothing else about them."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable
from types import MethodType
from typing import Any, TypeVar, overload

from hagane.observability import standard
from hagane.observability._meters import METERS, Meter, agent_name, meter_of
from hagane.observability._nesting import MARK, Nesting, look_when_called, nesting_of
from hagane.observability._tracked_class import declare_with_class, look_with_class, tidy
from hagane.observability._wrappers import MeterOf, wrap
from hagane.observability.tracing import SPANS_ITSELF

__all__ = ["metrics_tracked"]

Function = TypeVar("Function", bound=Callable[..., Any])


@overload
def metrics_tracked(func: Function) -> Function: ...
@overload
def metrics_tracked(*, agent: str | None = None) -> Callable[[Function], Function]: ...
def metrics_tracked(func: Any = None, *, agent: str | None = None) -> Any:
    """Report each run of `func` to `agent_execution_total` and `agent_execution_duration_seconds`.

    Works on functions, methods, coroutines, generators and async generators; the result is of the same sort and has
    `__hagane_tracked__ = True`. The agent is `agent`, else the `name` of the object the method belongs to, else its
    class; a function's own name, a bound method's object's, a `partial`'s function's. A run that raises counts as
    "error", one that is cancelled, interrupted or left half-read as "cancelled". A coroutine, a generator, or a future
    of asyncio or `concurrent.futures` that a plain function returns is part of its run; any other awaitable is handed
    out as it is, and the run ends with the call. A method called within a run of the same object, for the same agent,
    is part of that run (`super().run()`); one that calls itself counts each time. Where OpenTelemetry is used each run
    is an `invoke_agent` span. Nothing that goes wrong with a metric or a span reaches the caller.

    Raises `TypeError` for what does not run (a class, a property, a `partialmethod`), and for a string, which would be
    a name.
    The agent's series are there at 0 before its first run: when the function is decorated, or when a class that has a
    `name`, or an object, is made, subclasses included.
    """
    # The frame of whoever decorates: if that is a class body, the class learns of the agent as soon as it exists.
    namespace = sys._getframe(1).f_locals
    if func is not None:
        return _decorate(func, agent, namespace)
    return lambda function: _decorate(function, agent, namespace)


def _decorate(func: Any, agent: str | None, namespace: dict[str, Any]) -> Any:
    if isinstance(func, str):
        raise TypeError(f"an agent's name is given by name: @metrics_tracked(agent={func!r})")
    if isinstance(func, type):
        raise TypeError(f"@metrics_tracked is for what runs: put it on a method of {func.__name__}, not on the class")
    if isinstance(func, property):
        raise TypeError("@metrics_tracked is for what runs: put it below @property, on the function")
    if isinstance(func, functools.partialmethod):
        raise TypeError("@metrics_tracked is for what runs: write partialmethod(metrics_tracked(function), ...)")
    if isinstance(func, (classmethod, staticmethod)):
        return type(func)(_decorate(func.__func__, agent, namespace))
    if not callable(func):
        raise TypeError(f"@metrics_tracked is for what runs: a function or a method, not {type(func).__name__}")
    in_class = _in_class_body(func, namespace)
    takes_self = next(iter(_parameters(func)), None) in ("self", "cls")
    finds = _meter_of(func, agent, in_class=in_class, takes_self=takes_self)
    nesting: Nesting = []
    wrapper = wrap(func, finds, nesting, by_owner=takes_self and agent is None)
    if takes_self and (not in_class or nesting_of(func) is not None or not look_with_class(namespace)):
        look_when_called(nesting)
    setattr(wrapper, MARK, nesting)
    wrapper.__hagane_tracked__ = True
    wrapper.__hagane_agent__ = agent
    setattr(wrapper, SPANS_ITSELF, True)
    if agent is not None:
        standard.declare_agent(agent)
    elif in_class and takes_self:
        declare_with_class(namespace)
    elif not takes_self:
        standard.declare_agent(_function_name(func))
    return wrapper


def _in_class_body(func: Any, namespace: dict[str, Any]) -> bool:
    owner = getattr(func, "__qualname__", "").rpartition(".")[0]
    return bool(owner) and owner == namespace.get("__qualname__")


def _function_name(func: Any) -> str:
    func = _inner(func)
    if isinstance(func, MethodType):
        return agent_name(func.__self__)
    return str(getattr(func, "__name__", type(func).__name__))


def _inner(func: Any) -> Any:
    """The function that a `partial` calls."""
    while isinstance(func, functools.partial):
        func = func.func
    return func


def _meter_of(func: Any, agent: str | None, *, in_class: bool, takes_self: bool) -> MeterOf:
    name = agent or _function_name(func)
    if agent is not None or not (in_class or takes_self):
        return lambda args: METERS.get(name) or meter_of(name)

    def is_owner(first: Any) -> bool:
        # A static method's first argument is anything; a method whose first is not called self has itself.
        return takes_self or inspect.getattr_static(first, name, None) is not None

    def meter(args: tuple[Any, ...]) -> Meter:
        owned = agent_name(args[0]) if args and is_owner(args[0]) else name
        found = METERS.get(owned)
        if found is None and args:
            tidy(args[0])
        return found or meter_of(owned)

    return meter


def _parameters(func: Any) -> list[str]:
    try:
        return list(inspect.signature(func).parameters)
    except (TypeError, ValueError):
        return []
