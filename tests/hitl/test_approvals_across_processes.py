"""Requests and answers in a store: another process decides, and a process that ended is no loss."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import textwrap

import pytest

from hagane._core import Blob
from hagane.core.model import utc_now
from hagane.errors import ApprovalError, SnapshotError
from hagane.hitl import ApprovalManager, ApprovalRequest, ApprovalStatus, EscalationLevel, HITLConfig


def request(**fields):
    return ApprovalRequest(action="deploy", reason="r", **fields)


@pytest.fixture(params=["sqlite", "postgres", "redis"])
def kind(request):
    return request.param


@pytest.fixture
def manager_of(open_documents, kind):
    """Make a manager as another process would have it: with a connection of its own to the same store."""

    def make(**options):
        return ApprovalManager(
            HITLConfig(), documents=open_documents(kind), queue=open_documents.queue, poll_seconds=0.02, **options
        )

    return make


async def until_it_waits(manager):
    while not manager.get_pending_requests():
        await asyncio.sleep(0.01)


async def test_another_process_sees_the_request_and_its_answer_arrives(manager_of):
    here, there = manager_of(), manager_of()
    asked = request(context={"versions": (1, 2)})
    task = asyncio.ensure_future(here.request_approval(asked, timeout_seconds=60))
    await until_it_waits(there)
    (seen,) = there.get_pending_requests()
    assert (seen.id, seen.context) == (asked.id, {"versions": (1, 2)})
    assert there.get_request(asked.id).action == "deploy"
    assert await there.approve(asked.id, "elsewhere", modifications={"when": (3,)})
    answer = await task
    assert seen.expires_at == asked.expires_at
    assert (answer.approved, answer.approver, answer.modifications) == (True, "elsewhere", {"when": (3,)})
    assert here.get_pending_requests() == there.get_pending_requests() == []


async def test_of_two_processes_that_decide_one_counts(manager_of):
    here, there = manager_of(), manager_of()
    asked = request()
    task = asyncio.ensure_future(here.request_approval(asked, timeout_seconds=60))
    await until_it_waits(there)
    counted = await asyncio.gather(*(each.approve(asked.id, "a") for each in (here, there) * 5), there.reject(asked.id))
    assert sum(counted) == 1
    assert (await task).approved == (not counted[-1])


async def test_a_request_outlives_a_wait_that_was_cancelled(manager_of):
    here, there = manager_of(), manager_of()
    asked = request()
    task = asyncio.ensure_future(here.request_approval(asked, timeout_seconds=60))
    await until_it_waits(there)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await there.approve(asked.id, "alice")
    again = manager_of()
    assert (await again.wait_for(asked.id)).approver == "alice"
    with pytest.raises(ApprovalError, match="waits"):
        await again.wait_for(asked.id)


async def test_asking_again_joins_the_request_with_its_first_deadline_and_tells_nobody(manager_of):
    told = []

    async def tell(asked):
        told.append(asked.id)

    here, there = manager_of(notification_callback=tell), manager_of(notification_callback=tell)
    first, second = request(id="one"), request(id="one")
    one = asyncio.ensure_future(here.request_approval(first, timeout_seconds=60))
    await until_it_waits(here)
    other = asyncio.ensure_future(there.request_approval(second, timeout_seconds=9999))
    while second.expires_at is None:
        await asyncio.sleep(0.01)
    assert (second.expires_at, told) == (first.expires_at, ["one"])
    await there.reject("one")
    ends = await asyncio.gather(one, other, return_exceptions=True)
    # An answer is delivered to one process; the other learns that it was.
    assert {type(each).__name__ for each in ends} == {"ApprovalResponse", "ApprovalError"}


async def test_of_two_processes_that_ask_at_once_the_second_joins_the_first(manager_of):
    queues, now = [manager_of()._queue for _ in range(2)], utc_now()
    # Both found nothing before; what counts is who writes first.
    entries = [queue.add(request(id="one"), now, now) for queue in queues]
    assert entries[0].mark == entries[1].mark


async def test_a_level_is_told_by_one_process_only(manager_of):
    told = []

    async def tell(asked):
        told.append(asked.priority)

    chain = [EscalationLevel("lead", tell, 0)]
    managers = [manager_of(escalation_chain=chain) for _ in range(3)]
    tasks = [asyncio.ensure_future(each.request_approval(request(id="one"), timeout_seconds=60)) for each in managers]
    while not told:
        await asyncio.sleep(0.01)
    for each in managers:
        await each.escalate("one")
    assert told == ["critical"]
    await managers[0].approve("one")
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_process_that_ended_while_it_escalated_holds_nobody_up(manager_of):
    told = []

    async def tell(asked):
        told.append(asked.id)

    manager = manager_of(escalation_chain=[EscalationLevel("lead", tell, 0), EscalationLevel("head", tell, 0)])
    task = asyncio.ensure_future(manager_of().request_approval(request(id="one"), timeout_seconds=60))
    await until_it_waits(manager)
    entry = manager._queue.find("one")
    # What it leaves behind: the level is taken, but not written as reached.
    manager._queue._documents.put("hitl.escalation", entry.mark, "1", Blob(1), at=1)
    assert await manager.escalate("one")
    assert await manager.escalate("one")
    assert not await manager.escalate("one")
    assert told == ["one"]
    await manager.approve("one")
    await task


async def test_a_context_that_the_store_cannot_hold_is_refused_with_its_path(manager_of):
    with pytest.raises(SnapshotError, match=r"request one\.request\.context\.client: object"):
        await manager_of().request_approval(request(id="one", context={"client": object()}))


ASKING = """
    import asyncio, os, signal, sys
    from hagane.hitl import ApprovalManager, ApprovalRequest
    from hagane.rollback import SqliteStore

    async def tell(asked):
        os.kill(os.getpid(), signal.SIGKILL)

    manager = ApprovalManager(None, tell, documents=SqliteStore(sys.argv[1]))
    asyncio.run(manager.request_approval(ApprovalRequest(id="one", action="deploy", reason="r")))
"""


@pytest.mark.parametrize("kind", ["sqlite"])
async def test_a_request_of_a_process_that_was_killed_is_decided_and_answered(open_documents, tmp_path, kind):
    command = [sys.executable, "-c", textwrap.dedent(ASKING), tmp_path / "documents.db"]
    assert subprocess.run(command, check=False, timeout=60).returncode == -9
    manager = ApprovalManager(documents=open_documents(kind), poll_seconds=0.02)
    (waiting,) = manager.get_pending_requests()
    assert waiting.id == "one"
    assert (waiting.expires_at - waiting.created_at).total_seconds() == pytest.approx(3600, abs=60)
    assert await manager.approve("one", "alice")
    answer = await manager.request_approval(ApprovalRequest(id="one", action="deploy", reason="r"))
    assert (answer.status, answer.approver) == (ApprovalStatus.APPROVED, "alice")
