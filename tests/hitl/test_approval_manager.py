"""Requests for approval: policies, deadlines, escalation, and whose answer counts."""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import threading

import pytest

from hagane.core.model import utc_now
from hagane.errors import ApprovalError
from hagane.hitl import (
    ApprovalManager,
    ApprovalRequest,
    ApprovalResponse,
    ApprovalStatus,
    EscalationLevel,
    HITLConfig,
)
from hagane.hitl.approval_wait import Waits
from hagane.observability import get_metrics


def request(action="deploy", **fields):
    return ApprovalRequest(action=action, reason="r", **fields)


async def settle():
    """Let every task that can go on go on."""
    for _ in range(20):
        await asyncio.sleep(0)


class Clock:
    """UTC, which passes only while somebody waits."""

    def __init__(self):
        self.now = dt.datetime(2026, 11, 23, 12)
        self.began = self.now

    def __call__(self):
        return self.now

    @property
    def passed(self):
        return (self.now - self.began).total_seconds()


@pytest.fixture
def clock(monkeypatch):
    """Virtual time: a wait ends when it is woken, else when its time has passed at once."""
    clock = Clock()

    async def pause(_waits, wait, seconds):
        await settle()
        if not wait.event.is_set():
            clock.now += dt.timedelta(seconds=seconds)
        wait.event.clear()

    monkeypatch.setattr(Waits, "pause", pause)
    return clock


def manager_of(clock=utc_now, callback=None, *, chain=(), channels=None, **config):
    return ApprovalManager(HITLConfig(**config), callback, escalation_chain=chain, channels=channels, clock=clock)


async def begun(manager, *requests, **options):
    """Ask for approvals in tasks of their own, and wait until they wait."""
    tasks = [asyncio.ensure_future(manager.request_approval(each, **options)) for each in requests]
    await settle()
    return tasks


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
