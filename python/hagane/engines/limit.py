"""How many agent runs an engine has at once, and the queue of those that wait for a place."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from weakref import WeakKeyDictionary

from hagane.errors import PipelineError
from hagane.observability import standard


class Limit:
    """`places` agent runs at once in an event loop, first come, first served; None for no limit.

    The gauge `agent_queue_depth` holds how many wait.

    Raises:
        PipelineError: `places` is not a positive whole number.
    """

    def __init__(self, places: int | None) -> None:
        if places is not None and (not isinstance(places, int) or places < 1):
            raise PipelineError(f"max_concurrent_agents is {places!r}; give a number from 1 up, or None for no limit")
        self.places = places
        # A semaphore belongs to the loop that waits on it; `run_sync` brings a new one each time.
        self._semaphores: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()

    @asynccontextmanager
    async def place(self, agent: str) -> AsyncGenerator[None, None]:
        """Hold a place for one run of `agent`, after waiting for it where none is free."""
        if self.places is None:
            yield
            return
        semaphore = self._semaphores.setdefault(asyncio.get_running_loop(), asyncio.Semaphore(self.places))
        await _acquire(semaphore, agent)
        try:
            yield
        finally:
            semaphore.release()


async def _acquire(semaphore: asyncio.Semaphore, agent: str) -> None:
    if not semaphore.locked():
        await semaphore.acquire()
        return
    standard.agent_queued(agent)
    try:
        await semaphore.acquire()
    finally:
        standard.agent_dequeued(agent)
