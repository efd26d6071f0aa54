"""The function that `@metrics_tracked` puts in a function's place: of the same sort, and counting.

Where nobody traces, a run costs two calls into Rust.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from functools import wraps
from typing import Any

from hagane.observability._later import AT_ONCE, settled
from hagane.observability._meters import METERS, Meter, way_of
from hagane.observability._nesting import Nesting, Within, is_part
from hagane.observability._runs import Run, relay, relay_async
from hagane.observability.tracing import API, is_on

__all__ = ["MeterOf", "wrap"]

_modules, _TRACING = sys.modules, API
MISSING: Any = object()

MeterOf = Callable[[tuple[Any, ...]], Meter]
"""Finds the meter of a call by its arguments; never raises."""


def wrap(func: Any, meter_of: MeterOf, nesting: Nesting, *, by_owner: bool) -> Any:
    """Make what runs `func` and counts it.

    `nesting`: not empty where a call may be part of a run of the same object.

    `by_owner`: the usual case, an object with a name that ran before, is looked up in place: a call would cost more.
    """
    if inspect.isasyncgenfunction(func):
        return wraps(func)(relay_async(lambda args: _begin(args, meter_of(args), nesting), func))
    if inspect.isgeneratorfunction(func):
        return wraps(func)(relay(lambda args: _begin(args, meter_of(args), nesting), func))
    make = _wrap_async if inspect.iscoroutinefunction(func) else _wrap_sync
    return make(func, meter_of, by_owner, nesting)


def _begin(args: tuple[Any, ...], meter: Meter, nesting: Nesting) -> Run | None:
    """Begin a run, or give None if the call is part of one."""
    if not (nesting and args):
        return Run(meter)
    return None if is_part(args[0], meter, nesting) else Run(meter, Within(args[0], meter, nesting))


def _wrap_async(func: Any, meter_of: MeterOf, by_owner: bool, nesting: Nesting) -> Any:
    # Nearly every call hands an object and one argument by position. Taking these two by themselves saves making a
    # tuple of them and taking it apart again.
    @wraps(func)
    async def run_async(owner: Any = MISSING, given: Any = MISSING, /, *more: Any, **named: Any) -> Any:
        try:
            meter = METERS[owner.name] if by_owner else meter_of(_together(owner, given, more))
        except Exception:  # Not seen before, no name, or a property that is not ready.
            meter = meter_of(_together(owner, given, more))
        if nesting or (_TRACING in _modules and is_on()):
            args = _together(owner, given, more)
            if (whole := _begin(args, meter, nesting)) is None:
                return await func(*args, **named)
            with whole as run, run.active():
                return await func(*args, **named)
        began = meter.begin()
        try:
            if more or named or given is MISSING:
                result = await func(*_together(owner, given, more), **named)
            else:
                result = await func(owner, given)
        except BaseException as error:
            meter.end(began, way_of(error))
            raise
        meter.succeed(began)
        return result

    return run_async


def _together(owner: Any, given: Any, more: tuple[Any, ...]) -> tuple[Any, ...]:
    if given is MISSING:
        return () if owner is MISSING else (owner,)
    return (owner, given, *more)


def _wrap_sync(func: Any, meter_of: MeterOf, by_owner: bool, nesting: Nesting) -> Any:
    @wraps(func)
    def run_at_once(*args: Any, **kwargs: Any) -> Any:
        try:
            meter = METERS[args[0].name] if by_owner else meter_of(args)
        except Exception:  # Not seen before, no name, or a property that is not ready.
            meter = meter_of(args)
        if nesting or (_TRACING in _modules and is_on()):
            whole = _begin(args, meter, nesting)
            return func(*args, **kwargs) if whole is None else _whole(whole, func, args, kwargs)
        began = meter.begin()
        try:
            result = func(*args, **kwargs) if kwargs else func(*args)
        except BaseException as error:
            meter.end(began, way_of(error))
            raise
        if type(result) in AT_ONCE:
            meter.succeed(began)
            return result
        return settled(result, Run.begun(meter, began))

    return run_at_once


def _whole(run: Run, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    try:
        with run.active():
            result = func(*args, **kwargs)
    except BaseException as error:
        run.end(error)
        raise
    return settled(result, run)
