"""When requests are escalated, approved by policy, refused for want of room, and expired; who is told."""

from __future__ import annotations

import asyncio
import datetime as dt

import pytest
from approval_helpers import begun, manager_of, request

from hagane.errors import ApprovalError
from hagane.hitl import (
    ApprovalResponse,
    ApprovalStatus,
    EscalationLevel,
)
from hagane.observability import get_metrics


async def test_h1_no_more_than_max_pending_requests_wait():
    manager, requests = manager_of(max_pending_requests=2), [request(), request()]
    tasks = await begun(manager, *requests)
    (third,) = await begun(manager, request())
    with pytest.raises(ApprovalError, match="2 wait already; decide some of them, or raise max_pending_requests"):
        third.result()
    await manager.approve(requests[0].id)
    tasks += await begun(manager, another := request())
    await manager.approve(another.id)
    await manager.approve(requests[1].id)
    assert [answer.approved for answer in await asyncio.gather(*tasks)] == [True] * 3


async def test_h2_after_the_escalation_timeout_the_callbacks_are_told(clock):
    manager, asked = manager_of(clock, default_timeout_seconds=3600, escalation_timeout_seconds=600), request()
    told = []

    async def tell(escalated):
        told.append((escalated.id, escalated.priority, clock.passed))

    manager.register_escalation_callback(tell)
    answer = await manager.request_approval(asked)
    assert told == [(asked.id, "critical", 600)]
    assert (answer.status, clock.passed) == (ApprovalStatus.EXPIRED, 3600)
    assert answer.rejection_reason == "Request expired due to timeout"


async def test_the_levels_of_a_chain_are_told_one_after_the_other_until_somebody_answers(clock):
    told = []

    def level(name, after, answer=None):
        async def tell(escalated):
            told.append((name, clock.passed))
            return answer and answer(escalated.id)

        return EscalationLevel(name, tell, after)

    def yes(request_id):
        return ApprovalResponse(request_id=request_id, status="approved", approved=True, approver="director")

    chain = [level("lead", 60), level("head", None), level("director", 10, yes), level("nobody", 1)]
    asked = request()
    answer = await manager_of(clock, chain=chain, escalation_timeout_seconds=300).request_approval(asked)
    assert told == [("lead", 60), ("head", 360), ("director", 370)]
    assert (answer.approver, asked.metadata["escalated_to"]) == ("director", ["lead", "head", "director"])


async def test_somebody_can_escalate_by_hand_and_each_level_is_told_once(clock):
    told = []

    async def tell(escalated):
        told.append(clock.passed)

    manager, asked = manager_of(clock, chain=[EscalationLevel("lead", tell, 60)], default_timeout_seconds=90), request()

    async def by_hand(_):
        assert await manager.escalate(asked.id)
        assert not await manager.escalate(asked.id)

    manager._notification_callback = by_hand
    await manager.request_approval(asked)
    assert told == [0]
    assert not await manager.escalate("unknown")


async def test_h3_low_risk_is_approved_by_policy():
    manager = manager_of(auto_approve_low_risk=True, require_approval_for=["Delete"])
    answer = await manager.request_approval(request("read_file", priority="low"))
    assert (answer.approved, answer.approver, answer.comment) == (True, "policy", "low risk")
    for asked in (request("bulk_DELETE_rows", priority="low"), request("read_file", priority="normal")):
        (task,) = await begun(manager, asked)
        assert not task.done()
        await manager.reject(asked.id)
        assert not (await task).approved


async def test_h3_without_the_setting_low_risk_waits_too():
    manager, asked = manager_of(), request("read_file", priority="low")
    (task,) = await begun(manager, asked)
    assert manager.get_pending_requests() == [asked]
    await manager.approve(asked.id)
    await task


async def test_switched_off_everything_is_approved():
    answer = await manager_of(enabled=False).request_approval(request("delete_everything", priority="critical"))
    assert (answer.approved, answer.approver) == (True, "policy")


@pytest.mark.parametrize(
    ("fields", "argument", "seconds"),
    [
        ({}, None, 500),
        ({"timeout_seconds": 20}, None, 20),
        ({"timeout_seconds": 20}, 7, 7),
        ({"timeout_seconds": 0}, None, 0),
        ({}, 0, 0),
        ({"expires_at": dt.datetime(2026, 11, 23, 12, 0, 9)}, None, 9),
        ({"expires_at": dt.datetime(2026, 11, 23, 21, 0, 9, tzinfo=dt.timezone(dt.timedelta(hours=9)))}, None, 9),
    ],
)
async def test_h7_the_nearest_timeout_counts(clock, fields, argument, seconds):
    asked = request(**fields)
    answer = await manager_of(clock, default_timeout_seconds=500).request_approval(asked, timeout_seconds=argument)
    assert (answer.status, clock.passed) == (ApprovalStatus.EXPIRED, seconds)
    assert asked.expires_at == clock.began + dt.timedelta(seconds=seconds)


async def test_after_the_deadline_nobody_can_approve(clock):
    manager, asked = manager_of(clock), request()
    (task,) = await begun(manager, asked, timeout_seconds=10)
    clock.now += dt.timedelta(seconds=10)
    assert manager.get_pending_requests() == []
    assert manager.get_request(asked.id) is None
    assert not await manager.approve(asked.id)
    assert (await task).status is ApprovalStatus.EXPIRED


async def test_a_notification_may_decide(clock):
    async def bot(asked):
        return ApprovalResponse(request_id=asked.id, status="rejected", approver="bot")

    answer = await manager_of(clock, bot).request_approval(request())
    assert (answer.status, answer.approver) == (ApprovalStatus.REJECTED, "bot")


async def test_everybody_is_told_and_one_who_cannot_be_told_stops_nobody(clock, caplog):
    told = []

    async def callback(asked):
        raise ConnectionError("chat is down")

    async def channel(asked):
        told.append(asked.id)

    manager = manager_of(clock, callback, channels={"mail": channel}, notification_channels=["mail", "pigeon"])
    asked = request()
    assert (await manager.request_approval(asked)).status is ApprovalStatus.EXPIRED
    assert told == [asked.id]
    assert "'pigeon' is not registered" in caplog.text
    assert "chat is down" in caplog.text
    manager.register_channel("pigeon", channel)
    await manager.request_approval(request())
    assert len(told) == 3
    await manager.request_approval(request(), notify=False)
    assert len(told) == 3


async def test_the_metrics_tell_what_waits_and_what_became_of_it(clock):
    def value(kind, name, **labels):
        return getattr(get_metrics(), kind)(name).get({"action": "measured", **labels})

    waiting = []

    async def look(_):
        waiting.append((value("gauge", "hitl_waiting"), value("gauge", "hitl_escalations_waiting")))

    chain = [EscalationLevel("lead", look, 5), EscalationLevel("head", look, 5)]
    manager = manager_of(clock, look, chain=chain, default_timeout_seconds=60)
    await manager.request_approval(request("measured"))
    assert waiting == [(1, 0), (1, 0), (1, 1)]
    assert (value("gauge", "hitl_waiting"), value("gauge", "hitl_escalations_waiting")) == (0, 0)
    assert value("counter", "hitl_requested_total") == 1
    assert value("counter", "hitl_approval_total", status="expired") == 1
    stats = get_metrics().histogram("hitl_wait_seconds").get_stats({"action": "measured", "status": "expired"})
    assert stats["count"] == 1
