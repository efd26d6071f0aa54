"""Time limits that hold even for work that does not listen."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine, Generator
from contextvars import copy_context
from types import coroutine
from typing import Any, Generic, TypeVar

from hagane.engines.environment import Environment

__all__ = ["Deadline", "OutOfTime"]

T = TypeVar("T")

# The code of a task group's end in versions of Python whose groups leave a cancellation behind; None in others.
LEAVES_GROUP: Any = (
    asyncio.TaskGroup.__aexit__.__code__ if (3, 11) <= sys.version_info < (3, 13) else None  # type: ignore[attr-defined]
)

# How long something that was told to stop may take to do so.
GRACE_SECONDS = 5.0

# Work that did not stop in time: nobody waits for it, but it must not be collected while it runs.
_left_alone: set[asyncio.Task[Any]] = set()


class OutOfTime(Exception):
    """The run's wall time is spent. Not an error of the stage, so it never counts as one."""


class Deadline:
    """The end of a run's wall time; `seconds` None is no end."""

    def __init__(self, environment: Environment, seconds: float | None) -> None:
        self._environment = environment
        self._end = None if seconds is None else environment.monotonic() + seconds

    def extend(self, seconds: float) -> None:
        """Put the end off."""
        if self._end is not None:
            self._end += seconds

    def left(self) -> float | None:
        """Seconds left, at least 0; None without an end."""
        return None if self._end is None else max(0.0, self._end - self._environment.monotonic())

    @coroutine
    def bound(self, work: Coroutine[Any, Any, T], most: float | None = None) -> Generator[Any, Any, T]:
        """Await `work` for as long as there is time, and at most `most` seconds, in a context of its own.

        Work that never waits takes neither a task nor a timer: it is run at once. A cancellation reaches it as it would
        reach any coroutine that is awaited, and one that it swallows is raised when it ends (from Python 3.11 on).

        Raises:
            OutOfTime: the run's time was not enough; the work was cancelled.
            TimeoutError: `most` was not enough; the work was cancelled.
        """
        run = copy_context().run
        begun = None if most is None else self._environment.monotonic()
        try:
            waited = run(work.send, None)
        except StopIteration as done:
            return done.value  # type: ignore[no-any-return]
        left, own = self.left(), False
        if most is not None and begun is not None:
            rest = max(0.0, most - (self._environment.monotonic() - begun))
            own = left is None or rest < left
            left = rest if own else left
        waiting: _Waiting[T] = _Waiting(work, run, left)
        result = yield from waiting.until_done(waited)
        if waiting.is_late:
            if own:
                raise TimeoutError(f"the stage's time is spent ({most:g} s were left of its timeout_seconds)")
            raise OutOfTime
        return result  # type: ignore[return-value]


class _Waiting(Generic[T]):
    """Work that waits for something, driven by the task that awaits it: both are one task to `asyncio.current_task()`.

    A task of its own would cost more than most stages; `asyncio.timeout` and cancel scopes in the work would then be
    cut off from the work's first steps, which run before anybody knows whether it will wait at all.
    """

    def __init__(self, work: Coroutine[Any, Any, T], run: Callable[..., Any], seconds: float | None) -> None:
        task = asyncio.current_task()
        assert task is not None, "an engine's work is awaited in a task"
        self.is_late = False
        self._work, self._run, self._seconds, self._task = work, run, seconds, task
        self._loop = asyncio.get_running_loop()
        self._before = _requests(task)
        self._cancels = 0
        self._gives_up = False
        self._timers: list[asyncio.TimerHandle] = []
        self._groups: list[Any] = []

    def until_done(self, waited: Any) -> Generator[Any, Any, T | None]:
        """Pass on what the work waits for until it has ended; the result counts for nothing if it is late."""
        if self._seconds is not None:
            self._timers.append(self._loop.call_later(self._seconds, self._expire))
        try:
            while True:
                try:
                    step = (self._work.send, (yield waited))
                except GeneratorExit:
                    self._run(self._work.close)
                    raise
                except BaseException as error:
                    if self._gives_up:
                        self._leave_alone()
                        return None
                    if isinstance(error, asyncio.CancelledError):
                        self._forgive_group()
                    step = (self._work.throw, error)
                try:
                    waited = self._run(*step)
                except StopIteration as done:
                    self._over(None)
                    return done.value  # type: ignore[no-any-return]
                except BaseException as error:
                    self._over(error)
                    if not self.is_late:
                        raise
                    return None
                if self._is_told_to_stop() and len(self._timers) < 2:
                    self._timers.append(self._loop.call_later(GRACE_SECONDS, self._give_up))
        finally:
            for timer in self._timers:
                timer.cancel()

    def _forgive_group(self) -> None:
        """Take back the cancellation by which a task group of the work wakes itself when a child failed.

        Before Python 3.13 a group does not take it back itself where it waits for its children when that happens.
        """
        group = _group_that_waits(self._work)
        if group is not None and group not in self._groups and group._parent_cancel_requested:
            self._groups.append(group)
            _take_back(self._task)

    def _expire(self) -> None:
        self.is_late = True
        self._cancel()

    def _give_up(self) -> None:
        # Meanwhile the work may have dealt with a cancellation that was its own, such as that of an `asyncio.timeout`.
        if self._is_told_to_stop():
            self._gives_up = True
            self._cancel()

    def _cancel(self) -> None:
        self._cancels += 1
        self._task.cancel()

    def _is_told_to_stop(self) -> bool:
        return self.is_late or _requests(self._task) > self._before

    def _over(self, error: BaseException | None) -> None:
        """Take back what was asked of the task here; raise what somebody else asked and the work swallowed."""
        for _ in range(self._cancels):
            _take_back(self._task)
        swallowed = self.is_late or not isinstance(error, asyncio.CancelledError)
        if swallowed and _requests(self._task) > self._before:
            raise asyncio.CancelledError from error

    def _leave_alone(self) -> None:
        """Let the work go on by itself: it was told to stop and did not."""
        task = self._run(self._loop.create_task, self._work)
        _left_alone.add(task)
        task.add_done_callback(_forget)
        self._over(None)


def _group_that_waits(work: Any) -> Any:
    """Find the task group at whose end the work waits for its children; None if it waits for something else."""
    while work is not None and LEAVES_GROUP is not None:
        if getattr(work, "cr_code", None) is LEAVES_GROUP and work.cr_frame is not None:
            return work.cr_frame.f_locals["self"]
        steps = (getattr(work, name, None) for name in ("cr_await", "gi_yieldfrom", "ag_await"))
        work = next((step for step in steps if step is not None), None)
    return None


def _forget(task: asyncio.Task[Any]) -> None:
    _left_alone.discard(task)
    if not task.cancelled():
        task.exception()


def _requests(task: asyncio.Task[Any]) -> int:
    """How many cancellations of the task are asked for; Python 3.10 does not say."""
    asked = getattr(task, "cancelling", None)
    return 0 if asked is None else int(asked())


def _take_back(task: asyncio.Task[Any]) -> None:
    undo = getattr(task, "uncancel", None)
    if undo is not None:
        undo()
