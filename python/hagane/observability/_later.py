"""What a plain function returned that is still to happen: its run ends when that does.

`def run(self): return self._work()` over an async method has raised nothing when it returns. A coroutine and a
generator are handed on inside one of their own sort, which behaves as it does; a future stays the very object.
Any other awaitable is the caller's as it is, and the run ends with the call: it may be awaited never or many times, and
nothing could stand in for it that is equal to it and of its type.
"""

from __future__ import annotations

import opcode
import sys
from collections.abc import Callable
from contextlib import suppress
from types import AsyncGeneratorType, CoroutineType, GeneratorType
from typing import Any

from hagane.observability._runs import Run, relay, relay_async

__all__ = ["AT_ONCE", "settled"]

AT_ONCE = frozenset({type(None), bool, int, float, str, bytes, dict, list, tuple})
"""The results that need no closer look."""


def settled(result: Any, run: Run) -> Any:
    """End `run` if `result` is there; else let it end with `result`, and return that or what stands in for it."""
    try:
        hand_over = _hand_over(result)
    except Exception:  # A result of an odd type is the caller's: it is what it is.
        hand_over = None
    if hand_over is None:
        run.end(None)
        return result
    return hand_over(result, run)


def _hand_over(result: Any) -> Callable[[Any, Run], Any] | None:
    kind = type(result)
    if kind is AsyncGeneratorType:
        # One around it that has not begun would not close it.
        return None if _has_begun(result) else _async_generator
    if kind is GeneratorType:
        # 0x100: a coroutine of `types.coroutine`.
        return _awaitable if result.gi_code.co_flags & 0x100 else _generator
    if kind is CoroutineType:
        return _awaitable
    if getattr(kind, "_asyncio_future_blocking", None) is not None:
        return _future
    # Who hands out a future of threads or processes has loaded them.
    concurrent = sys.modules.get("concurrent.futures")
    return _future if concurrent is not None and isinstance(result, concurrent.Future) else None


def _has_begun(generator: Any) -> bool:
    """Whether an asynchronous generator has been read from, or closed."""
    frame = generator.ag_frame
    if frame is None or frame.f_lasti < 0:
        return frame is None
    if (suspended := getattr(generator, "ag_suspended", None)) is not None:  # Python 3.12 and newer
        return bool(suspended)
    # In Python 3.11 a generator's own first instructions have been run when it is made.
    return bool(frame.f_code.co_code[frame.f_lasti] != opcode.opmap.get("RETURN_GENERATOR"))


def _resuming(run: Run) -> Callable[[tuple[Any, ...]], Run]:
    # Nobody may ever take it up, and then it does not go on for ever.
    run.meter.suspend(run.began)

    def resume(_: tuple[Any, ...]) -> Run:
        run.meter.resume(run.began)
        return run

    return resume


def _awaitable(awaitable: Any, run: Run) -> Any:
    resume = _resuming(run)
    held = _Held(awaitable)

    async def awaited() -> Any:
        with resume(()), run.active():
            return await held.coroutine

    coroutine: Any = awaited()
    with suppress(AttributeError, TypeError):
        coroutine.__name__, coroutine.__qualname__ = awaitable.__name__, awaitable.__qualname__
    return coroutine


class _Held:
    """Closes a coroutine that was never begun with the one around it: only that one tells that nobody awaited it."""

    __slots__ = ("coroutine",)

    def __init__(self, coroutine: Any) -> None:
        self.coroutine = coroutine

    def __del__(self) -> None:
        # Two references, this object's and the call's: somebody who has a third may still await it.
        if sys.getrefcount(self.coroutine) <= 2:
            self.coroutine.close()


def _generator(generator: Any, run: Run) -> Any:
    return relay(_resuming(run), lambda: generator)()


def _async_generator(generator: Any, run: Run) -> Any:
    return relay_async(_resuming(run), lambda: generator)()


def _future(future: Any, run: Run) -> Any:
    def ended(done: Any) -> None:
        from asyncio import CancelledError

        # `exception()` would mark it as seen, and asyncio would no longer tell of one that nobody has looked at.
        run.end(CancelledError() if done.cancelled() else getattr(done, "_exception", None))

    future.add_done_callback(ended)
    return future
