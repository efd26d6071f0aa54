"""Threads for synchronous agents and compensations.

Not the event loop's own pool: that has few places, which agents that hang take for ever, and `asyncio.run` and the end
of the program wait for its threads. Nobody waits for these, so a time limit holds for whoever started the work.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from contextvars import copy_context
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any

__all__ = ["in_thread"]

# How long a thread without work stays, in seconds.
IDLE_SECONDS = 30.0

_Job = Callable[[], None]
_idle: deque[_Worker] = deque()
# A fork's child has none of its parent's threads.
os.register_at_fork(after_in_child=_idle.clear)


class _Worker:
    """A thread that does one job after another."""

    def __init__(self) -> None:
        self.jobs: SimpleQueue[_Job] = SimpleQueue()
        threading.Thread(target=self._work, name="hagane-agent", daemon=True).start()

    def _work(self) -> None:
        while True:
            try:
                job = self.jobs.get(timeout=IDLE_SECONDS)
            except Empty:
                with suppress(ValueError):
                    _idle.remove(self)
                    return
                continue  # somebody has just taken it, and brings work
            job()
            del job
            _idle.append(self)


async def in_thread(function: Callable[..., Any], *given: Any) -> Any:
    """Call `function` in a thread, with this context's variables. A cancellation leaves the thread to itself."""
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[Any] = loop.create_future()
    call = partial(copy_context().run, function, *given)

    def job() -> None:
        try:
            tell = partial(_succeed, ended, call())
        except StopIteration as error:  # a future refuses it
            tell = partial(_fail, ended, RuntimeError(f"{function!r} raised StopIteration: {error}"))
        except BaseException as error:
            tell = partial(_fail, ended, error)
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(tell)

    try:
        worker = _idle.pop()
    except IndexError:
        worker = _Worker()
    worker.jobs.put(job)
    return await ended


def _succeed(ended: asyncio.Future[Any], result: Any) -> None:
    if not ended.done():
        ended.set_result(result)


def _fail(ended: asyncio.Future[Any], error: BaseException) -> None:
    if not ended.done():
        ended.set_exception(error)
