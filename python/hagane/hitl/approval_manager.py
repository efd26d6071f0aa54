"""Requests for approval: who is asked and how long, who is told when nobody answers; the first answer counts."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from hagane.core.model import utc_now
from hagane.errors import ApprovalError
from hagane.hitl import reporting
from hagane.hitl.approval_queue import ApprovalQueue, Entry
from hagane.hitl.approval_rules import by_policy, check_response, deadline_of, decision, differing
from hagane.hitl.approval_wait import Waits, blocking
from hagane.hitl.documents import Documents, MemoryDocuments
from hagane.hitl.escalation import ApprovalCallback, EscalationLevel
from hagane.hitl.types import ApprovalRequest, ApprovalResponse, ApprovalStatus, HITLConfig

__all__ = ["ApprovalCallback", "ApprovalManager", "EscalationLevel"]

logger = logging.getLogger("hagane.hitl")


class ApprovalManager:
    """Asks people and waits for their answers, from any task, thread or process.

    Args:
        config: Timeouts, policies and limits.
        notification_callback: Told of every request; an `ApprovalResponse` that it returns decides.
        documents: Where requests and answers are kept; a store of `hagane.rollback` makes them outlive the process
            and lets another one decide. None: this process's memory.
        escalation_chain: Who is told when nobody answers, one after the other. Without it everybody of
            `register_escalation_callback` is told after `config.escalation_timeout_seconds`.
        channels: Named callbacks for `config.notification_channels`.
        queue: Managers with the same store and queue share their requests.
        poll_seconds: How often answers of other processes are looked for.
        clock: UTC without a zone.

    Raises:
        StoreError: From every method that waits, if the store fails.
    """

    def __init__(
        self,
        config: HITLConfig | None = None,
        notification_callback: ApprovalCallback | None = None,
        *,
        documents: Documents | None = None,
        escalation_chain: Sequence[EscalationLevel] = (),
        channels: Mapping[str, ApprovalCallback] | None = None,
        queue: str = "approvals",
        poll_seconds: float = 0.5,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self.config = config or HITLConfig()
        self._queue = ApprovalQueue(documents or MemoryDocuments(), queue, lossy=documents is None)
        self._durable = documents is not None
        self._clock = clock
        self._notification_callback = notification_callback
        self._channels = dict(channels or {})
        self._escalation_callbacks: list[ApprovalCallback] = []
        self._chain = tuple(escalation_chain)
        self._waits = Waits(poll_seconds if self._durable else None)

    async def request_approval(
        self, request: ApprovalRequest, *, timeout_seconds: float | None = None, notify: bool = True
    ) -> ApprovalResponse:
        """Ask and wait; return the answer, or one with status `expired` if none came in time.

        A request whose id waits already, perhaps since before a restart, is waited for with its first deadline, and
        nobody is told of it again. If the wait is cancelled, a request in memory is cancelled too; one in a store
        goes on waiting to be asked for again.

        Args:
            request: What is asked; gets its `expires_at`.
            timeout_seconds: How long; else the request's own timeout or deadline, else the configuration's.
            notify: Whether anybody is told.

        Raises:
            ApprovalError: `config.max_pending_requests` wait already, one of the same id asks something else (action,
                resource or context), or another process took the answer.
            ValueError: A timeout below 0.
            SnapshotError: The request holds something that the store cannot keep; the message names it.
        """
        if not isinstance(request, ApprovalRequest):  # AgentFlow's own class has the same fields.
            request = ApprovalRequest(**request.model_dump())
        reporting.requested(request.action)
        if (granted := by_policy(request, self.config)) is not None:
            reporting.decided(request, granted.status.value)
            return granted
        now = self._clock()
        entry = await blocking(self._durable, self._enter, request, now, timeout_seconds)
        request.expires_at = entry.expires_at
        return await self._wait(entry, notify=notify and entry.request is request)

    def _enter(self, request: ApprovalRequest, now: datetime, timeout_seconds: float | None) -> Entry:
        """Keep a request, if there is room."""
        deadline = deadline_of(request, timeout_seconds, self.config, now)
        if (known := self._queue.find(request.id)) is not None:
            return self._same(known, request)
        most = self.config.max_pending_requests
        if len(self.get_pending_requests()) < most:
            entry = self._queue.add(request, now, deadline)
            if entry.request is not request:
                return self._same(entry, request)
            # Others may have come in at the same time; of all that wait the oldest stay.
            waiting = [each.id for each in self.get_pending_requests()]
            if request.id not in waiting or waiting.index(request.id) < most:
                return entry
            self._queue.withdraw(entry)
        raise ApprovalError(
            f"request {request.id} ({request.action}) was not made: {most} wait already; decide some of them, or "
            "raise max_pending_requests"
        )

    def _same(self, known: Entry, request: ApprovalRequest) -> Entry:
        """Return the known entry, if it asks what the request asks; an answer to one question answers no other."""
        if different := differing(self._waits.live(known), request):
            raise ApprovalError(
                f"request {request.id} waits already and asks something else: its {different} differs; give every "
                "question an id of its own"
            )
        return known

    async def wait_for(self, request_id: str) -> ApprovalResponse:
        """Wait for a request that somebody made before, perhaps a process that ended; return as `request_approval`.

        Raises:
            ApprovalError: No request of that id waits.
        """
        entry = await blocking(self._durable, self._queue.find, request_id)
        if entry is None:
            raise ApprovalError(f"no request {request_id!r} waits; get_pending_requests() shows those that do")
        return await self._wait(entry, notify=False)

    async def _wait(self, entry: Entry, *, notify: bool) -> ApprovalResponse:
        from hagane.hitl.waiting import Waiting

        waiting = Waiting(
            entry,
            self._queue,
            self._waits,
            durable=self._durable,
            clock=self._clock,
            notices=self._notices() if notify else [],
            levels=self._levels(),
            decide=self.submit_response,
        )
        return await waiting.answer()

    def _notices(self) -> list[ApprovalCallback]:
        """Return everybody who is told of a new request."""
        told = [self._notification_callback] if self._notification_callback else []
        for name in self.config.notification_channels:
            if name in self._channels:
                told.append(self._channels[name])
            else:
                logger.warning("notification channel %r is not registered; register_channel() does that", name)
        return told

    def _levels(self) -> list[tuple[float, str, list[ApprovalCallback]]]:
        """Return the escalation levels: after how many seconds of silence, who, and how they are told."""
        usual = self.config.escalation_timeout_seconds
        if not self._chain:
            return [(usual, "escalation", self._escalation_callbacks)]
        return [
            (usual if level.after_seconds is None else level.after_seconds, level.name, [level.callback])
            for level in self._chain
        ]

    async def submit_response(self, request_id: str, response: ApprovalResponse) -> bool:
        """Decide a request; False if it does not wait, was decided before, or its time is over.

        Raises:
            ValueError: The response is to another request, is no decision, or contradicts itself.
        """
        check_response(request_id, response)
        entry = await blocking(self._durable, self._queue.find, request_id)
        if entry is None:
            logger.warning("an answer to request %s came, which does not wait", request_id)
            return False
        over = self._clock() >= entry.expires_at
        if over:
            response = decision(request_id, ApprovalStatus.EXPIRED, None)
        counts = await blocking(self._durable, self._queue.decide, entry, response)
        if counts:
            reporting.decided(entry.request, ApprovalStatus(response.status).value)
            self._waits.wake(request_id)
        return counts and not over

    async def approve(
        self,
        request_id: str,
        approver: str | None = None,
        comment: str | None = None,
        modifications: dict[str, Any] | None = None,
    ) -> bool:
        """Approve a request; False as `submit_response`."""
        response = decision(request_id, ApprovalStatus.APPROVED, approver, comment)
        response.modifications = modifications or {}
        return await self.submit_response(request_id, response)

    async def reject(self, request_id: str, rejector: str | None = None, reason: str | None = None) -> bool:
        """Refuse a request; False as `submit_response`."""
        response = decision(request_id, ApprovalStatus.REJECTED, rejector)
        response.rejection_reason = reason
        return await self.submit_response(request_id, response)

    async def cancel(self, request_id: str, by: str | None = None, reason: str | None = None) -> bool:
        """Take a request back; False as `submit_response`."""
        response = decision(request_id, ApprovalStatus.CANCELLED, by)
        response.rejection_reason = reason
        return await self.submit_response(request_id, response)

    def get_pending_requests(self) -> list[ApprovalRequest]:
        """Return the requests that wait to be decided, the oldest first, whichever process made them."""
        now = self._clock()
        entries = self._queue.waiting(max(1000, self.config.max_pending_requests))
        return [self._waits.live(entry) for entry in entries if entry.expires_at > now]

    def get_request(self, request_id: str) -> ApprovalRequest | None:
        """Return a request that waits to be decided, None if there is none of that id."""
        entry = self._queue.find(request_id)
        if entry is None or entry.expires_at <= self._clock() or self._queue.answer(entry) is not None:
            return None
        return self._waits.live(entry)

    def register_channel(self, name: str, callback: ApprovalCallback) -> None:
        """Say how the notification channel `name` is told."""
        self._channels[name] = callback

    def register_escalation_callback(self, callback: ApprovalCallback) -> None:
        """Tell `callback` of requests that nobody answers."""
        self._escalation_callbacks.append(callback)

    async def escalate(self, request_id: str) -> bool:
        """Tell the next level now; False if the request does not wait or there is no level left."""
        from hagane.hitl.waiting import Escalation

        entry = await blocking(self._durable, self._queue.find, request_id)
        if entry is None or await blocking(self._durable, self._queue.answer, entry) is not None:
            logger.warning("request %s was not escalated: it does not wait", request_id)
            return False
        escalation = Escalation(
            entry,
            self._queue,
            self._waits,
            durable=self._durable,
            levels=self._levels(),
            decide=self.submit_response,
        )
        return await escalation.next()
