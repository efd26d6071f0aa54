"""What a store keeps of requests for approval: decisions until they are delivered, and no request too many."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from hagane.core.model import utc_now
from hagane.errors import ApprovalError
from hagane.hitl import ApprovalManager, ApprovalRequest, ApprovalStatus, HITLConfig
from hagane.hitl.approval_queue import ApprovalQueue
from hagane.hitl.approval_rules import decision


def request(**fields):
    return ApprovalRequest(action="deploy", reason="r", **fields)


@pytest.fixture(params=["sqlite", "postgres", "redis"])
def documents_of(request, open_documents):
    """Open the same documents as another process would."""
    return lambda: open_documents(request.param)


@pytest.fixture
def queue_name(open_documents):
    return open_documents.queue


@pytest.fixture
def manager_of(documents_of, queue_name):
    def make(**config):
        return ApprovalManager(HITLConfig(**config), documents=documents_of(), queue=queue_name, poll_seconds=0.02)

    return make


async def until_it_waits(manager, asked):
    while await asyncio.to_thread(manager.get_request, asked.id) is None:
        await asyncio.sleep(0.001)


async def answered(manager, asked):
    """Ask, approve, and have the answer delivered."""
    task = asyncio.ensure_future(manager.request_approval(asked, timeout_seconds=60))
    await until_it_waits(manager, asked)
    await manager.approve(asked.id, "somebody")
    return await task


async def left_alone(manager, asked):
    """Ask, and end before the answer comes."""
    task = asyncio.ensure_future(manager.request_approval(asked, timeout_seconds=60))
    await until_it_waits(manager, asked)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_h5_a_decision_counts_until_it_is_delivered_however_many_come_after_it(manager_of, monkeypatch):
    monkeypatch.setattr("hagane.hitl.approval_queue.KEPT", 3)
    here = manager_of()
    await left_alone(here, request(id="important"))
    assert await here.approve("important", "alice")
    for number in range(5):
        assert (await answered(here, request(id=f"other {number}"))).approved
    assert here.get_pending_requests() == []
    assert not await here.reject("important", "bob")
    assert (await here.wait_for("important")).approver == "alice"


async def test_only_the_newest_of_what_was_delivered_stays(documents_of, queue_name, manager_of, monkeypatch):
    monkeypatch.setattr("hagane.hitl.approval_queue.KEPT", 3)
    here, documents = manager_of(), documents_of()
    for number in range(5):
        await answered(here, request(id=str(number)))
    left = {each: len(documents.documents(f"hitl.{each}", queue_name)) for each in ("request", "answer", "delivered")}
    assert left == {"request": 0, "answer": 0, "delivered": 3}


async def test_escalations_are_remembered_as_long_as_the_request_and_no_longer(documents_of, queue_name):
    documents, now = documents_of(), utc_now()
    queue = ApprovalQueue(documents, queue_name, lossy=False)
    entry = queue.add(request(), now, now + timedelta(hours=1))
    assert [queue.escalate(entry, level) for level in (1, 1, 2)] == [True, False, True]
    assert queue.escalated(entry) == 2
    queue.decide(entry, decision(entry.request.id, ApprovalStatus.APPROVED, "alice"))
    assert queue.deliver(entry)
    assert documents.documents("hitl.escalation", entry.mark) == []


@pytest.mark.parametrize("remembered", [True, False])
async def test_whoever_decides_in_the_moment_of_delivery_is_told_that_it_does_not_count(
    documents_of, queue_name, manager_of, remembered
):
    here, documents, asked = manager_of(), documents_of(), request()
    queue = ApprovalQueue(documents, queue_name, lossy=False)
    await left_alone(here, asked)
    seen = queue.find(asked.id)
    await here.approve(asked.id, "alice")
    assert (await here.wait_for(asked.id)).approver == "alice"
    if not remembered:
        documents.remove("hitl.delivered", queue_name, seen.mark)
    assert not queue.decide(seen, decision(asked.id, ApprovalStatus.REJECTED, "bob"))
    assert documents.documents("hitl.answer", queue_name) == []


async def test_a_decision_counts_though_it_is_delivered_before_the_decider_looks_back(documents_of, queue_name):
    documents, now = documents_of(), utc_now()
    queue = ApprovalQueue(documents, queue_name, lossy=False)
    entry = queue.add(request(), now, now + timedelta(hours=1))

    class Between:
        """The documents, with a delivery right after an answer is put."""

        def __getattr__(self, name):
            return getattr(documents, name)

        def put(self, collection, *args, **options):
            done = documents.put(collection, *args, **options)
            if collection == "hitl.answer":
                assert queue.deliver(entry)
            return done

    deciding = ApprovalQueue(Between(), queue_name, lossy=False)
    assert deciding.decide(entry, decision(entry.request.id, ApprovalStatus.APPROVED, "alice"))


async def test_h1_of_many_who_ask_at_once_no_more_wait_than_may(manager_of):
    managers = [manager_of(max_pending_requests=3) for _ in range(2)]
    tasks = [
        asyncio.ensure_future(managers[number % 2].request_approval(request(), timeout_seconds=60))
        for number in range(16)
    ]
    while sum(task.done() for task in tasks) < 13:
        await asyncio.sleep(0.01)
    refused = [str(task.exception()) for task in tasks if task.done()]
    assert len(managers[0].get_pending_requests()) == 3
    assert all("3 wait already" in said for said in refused)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_request_without_time_is_not_taken_for_one_too_many(manager_of):
    assert (await manager_of().request_approval(request(), timeout_seconds=0)).status is ApprovalStatus.EXPIRED


@pytest.mark.parametrize("changed", [{"action": "delete"}, {"resource_id": "b"}, {"context": {"amount": 2}}])
async def test_an_id_stands_for_one_question(manager_of, changed):
    fields = {"id": "deploy-7", "action": "deploy", "resource_id": "a", "context": {"amount": 1}}
    here = manager_of()
    await left_alone(here, ApprovalRequest(**fields, reason="r"))
    await here.approve("deploy-7", "alice")
    with pytest.raises(ApprovalError, match=f"asks something else: its {next(iter(changed))} differs"):
        await here.request_approval(ApprovalRequest(**{**fields, **changed}, reason="r"))
    assert (await here.request_approval(ApprovalRequest(**fields, reason="said otherwise"))).approver == "alice"
