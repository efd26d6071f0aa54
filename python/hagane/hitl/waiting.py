"""One wait for an answer: telling people, escalating, giving up in the end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

from hagane.errors import ApprovalError
from hagane.hitl import reporting
from hagane.hitl.approval_queue import ApprovalQueue, Entry
from hagane.hitl.approval_rules import decision
from hagane.hitl.approval_wait import Wait, Waits, blocking
from hagane.hitl.escalation import ApprovalCallback
from hagane.hitl.types import ApprovalResponse, ApprovalStatus

__all__ = ["Escalation", "Waiting"]

logger = logging.getLogger("hagane.hitl")
Decide = Callable[[str, ApprovalResponse], Awaitable[bool]]
Levels = list[tuple[float, str, list[ApprovalCallback]]]


async def _tell(callback: ApprovalCallback, entry: Entry, decide: Decide) -> None:
    """Tell somebody of a request; what they return decides it, what they raise is logged."""
    try:
        response = await callback(entry.request)
        if response is not None:
            await decide(entry.request.id, response)
    except Exception:
        logger.exception("somebody could not be told of request %s (%s)", entry.request.id, entry.request.action)


class Escalation:
    """The levels of one request that are told, each once whoever escalates."""

    def __init__(
        self, entry: Entry, queue: ApprovalQueue, waits: Waits, *, durable: bool, levels: Levels, decide: Decide
    ) -> None:
        self._entry = entry
        self._queue = queue
        self._waits = waits
        self._durable = durable
        self._levels = levels
        self._decide = decide

    async def reached(self) -> int:
        """Return how many levels were told."""
        return await blocking(self._durable, self._queue.escalated, self._entry)

    def due(self, reached: int) -> datetime | None:
        """Return when the level after `reached` is to be told, None if there is none."""
        if reached >= len(self._levels):
            return None
        return self._entry.made_at + timedelta(seconds=sum(after for after, _, _ in self._levels[: reached + 1]))

    async def next(self) -> bool:
        """Tell the next level; False if there is none."""
        reached = await self.reached()
        if reached >= len(self._levels):
            return False
        _, name, callbacks = self._levels[reached]
        if await blocking(self._durable, self._queue.escalate, self._entry, reached + 1):
            request = self._waits.live(self._entry)
            request.priority = "critical"
            request.metadata.setdefault("escalated_to", []).append(name)
            logger.info("request %s (%s) is escalated to %s", request.id, request.action, name)
            entry = Entry(request, self._entry.mark, self._entry.made_at, self._entry.expires_at)
            for callback in list(callbacks):
                await _tell(callback, entry, self._decide)
        return True


class Waiting:
    """One wait. The loop looks into the store, then sleeps until the next thing that can happen."""

    def __init__(
        self,
        entry: Entry,
        queue: ApprovalQueue,
        waits: Waits,
        *,
        durable: bool,
        clock: Callable[[], datetime],
        notices: list[ApprovalCallback],
        levels: Levels,
        decide: Decide,
    ) -> None:
        self._entry = entry
        self._queue = queue
        self._waits = waits
        self._durable = durable
        self._clock = clock
        self._notices = notices
        self._decide = decide
        self._reached = 0
        self._escalation = Escalation(entry, queue, waits, durable=durable, levels=levels, decide=decide)

    async def answer(self) -> ApprovalResponse:
        """Return the answer, which is delivered to one waiter in all."""
        wait = self._waits.begin(self._entry)
        telling = [asyncio.ensure_future(_tell(each, self._entry, self._decide)) for each in self._notices]
        meter = reporting.waiting(self._entry.request.action)
        try:
            await self._learn_reached(meter)
            while (response := await self._look(wait, meter)) is None:
                await self._waits.pause(wait, self._until_next())
        except asyncio.CancelledError:
            if not self._durable:
                await self._decide(
                    self._entry.request.id, decision(self._entry.request.id, ApprovalStatus.CANCELLED, None)
                )
                self._queue.deliver(self._entry)
            raise
        finally:
            meter.end()
            self._waits.end(wait)
            for each in telling:
                each.cancel()
        meter.answered(response.status.value)
        return response

    async def _look(self, wait: Wait, meter: reporting.Waiting) -> ApprovalResponse | None:
        """Return the answer if it is there, after escalating or letting the request expire where that is due."""
        entry = self._entry
        response = await blocking(self._durable, self._queue.answer, entry)
        now = self._clock()
        if response is None and now >= entry.expires_at:
            expired = decision(entry.request.id, ApprovalStatus.EXPIRED, None)
            expired.rejection_reason = "Request expired due to timeout"
            if await blocking(self._durable, self._queue.decide, entry, expired):
                reporting.decided(entry.request, expired.status.value)
            response = await blocking(self._durable, self._queue.answer, entry)
        elif response is None and self._due(now):
            if not await self._learn_reached(meter):
                await self._escalation.next()
                await self._learn_reached(meter)
            return await self._look(wait, meter)
        if response is not None:
            await self._take(wait)
        return response

    async def _take(self, wait: Wait) -> None:
        """Take the answer for this process; ApprovalError if another one has it."""
        if await blocking(self._durable, self._queue.deliver, self._entry):
            self._waits.delivered(self._entry)
        elif not wait.delivered:
            raise ApprovalError(f"the answer to request {self._entry.request.id} was delivered to another process")

    async def _learn_reached(self, meter: reporting.Waiting) -> bool:
        """Ask the store how far the request was escalated; tell whether that is further than was known."""
        before, self._reached = self._reached, await self._escalation.reached()
        if self._reached:
            meter.escalated()
        return self._reached > before

    def _due(self, now: datetime) -> bool:
        due = self._escalation.due(self._reached)
        return due is not None and now >= due

    def _until_next(self) -> float:
        """Return the seconds until something is due."""
        due = self._escalation.due(self._reached)
        moment = self._entry.expires_at if due is None else min(due, self._entry.expires_at)
        return (moment - self._clock()).total_seconds()
