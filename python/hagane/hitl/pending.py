"""Interrupts of programs without an engine: a checkpointer keeps them, their answers, and what was answered before.

A thread waits for one interrupt at a time. Its checkpoint also holds the answers that the same execution was given
earlier, so that they can be given again when it is repeated. An answer is delivered once: what a person approved for
one execution of a thread approves nothing in the next.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from datetime import timedelta
from typing import Any

from hagane.core.model import as_utc, utc_now
from hagane.hitl import marks, reporting
from hagane.hitl.answering import expired, response_to
from hagane.hitl.asked import asked_of
from hagane.hitl.interface import CheckpointData, Checkpointer
from hagane.hitl.interrupt import InterruptError, InterruptSignal, InterruptTimeoutError
from hagane.hitl.types import (
    ApprovalRequest,
    ApprovalResponse,
    ApprovalStatus,
    Command,
    InterruptPayload,
    InterruptType,
)

__all__ = ["Execution", "begin", "decide", "payload_of"]

DEFAULT_TIMEOUT = 3600
# Where a checkpoint of ours keeps the answers that its execution had been given.
GIVEN = "hagane_given_answers"
# Where it keeps what it asks: a checkpointer of the program may give the payload back in other types.
ASKED = "hagane_asked"

Key = list[str | None]


def payload_of(
    request: ApprovalRequest | str,
    *,
    interrupt_type: InterruptType,
    options: list[str] | None,
    timeout_seconds: int | float | None,
    node_id: str | None,
    flow_id: str | None,
    state: dict[str, Any] | None,
) -> InterruptPayload:
    """Return the payload of a new interrupt; the caller's request is copied, and gets its deadline."""
    if isinstance(request, str):
        asked = ApprovalRequest(action="user_input", reason=request)
    elif isinstance(request, ApprovalRequest):
        asked = request
    else:  # AgentFlow's own class has the same fields.
        asked = ApprovalRequest(**request.model_dump())
    return InterruptPayload(
        interrupt_type=InterruptType(interrupt_type),
        request=asked.model_copy(update={"expires_at": _deadline(asked, timeout_seconds)}),
        prompt=asked.reason,
        options=options,
        node_id=node_id,
        flow_id=flow_id,
        state=state or {},
    )


def _deadline(request: ApprovalRequest, timeout_seconds: int | float | None) -> Any:
    timeout = request.timeout_seconds if timeout_seconds is None else timeout_seconds
    if timeout is None and request.expires_at is not None:
        return as_utc(request.expires_at)
    timeout = DEFAULT_TIMEOUT if timeout is None else timeout
    if not timeout >= 0:
        raise ValueError(f"timeout_seconds is {timeout!r}; give 0 or more seconds")
    return utc_now() + timedelta(seconds=timeout)


def begin(checkpointer: Checkpointer | None, thread_id: str | None) -> Execution:
    """Begin to execute a thread; InterruptError without a checkpointer, a new thread without a name."""
    if checkpointer is None:
        raise InterruptError(
            "interrupt() has nowhere to keep the request: no engine drives this code and no checkpointer is set; "
            "call set_checkpointer() first"
        )
    if thread_id is None:
        thread_id = str(uuid.uuid4())
        logging.getLogger("hagane.hitl").warning(
            "interrupt() was called without set_thread_id(); the thread is called %s from now on", thread_id
        )
    return Execution(checkpointer, thread_id)


class Execution:
    """One execution of a thread: the answers that it was given, and the interrupt that it waits for."""

    def __init__(self, checkpointer: Checkpointer, thread_id: str) -> None:
        self.checkpointer = checkpointer
        self.thread_id = thread_id
        self.ended = False
        self._lock = asyncio.Lock()
        self._loaded = False
        self._waiting: InterruptPayload | None = None
        self._asked: Key = []
        self._again: list[tuple[Key, dict[str, Any]]] = []
        self._given: list[tuple[Key, dict[str, Any]]] = []

    async def ask(self, payload: InterruptPayload) -> ApprovalResponse:
        """Return the answer to `payload` or raise as `interrupt` does."""
        async with self._lock:
            if not self._loaded:
                await self._load()
            key = _key(payload)
            for index, (known, response) in enumerate(self._again):
                if known == key:
                    del self._again[index]
                    return self._give(key, response)
            if self._waiting is not None and self._asked == key:
                answer = await self._awaited(self._waiting)
                if answer is not None:
                    return self._give(key, answer)
            raise await self._stop(payload)

    def _give(self, key: Key, response: dict[str, Any]) -> ApprovalResponse:
        self._given.append((key, response))
        return ApprovalResponse(**response)

    async def _load(self) -> None:
        """Find the interrupt that the thread waits for, unless its answer went to an earlier execution."""
        self._loaded = True
        newest = await self.checkpointer.load_latest(self.thread_id)
        if newest is None or newest.interrupt_payload is None:
            return
        waiting = InterruptPayload(**newest.interrupt_payload)
        if await marks.get(self.checkpointer, self.thread_id, f"delivered:{waiting.id}") is not None:
            return
        # An engine may have saved a checkpoint of its own over ours.
        ours = newest if GIVEN in newest.metadata else await self.checkpointer.load(waiting.id)
        noted = ours.metadata if ours is not None else {}
        self._waiting, self._asked = waiting, list(noted.get(ASKED) or _key(waiting))
        self._again = [(list(key), response) for key, response in noted.get(GIVEN, [])]

    async def _awaited(self, waiting: InterruptPayload) -> dict[str, Any] | None:
        """Return the answer to the interrupt that the thread waits for; None if another execution took it."""
        answer = await marks.get(self.checkpointer, self.thread_id, f"answer:{waiting.id}")
        if answer is None and not _over(waiting):
            self.ended = True
            raise InterruptSignal(waiting)
        if answer is None:
            answer = await _let_expire(self.checkpointer, self.thread_id, waiting)
        mine = await marks.put_once(self.checkpointer, self.thread_id, f"delivered:{waiting.id}", {})
        self._waiting = None
        if not mine:
            return None
        if answer["status"] == ApprovalStatus.EXPIRED.value:
            raise InterruptTimeoutError(
                f"nobody answered {waiting.prompt!r} (interrupt {waiting.id}, thread {self.thread_id!r}) in time; "
                "run it again to ask again"
            )
        return answer

    async def _stop(self, payload: InterruptPayload) -> InterruptSignal:
        """Keep a new interrupt as the thread's newest checkpoint."""
        await self.checkpointer.save(
            CheckpointData(
                checkpoint_id=payload.id,
                thread_id=self.thread_id,
                flow_id=payload.flow_id,
                node_id=payload.node_id,
                state=payload.state,
                interrupt_payload=marks.plain(payload),
                metadata={GIVEN: [[key, response] for key, response in self._given], ASKED: _key(payload)},
            )
        )
        self.ended = True
        reporting.requested(payload.request.action if payload.request else "unknown")
        return InterruptSignal(payload)


def _key(payload: InterruptPayload) -> Key:
    """What makes two calls of `interrupt()` the same question: not the words alone, also what they are about."""
    return [payload.flow_id, asked_of(payload)]


def _over(payload: InterruptPayload) -> bool:
    deadline = payload.request.expires_at if payload.request else None
    return deadline is not None and utc_now() >= as_utc(deadline)


async def _let_expire(checkpointer: Checkpointer, thread_id: str, payload: InterruptPayload) -> dict[str, Any]:
    """Record that the time is over; return the answer that counts, which may have come just before."""
    answer: dict[str, Any] = marks.plain(expired(payload))
    if await marks.put_once(checkpointer, thread_id, f"answer:{payload.id}", answer):
        reporting.decided(payload.request, answer["status"])
        return answer
    return await marks.get(checkpointer, thread_id, f"answer:{payload.id}") or answer


async def decide(command: Command, checkpointer: Checkpointer, checkpoint_id: str) -> ApprovalResponse:
    """Record the first decision on an interrupt; see `resume_with_command`."""
    checkpoint = await checkpointer.load(checkpoint_id)
    if checkpoint is None:
        raise InterruptError(f"there is no checkpoint {checkpoint_id!r}; list_by_thread() shows those of a thread")
    if checkpoint.interrupt_payload is None:
        raise InterruptError(f"checkpoint {checkpoint_id!r} holds no interrupt; nothing is to be decided there")
    payload = InterruptPayload(**checkpoint.interrupt_payload)
    response = expired(payload) if _over(payload) else response_to(command, payload)
    name = f"answer:{payload.id}"
    if await marks.put_once(checkpointer, checkpoint.thread_id, name, marks.plain(response)):
        reporting.decided(payload.request, response.status.value)
        return response
    earlier = await marks.get(checkpointer, checkpoint.thread_id, name) or {}
    raise InterruptError(
        f"interrupt {payload.id} was decided already: {earlier.get('status', 'unknown')} by "
        f"{earlier.get('approver') or 'somebody'}; the first decision counts"
    )
