"""`@metrics_tracked`: counts and times an agent's runs and changes nothing else about them."""

from __future__ import annotations

import inspect
import sys
from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from functools import wraps
from typing import Any, Protocol, TypeVar, overload

from hagane.observability import standard
from hagane.observability._tracked_class import declare_with_class
from hagane.observability.definitions import AGENT_STATUSES
from hagane.observability.tracing import current_trace_exemplar

__all__ = ["metrics_tracked"]

_modules = sys.modules
_SUCCESS, _ERROR, _CANCELLED = map(AGENT_STATUSES.index, ("success", "error", "cancelled"))

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
    left half-read as "cancelled". Nothing that goes wrong with a metric reaches the caller.
    """
    # The frame of whoever decorates: if that is a class body, the class learns of the agent as soon as it exists.
    namespace = sys._getframe(1).f_locals
    if func is not None:
        return _decorate(func, agent, namespace)
    return lambda function: _decorate(function, agent, namespace)


def _decorate(func: Any, agent: str | None, namespace: dict[str, Any]) -> Any:
    if isinstance(func, (classmethod, staticmethod)):
        return type(func)(_decorate(func.__func__, agent, namespace))
    in_class = _in_class_body(func, namespace)
    takes_self = next(iter(_parameters(func)), None) in ("self", "cls")
    meter_of = _meter_of(func, agent, in_class=in_class, takes_self=takes_self)
    wrapper = _wrap(func, meter_of, by_owner=takes_self and agent is None)
    wrapper.__hagane_tracked__ = True
    if agent is not None:
        standard.declare_agent(agent)
    elif in_class and takes_self:
        declare_with_class(namespace, agent_name)
    elif not takes_self:
        standard.declare_agent(_function_name(func))
    return wrapper


def _in_class_body(func: Any, namespace: dict[str, Any]) -> bool:
    owner = getattr(func, "__qualname__", "").rpartition(".")[0]
    return bool(owner) and owner == namespace.get("__qualname__")


def _function_name(func: Any) -> str:
    return str(getattr(func, "__name__", type(func).__name__))


def agent_name(owner: Any) -> str:
    """Return the agent's name of an object: its `name`, else its class's."""
    try:
        name = getattr(owner, "name", None)
    except Exception:  # A property that is not ready: the run must not fail for the sake of a label.
        name = None
    kind = owner if isinstance(owner, type) else type(owner)
    return name if isinstance(name, str) and name else kind.__name__


class _Meter(Protocol):
    def begin(self) -> float: ...
    def end(self, began: float, way: int, exemplar: Mapping[str, str] | None, /) -> None: ...


class _NoMeter:
    """Stands in where an agent's series cannot be had: the run goes on uncounted."""

    def begin(self) -> float:
        return 0.0

    def end(self, began: float, way: int, exemplar: Mapping[str, str] | None, /) -> None:
        return None


# By agent name; bounded, because names may come from outside. Forgetting them costs a few lookups and nothing else.
_meters: dict[str, _Meter] = {}
_MOST_METERS = 1024


def _meter(agent: str) -> _Meter:
    meter = _meters.get(agent)
    if meter is None:
        try:
            meter = standard.agent_meter(agent)
        except Exception as error:
            standard.complain_once("metrics_tracked", error)
            return _NoMeter()
        if len(_meters) >= _MOST_METERS:
            _meters.clear()
        _meters[agent] = meter
    return meter


def _exemplar() -> dict[str, str] | None:
    # Asked for each run, so most programs, which trace nothing, pay for one lookup and not for the question itself.
    return current_trace_exemplar() if "opentelemetry.trace" in _modules else None


def _way(error: BaseException) -> int:
    return _ERROR if isinstance(error, Exception) else _CANCELLED


def _meter_of(func: Any, agent: str | None, *, in_class: bool, takes_self: bool) -> Callable[[tuple[Any, ...]], _Meter]:
    name = agent or _function_name(func)
    if agent is not None or not (in_class or takes_self):
        return lambda args: _meters.get(name) or _meter(name)

    def is_owner(first: Any) -> bool:
        # A static method's first argument is anything; a method whose first is not called self has itself.
        return takes_self or inspect.getattr_static(first, name, None) is not None

    def meter(args: tuple[Any, ...]) -> _Meter:
        owned = agent_name(args[0]) if args and is_owner(args[0]) else name
        return _meters.get(owned) or _meter(owned)

    return meter


def _parameters(func: Any) -> list[str]:
    try:
        return list(inspect.signature(func).parameters)
    except (TypeError, ValueError):
        return []


class _Run:
    """One run of a generator, from its start to its one end."""

    __slots__ = ("began", "meter")

    def __init__(self, meter: _Meter) -> None:
        self.meter = meter
        self.began = meter.begin()

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        self.meter.end(self.began, _SUCCESS if error is None else _way(error), _exemplar())


def _wrap(func: Any, meter_of: Callable[[tuple[Any, ...]], _Meter], *, by_owner: bool) -> Any:
    # `by_owner`: the usual case, an object with a name that ran before, is looked up in place: a call would cost more.
    if inspect.isasyncgenfunction(func):
        return _wrap_async_generator(func, meter_of)
    if inspect.iscoroutinefunction(func):

        @wraps(func)
        async def run_async(*args: Any, **kwargs: Any) -> Any:
            try:
                meter = (_meters.get(args[0].name) if by_owner else None) or meter_of(args)
            except Exception:  # No name, or a property that is not ready.
                meter = meter_of(args)
            began = meter.begin()
            try:
                result = await func(*args, **kwargs)
            except BaseException as error:
                meter.end(began, _way(error), _exemplar())
                raise
            meter.end(began, _SUCCESS, _exemplar())
            return result

        return run_async
    if inspect.isgeneratorfunction(func):

        @wraps(func)
        def run_generator(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
            with _Run(meter_of(args)):
                return (yield from func(*args, **kwargs))

        return run_generator

    @wraps(func)
    def run(*args: Any, **kwargs: Any) -> Any:
        try:
            meter = (_meters.get(args[0].name) if by_owner else None) or meter_of(args)
        except Exception:  # No name, or a property that is not ready.
            meter = meter_of(args)
        began = meter.begin()
        try:
            result = func(*args, **kwargs)
        except BaseException as error:
            meter.end(began, _way(error), _exemplar())
            raise
        meter.end(began, _SUCCESS, _exemplar())
        return result

    return run


def _wrap_async_generator(func: Any, meter_of: Callable[[tuple[Any, ...]], _Meter]) -> Any:
    @wraps(func)
    async def run_async_generator(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        with _Run(meter_of(args)):
            inner = func(*args, **kwargs)
            step = inner.__anext__()
            while True:
                try:
                    item = await step
                except StopAsyncIteration:
                    return
                try:
                    sent = yield item
                except GeneratorExit:
                    await inner.aclose()
                    raise
                except BaseException as thrown:
                    step = inner.athrow(thrown)
                else:
                    step = inner.asend(sent)

    return run_async_generator
