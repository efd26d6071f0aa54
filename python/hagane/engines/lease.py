"""Holding a stored thread: a claim when the run begins, and a sign of life while a long stage runs."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeVar

from hagane import _core
from hagane.engines.environment import Environment
from hagane.errors import LeaseHeld, StoreError

__all__ = ["Heartbeat", "claim_of", "patiently"]

T = TypeVar("T")

# How long to wait before asking for a held thread again.
POLL_SECONDS = 0.05

_log = logging.getLogger("hagane.engines")


def claim_of(environment: Environment, seconds: float, on_conflict: str) -> _core.Claim:
    """Make the claim of one driver of one run; no two have the same owner."""
    owner = f"{socket.gethostname()}:{os.getpid()}:{environment.new_id()}"
    return _core.Claim(owner, seconds, "supersede" if on_conflict == "supersede" else "reject")


async def patiently(attempt: Callable[[], Awaitable[T]], environment: Environment, on_conflict: str) -> T:
    """Await `attempt()`; where it finds the thread held and `on_conflict` is "wait", try until it is free."""
    while True:
        try:
            return await attempt()
        except LeaseHeld:
            if on_conflict != "wait":
                raise
        await environment.sleep(POLL_SECONDS)


class Heartbeat:
    """Renews a lease three times in its life, between `start` and `stop`."""

    def __init__(self, renew: Callable[[], Awaitable[None]], seconds: float, environment: Environment) -> None:
        self._renew = renew
        self._seconds = seconds
        self._environment = environment
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to renew."""
        self._task = asyncio.ensure_future(self._beat())

    async def stop(self) -> None:
        """Renew no more."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _beat(self) -> None:
        while True:
            await self._environment.sleep(self._seconds / 3)
            try:
                await self._renew()
            except StoreError as error:
                # A lost lease shows at the next commit, which must not be hidden or hurried by this.
                _log.warning("the lease of a running thread was not renewed: %s", error)
