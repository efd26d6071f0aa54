"""Who waits in this process for which answer, and how they are woken from any thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from hagane.hitl.approval_queue import Entry
from hagane.hitl.types import ApprovalRequest

__all__ = ["Wait", "Waits", "blocking"]

P = ParamSpec("P")
T = TypeVar("T")


async def blocking(durable: bool, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call `function`, in a thread if it may wait for a disk or a server."""
    return await asyncio.to_thread(function, *args, **kwargs) if durable else function(*args, **kwargs)


class Wait:
    """One wait, in one loop."""

    def __init__(self, entry: Entry) -> None:
        self.entry = entry
        self.loop = asyncio.get_running_loop()
        self.event = asyncio.Event()
        self.delivered = False


class Waits:
    """The waits of one manager, by request.

    Args:
        poll_seconds: The longest time between two looks into the store; None if no other process can write there.
    """

    def __init__(self, poll_seconds: float | None) -> None:
        if poll_seconds is not None and not poll_seconds > 0:
            raise ValueError(f"poll_seconds is {poll_seconds!r}; give more than 0")
        self._poll = poll_seconds
        self._lock = threading.Lock()
        self._waits: dict[str, list[Wait]] = {}

    def begin(self, entry: Entry) -> Wait:
        """Note that the running task waits for a request."""
        wait = Wait(entry)
        with self._lock:
            self._waits.setdefault(entry.request.id, []).append(wait)
        return wait

    def end(self, wait: Wait) -> None:
        """Note that it waits no more."""
        with self._lock:
            waits = self._waits[wait.entry.request.id]
            waits.remove(wait)
            if not waits:
                del self._waits[wait.entry.request.id]

    def wake(self, request_id: str) -> None:
        """Let everybody who waits for a request look again. Callable from any thread."""
        with self._lock:
            waits = list(self._waits.get(request_id, ()))
        for wait in waits:
            try:
                wait.loop.call_soon_threadsafe(wait.event.set)
            except RuntimeError:
                continue  # Its loop is closed, so nobody waits there any more.

    def delivered(self, entry: Entry) -> None:
        """Note that an answer is this process's: everybody who waits for it here gets it."""
        with self._lock:
            for wait in self._waits.get(entry.request.id, ()):
                if wait.entry.mark == entry.mark:
                    wait.delivered = True

    def live(self, entry: Entry) -> ApprovalRequest:
        """Return the caller's own request, if it waits here; else what the store has."""
        with self._lock:
            waits = self._waits.get(entry.request.id)
            return waits[0].entry.request if waits else entry.request

    async def pause(self, wait: Wait, seconds: float) -> None:
        """Wait to be woken, at most so many seconds and no longer than to the next look into the store."""
        seconds = seconds if self._poll is None else min(seconds, self._poll)
        try:
            await asyncio.wait_for(wait.event.wait(), max(0.0, seconds))
        except asyncio.TimeoutError:
            return
        wait.event.clear()
