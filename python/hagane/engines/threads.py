"""Who runs which thread in this process: one run of a thread at a time."""

from __future__ import annotations

import asyncio
import itertools

from hagane.errors import LeaseHeld, LeaseLost

__all__ = ["Threads", "Turn"]


class Turn:
    """The right to run a thread, until `end`."""

    def __init__(self, threads: Threads, thread_id: str, number: int) -> None:
        self._threads = threads
        self.thread_id = thread_id
        self.number = number

    def check(self) -> None:
        """See that the thread is still this run's.

        Raises:
            LeaseLost: a later run superseded this one.
        """
        if self._threads.turns.get(self.thread_id) is not self:
            raise LeaseLost(
                f"thread {self.thread_id!r} was taken over by another run; nothing was written. Stop this run"
            )

    def end(self) -> None:
        """Give the thread back; twice is once."""
        self._threads.give_back(self)


class Threads:
    """The threads of one engine that are being run."""

    def __init__(self) -> None:
        # Who runs a thread, by its name.
        self.turns: dict[str, Turn] = {}
        self._waiting: dict[str, list[asyncio.Future[None]]] = {}
        self._numbers = itertools.count()

    async def take(self, thread_id: str, on_conflict: str) -> Turn:
        """Take the thread; `on_conflict` says what to do when it is run already.

        Raises:
            LeaseHeld: it is, and `on_conflict` is "reject".
        """
        while thread_id in self.turns and on_conflict != "supersede":
            if on_conflict == "reject":
                raise LeaseHeld(
                    f"thread {thread_id!r} is being run already; wait for that run, give this one another thread_id, "
                    "or set EngineConfig.on_conflict to 'wait' or 'supersede'; a stream that was left before its end "
                    "holds it too: leave streams through contextlib.aclosing"
                )
            free = asyncio.get_running_loop().create_future()
            self._waiting.setdefault(thread_id, []).append(free)
            await free
        turn = self.turns[thread_id] = Turn(self, thread_id, next(self._numbers))
        return turn

    def give_back(self, turn: Turn) -> None:
        """Let the next one have the thread."""
        if self.turns.get(turn.thread_id) is not turn:
            return
        del self.turns[turn.thread_id]
        for free in self._waiting.pop(turn.thread_id, []):
            if not free.done():
                # `run_sync` in several threads brings several loops.
                free.get_loop().call_soon_threadsafe(_wake, free)


def _wake(free: asyncio.Future[None]) -> None:
    if not free.done():
        free.set_result(None)
