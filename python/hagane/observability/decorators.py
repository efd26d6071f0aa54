"""`@metrics_tracked`: counts and times an agent's runs and changes nothing else about them."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from typing import Any, TypeVar, overload

from hagane.observability import standard
from hagane.observability._meters import METERS, Meter, agent_name, meter_of
from hagane.observability._tracked_class import declare_with_class
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
    class; a plain function's own name. A run that raises counts as "error", one that is cancelled, interrupted or
    left half-read as "cancelled". What a plain function returns to be awaited or iterated over (a coroutine, a future,
    a generator) is part of its run. Where OpenTelemetry's API is loaded each run is an `invoke_agent` span. Nothing
    that goes wrong with a metric or a span reaches the caller.

    Raises `TypeError` for a class, and for a string, which would be a name.
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
    if isinstance(func, (classmethod, staticmethod)):
        return type(func)(_decorate(func.__func__, agent, namespace))
    in_class = _in_class_body(func, namespace)
    takes_self = next(iter(_parameters(func)), None) in ("self", "cls")
    finds = _meter_of(func, agent, in_class=in_class, takes_self=takes_self)
    wrapper = wrap(func, finds, by_owner=takes_self and agent is None)
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
    return str(getattr(func, "__name__", type(func).__name__))


def _meter_of(func: Any, agent: str | None, *, in_class: bool, takes_self: bool) -> MeterOf:
    name = agent or _function_name(func)
    if agent is not None or not (in_class or takes_self):
        return lambda args: METERS.get(name) or meter_of(name)

    def is_owner(first: Any) -> bool:
        # A static method's first argument is anything; a method whose first is not called self has itself.
        return takes_self or inspect.getattr_static(first, name, None) is not None

    def meter(args: tuple[Any, ...]) -> Meter:
        owned = agent_name(args[0]) if args and is_owner(args[0]) else name
        return METERS.get(owned) or meter_of(owned)

    return meter


def _parameters(func: Any) -> list[str]:
    try:
        return list(inspect.signature(func).parameters)
    except (TypeError, ValueError):
        return []
