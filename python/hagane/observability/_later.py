"""What a plain function returned that is still to happen: its run ends when that does.

`def run(self): return self._work()` over an async method has raised nothing when it returns. A coroutine and a
generator are handed on inside one of their own sort, which behaves as it does; a future stays the very object.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import suppress
from types import AsyncGeneratorType, CoroutineType, GeneratorType
from typing import Any

from hagane.observability._runs import Begin, Run, relay, relay_async

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
        return _async_generator
    if kind is GeneratorType:
        # 0x100: a coroutine of `types.coroutine`.
        return _awaitable if result.gi_code.co_flags & 0x100 else _generator
    if not (kind is CoroutineType or hasattr(kind, "__await__")):
        return None
    if getattr(result, "_asyncio_future_blocking", None) is not None:
        return _future
    if kind is CoroutineType or all(hasattr(kind, method) for method in ("send", "throw", "close")):
        return _awaitable
    # What can also be entered or iterated over is not ended by being awaited.
    return None if hasattr(kind, "__aenter__") or hasattr(kind, "__aiter__") else _Awaitable


def _resuming(run: Run) -> Begin:
    # Nobody may ever take it up, and then it does not go on for ever.
    run.meter.suspend(run.began)

    def resume(_: tuple[Any, ...]) -> Run:
        run.meter.resume(run.began)
        return run

    return resume


def _awaitable(awaitable: Any, run: Run) -> Any:
    resume = _resuming(run)

    async def awaited() -> Any:
        with resume(()), run.active():
            return await awaitable

    coroutine: Any = awaited()
    with suppress(AttributeError, TypeError):
        coroutine.__name__, coroutine.__qualname__ = awaitable.__name__, awaitable.__qualname__
    return coroutine


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


class _Awaitable:
    """An awaitable of a sort of its own; all but being awaited is passed on to it."""

    def __init__(self, inner: Any, run: Run) -> None:
        self._inner = inner
        self._run = run

    def __await__(self) -> Generator[Any, Any, Any]:
        return _awaitable(self._inner, self._run).__await__()  # type: ignore[no-any-return]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)
