"""Requests for approval: policies, deadlines, escalation, and whose answer counts."""

from __future__ import annotations

import asyncio
import logging
import threading

import pytest
from approval_helpers import begun, manager_of, request

from hagane.errors import ApprovalError
from hagane.hitl import (
    ApprovalResponse,
    ApprovalStatus,
    EscalationLevel,
    HITLConfig,
)
from hagane.hitl.approval_wait import Waits


async def test_an_approval_reaches_who_waits():
    manager, asked = manager_of(), request()
    (task,) = await begun(manager, asked)
    assert manager.get_pending_requests() == [asked]
    assert manager.get_request(asked.id) is asked
    assert await manager.approve(asked.id, "alice", "fine", {"size": 1})
    answer = await task
    assert (answer.approved, answer.approver, answer.comment, answer.modifications) == (
        True,
        "alice",
        "fine",
        {"size": 1},
    )
    assert manager.get_pending_requests() == []
    assert manager.get_request(asked.id) is None


async def test_a_refusal_and_a_cancellation_reach_who_waits():
    manager, one, other = manager_of(), request(), request()
    refused, cancelled = await begun(manager, one, other)
    assert await manager.reject(one.id, "bob", "too big")
    assert await manager.cancel(other.id, "bob", "not needed")
    assert ((await refused).status, (await refused).rejection_reason) == (ApprovalStatus.REJECTED, "too big")
    assert ((await cancelled).status, (await cancelled).approved) == (ApprovalStatus.CANCELLED, False)


@pytest.mark.parametrize("answer", ["approve", "reject"])
async def test_h5_a_later_decision_does_not_override_the_first(answer):
    manager, asked = manager_of(), request()
    (task,) = await begun(manager, asked)
    other = {"approve": "reject", "reject": "approve"}[answer]
    assert await getattr(manager, answer)(asked.id)
    assert not await getattr(manager, other)(asked.id)
    assert (await task).approved == (answer == "approve")
    assert not await getattr(manager, other)(asked.id)


async def test_h5_of_many_who_decide_at_once_one_counts():
    manager, asked = manager_of(), request()
    (task,) = await begun(manager, asked)
    names = [str(number) for number in range(20)]
    counted = await asyncio.gather(*(manager.approve(asked.id, name) for name in names))
    assert sum(counted) == 1
    assert (await task).approver == names[counted.index(True)]


async def test_h6_an_approval_from_another_thread_is_noticed_at_once():
    # A loop in this mode refuses what would not wake it.
    asyncio.get_running_loop().set_debug(True)
    manager, asked = manager_of(), request()
    (task,) = await begun(manager, asked)
    thread = threading.Thread(target=lambda: asyncio.run(manager.approve(asked.id, "from a thread")))
    thread.start()
    # Without being woken the wait would last an hour.
    assert (await asyncio.wait_for(task, 30)).approver == "from a thread"
    thread.join()


async def test_a_wait_that_is_cancelled_takes_its_request_back():
    manager, asked = manager_of(), request()
    (task,) = await begun(manager, asked)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert manager.get_pending_requests() == []
    assert not await manager.approve(asked.id)


async def test_two_who_wait_for_one_request_get_one_answer():
    manager, asked = manager_of(), request()
    one, other = await begun(manager, asked, asked)
    assert len(manager.get_pending_requests()) == 1
    await manager.approve(asked.id, "alice")
    assert (await one).approver == (await other).approver == "alice"


async def test_an_old_answer_does_not_decide_a_new_request_of_the_same_id():
    manager = manager_of()
    (task,) = await begun(manager, request(id="weekly"))
    await manager.approve("weekly")
    assert (await task).approved
    (task,) = await begun(manager, request(id="weekly"))
    assert not task.done()
    await manager.reject("weekly")
    assert not (await task).approved


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"request_id": "other", "status": "approved", "approved": True}, "is to request 'other'"),
        ({"status": "pending"}, "status is pending"),
        ({"status": "approved", "approved": False}, "status is approved and its approved False"),
        ({"status": "rejected", "approved": True}, "status is rejected and its approved True"),
    ],
)
async def test_an_answer_that_is_none_is_refused(fields, message):
    manager, asked = manager_of(), request()
    (task,) = await begun(manager, asked)
    with pytest.raises(ValueError, match=message):
        await manager.submit_response(asked.id, ApprovalResponse(**{"request_id": asked.id, **fields}))
    assert not task.done()
    await manager.reject(asked.id)
    await task


async def test_an_answer_to_an_unknown_request_counts_for_nothing(caplog):
    with caplog.at_level(logging.WARNING):
        assert not await manager_of().approve("unknown")
    assert "request unknown came, which does not wait" in caplog.text


async def test_what_makes_no_sense_is_refused():
    manager = manager_of()
    with pytest.raises(ValueError, match="timeout_seconds is -1"):
        await manager.request_approval(request(), timeout_seconds=-1)
    with pytest.raises(ApprovalError, match="no request 'unknown' waits"):
        await manager.wait_for("unknown")
    with pytest.raises(ValueError, match="after_seconds of level 'lead' is -1"):
        EscalationLevel("lead", None, -1)
    with pytest.raises(ValueError, match="poll_seconds is 0"):
        Waits(0)
    with pytest.raises(ValueError, match="max_pending_requests"):
        HITLConfig(max_pending_requests=0)


async def test_a_context_that_no_store_could_hold_is_fine_in_memory():
    manager, asked = manager_of(), request(context={"client": object()})
    (task,) = await begun(manager, asked)
    assert manager.get_request(asked.id).context == asked.context
    await manager.approve(asked.id)
    assert (await task).approved


async def test_agentflows_own_request_is_taken():
    class Theirs:
        def model_dump(self):
            return {"id": "theirs", "action": "a", "reason": "r"}

    manager = manager_of()
    (task,) = await begun(manager, Theirs())
    assert await manager.approve("theirs")
    assert (await task).approved
