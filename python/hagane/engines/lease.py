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
from hagane.errors import LeaseHeld, LeaseLost, StoreError

__all__ = ["Heartbeat", "abandon", "claim_of", "patiently", "taking"]

T = TypeVar("T")

# How long to wait before asking for a held thread again.
POLL_SECONDS = 0.05

_log = logging.getLogger("hagane.engines")

# Owners of leases whose runs have ended in this process while the store could not be told.
_abandoned: set[str] = set()


def claim_of(environment: Environment, seconds: float, on_conflict: str) -> _core.Claim:
    """Make the claim of one driver of one run; no two have the same owner."""
    owner = ":".join([*_process(), environment.new_id()])
    return _core.Claim(owner, seconds, "supersede" if on_conflict == "supersede" else "reject")


def abandon(claim: _core.Claim) -> None:
    """Note that nobody drives by this claim any more, although its lease could not be given back."""
    _abandoned.add(claim.owner)


def taking(store: _core.Store, thread_id: str, take: Callable[[], T]) -> T:
    """`take()` the thread; a lease that an ended run of this process left behind is no obstacle.

    Raises:
        LeaseHeld: somebody drives it.
    """
    try:
        return take()
    except LeaseHeld as error:
        lease = store.lease(thread_id)
        if lease is None:
            return take()
        if lease.owner not in _abandoned:
            raise _explained(error, lease) from None
    with suppress(LeaseLost):  # somebody took it meanwhile, which `take` will say
        store.release(thread_id, lease.epoch)
    _abandoned.discard(lease.owner)
    return take()


def _explained(error: LeaseHeld, lease: _core.Lease) -> LeaseHeld:
    if lease.owner.split(":")[:-1] != _process():
        return error
    return LeaseHeld(
        f"{error}. That is this very process: a run that is still going on, or a stream of it that was left before its "
        "end; leave streams through `async with contextlib.aclosing(engine.run_stream(...)) as events`"
    )


def _process() -> list[str]:
    return [socket.gethostname(), str(os.getpid())]


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
