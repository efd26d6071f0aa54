"""Waiting for a run to end: the last event's result, and the synchronous form."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Coroutine
from concurrent.futures import Future, wait
from contextlib import aclosing, suppress
from contextvars import ContextVar, copy_context
from typing import Any

from hagane.engines.events import Event

__all__ = ["blocked_loops", "complete", "last_result"]

# Loops whose threads wait for this context's work, and so do nothing else meanwhile.
blocked_loops: ContextVar[tuple[asyncio.AbstractEventLoop, ...]] = ContextVar("hagane_blocked_loops", default=())

BEGINNING_SECONDS = 5.0


async def last_result(events: AsyncGenerator[Event, None]) -> dict[str, Any]:
    """Listen to a run until it has ended and give its result; raises what the run raises."""
    result: dict[str, Any] | None = None
    async with aclosing(events) as stream:
        async for event in stream:
            if event["type"] == "run_completed":
                result = event["result"]
    assert result is not None, "a run that did not raise ends with run_completed"
    return result


def complete(work: Coroutine[Any, Any, dict[str, Any]]) -> dict[str, Any]:
    """Run to the end from synchronous code; inside a running loop (a notebook) in a thread of its own.

    KeyboardInterrupt cancels the run, which leaves its record, and is raised when that is done.
    """
    return _beside(work) if _in_loop() else asyncio.run(work)


def _in_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _beside(work: Coroutine[Any, Any, dict[str, Any]]) -> dict[str, Any]:
    """Run in another thread's loop, with this thread's context, and wait."""
    begun: Future[tuple[asyncio.AbstractEventLoop, asyncio.Task[Any]]] = Future()
    ended: Future[dict[str, Any]] = Future()

    async def told() -> dict[str, Any]:
        task = asyncio.current_task()
        assert task is not None, "asyncio.run makes one"
        begun.set_result((asyncio.get_running_loop(), task))
        return await work

    def drive() -> None:
        try:
            ended.set_result(asyncio.run(told()))
        except BaseException as error:
            ended.set_exception(error)

    context = copy_context()
    context.run(blocked_loops.set, (*blocked_loops.get(), asyncio.get_running_loop()))
    # A daemon: a second KeyboardInterrupt leaves it behind, and the program must be able to end then.
    thread = threading.Thread(target=context.run, args=(drive,), name="hagane-run-sync", daemon=True)
    try:
        thread.start()
        wait([ended])
    except BaseException:
        # The interrupt may have come before there was a thread, or while it begins.
        if wait([begun], BEGINNING_SECONDS).done:
            loop, task = begun.result()
            with suppress(RuntimeError):  # it has just ended
                loop.call_soon_threadsafe(task.cancel)
            wait([ended])
        raise
    return ended.result()
