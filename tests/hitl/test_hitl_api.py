"""Deciding over HTTP, through FastAPI's own client."""

from __future__ import annotations

import asyncio
import sys

import pytest

from hagane.hitl import (
    ApprovalManager,
    ApprovalRequest,
    EscalationLevel,
    InterruptSignal,
    MemoryCheckpointer,
    create_hitl_router,
    interrupt,
    set_checkpointer,
    set_thread_id,
)

fastapi = pytest.importorskip("fastapi", reason="FastAPI is not installed; the HTTP interface was not tested")
httpx = pytest.importorskip("httpx", reason="httpx is not installed; the HTTP interface was not tested")


@pytest.fixture
def told():
    return []


@pytest.fixture
def manager(told):
    async def tell(request):
        told.append(request.id)

    return ApprovalManager(escalation_chain=[EscalationLevel("lead", tell)])


@pytest.fixture
def checkpointer():
    return MemoryCheckpointer()


@pytest.fixture
async def http(manager, checkpointer):
    app = fastapi.FastAPI()
    app.include_router(create_hitl_router(manager, checkpointer=checkpointer), prefix="/api")
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test/api/hitl") as client:
        yield client


@pytest.fixture
async def asked(manager):
    """A request that waits, and the task that waits for it."""
    request = ApprovalRequest(action="deploy", reason="big", context={"n": 1}, requester="agent")
    task = asyncio.ensure_future(manager.request_approval(request))
    while not manager.get_pending_requests():
        await asyncio.sleep(0)
    yield request, task
    task.cancel()


async def test_what_waits_is_listed_and_shown(http, asked):
    request, _ = asked
    listed = (await http.get("/requests")).json()
    expected = {
        "id": request.id,
        "action": "deploy",
        "reason": "big",
        "priority": "normal",
        "context": {"n": 1},
        "requester": "agent",
        "created_at": request.created_at.isoformat(),
    }
    assert listed == {"requests": [expected], "total": 1}
    assert (await http.get(f"/requests/{request.id}")).json() == expected
    assert (await http.get("/requests/unknown")).status_code == 404


async def test_an_approval_reaches_who_waits_and_counts_once(http, asked):
    request, task = asked
    body = {"approver": "alice", "comment": "fine", "modifications": {"n": 2}}
    answer = await http.post(f"/requests/{request.id}/approve", json=body)
    assert (answer.status_code, answer.json()["message"]) == (200, "Request approved")
    response = await task
    assert (response.approver, response.comment, response.modifications) == ("alice", "fine", {"n": 2})
    assert (await http.post(f"/requests/{request.id}/approve", json={})).status_code == 404


async def test_a_refusal_reaches_who_waits(http, asked):
    request, task = asked
    await http.post(f"/requests/{request.id}/reject", json={"rejector": "bob", "reason": "no"})
    response = await task
    assert (response.approved, response.approver, response.rejection_reason) == (False, "bob", "no")


async def test_a_decision_that_comes_second_is_a_conflict(http, asked, manager, monkeypatch):
    request, _ = asked

    async def second(*_, **__):
        return False

    for name in ("approve", "reject"):
        monkeypatch.setattr(manager, name, second)
        assert (await http.post(f"/requests/{request.id}/{name}", json={})).status_code == 409


async def test_a_request_can_be_escalated_as_far_as_there_are_levels(http, asked, told):
    request, _ = asked
    assert (await http.post(f"/requests/{request.id}/escalate")).status_code == 200
    assert told == [request.id]
    assert (await http.post(f"/requests/{request.id}/escalate")).status_code == 409
    assert (await http.post("/requests/unknown/escalate")).status_code == 404


async def test_an_interrupted_thread_is_resumed(http, checkpointer):
    set_checkpointer(checkpointer)

    async def run():
        set_thread_id("t")
        return await interrupt("colour?", interrupt_type="input", options=["red", "blue"])

    assert (await http.post("/resume/t", json={"command_type": "approve"})).status_code == 404
    with pytest.raises(InterruptSignal):
        await run()
    for body in ({"command_type": "resume", "value": "green"}, {"command_type": "dance"}, {}):
        assert (await http.post("/resume/t", json=body)).status_code == 422
    answer = await http.post("/resume/t", json={"command_type": "resume", "value": "red", "issuer": "alice"})
    assert (answer.status_code, answer.json()["message"]) == (200, "Interrupt approved")
    assert (await http.post("/resume/t", json={"command_type": "reject"})).status_code == 409
    assert (await run()).modifications == {"value": "red"}


async def test_without_a_checkpointer_there_is_nothing_to_resume(manager):
    paths = {route.path for route in create_hitl_router(manager, prefix="/h", tags=["x"]).routes}
    assert "/h/requests" in paths
    assert not any("resume" in path for path in paths)


def test_without_fastapi_it_says_what_to_install(manager, monkeypatch):
    monkeypatch.setitem(sys.modules, "fastapi", None)
    with pytest.raises(ImportError, match="pip install fastapi"):
        create_hitl_router(manager)
