"""Time limits that hold even for work that does not listen."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar

from hagane.engines.environment import Environment

__all__ = ["Deadline", "OutOfTime"]

T = TypeVar("T")

# How long something that was told to stop may take to do so.
GRACE_SECONDS = 5.0


class OutOfTime(Exception):
    """The run's wall time is spent. Not an error of the stage, so it never counts as one."""


class Deadline:
    """The end of a run's wall time; `seconds` None is no end."""

    def __init__(self, environment: Environment, seconds: float | None) -> None:
        self._environment = environment
        self._end = None if seconds is None else environment.monotonic() + seconds

    def left(self) -> float | None:
        """Seconds left, at least 0; None without an end."""
        return None if self._end is None else max(0.0, self._end - self._environment.monotonic())

    async def bound(self, work: Awaitable[T], most: float | None = None) -> T:
        """Await `work` for as long as there is time, and at most `most` seconds.

        Raises:
            OutOfTime: the run's time was not enough; the work was cancelled.
            TimeoutError: `most` was not enough; the work was cancelled.
        """
        left = self.left()
        own = most is not None and (left is None or most < left)
        task = asyncio.ensure_future(work)
        try:
            done = await _settle(task, most if own else left)
        except BaseException:
            await _stop(task)
            raise
        if not done:
            await _stop(task)
            if own:
                raise TimeoutError(f"the stage's time is spent ({most:g} s were left of its timeout_seconds)")
            raise OutOfTime
        return task.result()


async def _settle(task: asyncio.Future[Any], seconds: float | None) -> bool:
    """Wait until the task is done, or the time is over; a leaner `asyncio.wait` for one task."""
    if task.done():
        return True
    loop = asyncio.get_running_loop()
    waiter: asyncio.Future[None] = loop.create_future()

    def wake(*_arguments: Any) -> None:
        if not waiter.done():
            waiter.set_result(None)

    task.add_done_callback(wake)
    timer = None if seconds is None else loop.call_later(seconds, wake)
    try:
        await waiter
    finally:
        if timer is not None:
            timer.cancel()
        task.remove_done_callback(wake)
    return task.done()


async def _stop(task: asyncio.Future[Any]) -> None:
    task.cancel()
    await asyncio.wait([task], timeout=GRACE_SECONDS)
    if task.done() and not task.cancelled():
        task.exception()
