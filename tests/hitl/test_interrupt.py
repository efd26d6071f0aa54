"""Stopping for a person, and going on with the answer: with a driver, and with nothing but a checkpointer."""

from __future__ import annotations

import asyncio
import pickle
import subprocess
import sys
import textwrap

import pytest
from interrupt_helpers import DELETE, deleting

from hagane.errors import HaganeError, SnapshotError
from hagane.hitl import (
    ApprovalRequest,
    ApprovalResponse,
    ApprovalStatus,
    Command,
    InterruptError,
    InterruptPayload,
    InterruptSignal,
    InterruptType,
    answers,
    clear_interrupt,
    get_current_interrupt,
    interrupt,
    is_interrupted,
    resume_with_command,
    set_checkpointer,
    set_thread_id,
)


def approved(number=0):
    return ApprovalResponse(request_id=f"r{number}", status=ApprovalStatus.APPROVED, approved=True)


async def test_a_driver_gives_the_answers_in_order_and_gets_the_next_question():
    async def node():
        return [(await interrupt(f"question {number}")).request_id for number in range(3)]

    with answers([approved(1), approved(2)], thread_id="t", flow_id="f", node_id="n"):
        with pytest.raises(InterruptSignal) as stopped:
            await node()
        payload = stopped.value.payload
        assert (payload.prompt, payload.flow_id, payload.node_id) == ("question 2", "f", "n")
    with answers([approved(1), approved(2), approved(3)], thread_id="t"):
        assert await node() == ["r1", "r2", "r3"]


async def test_tasks_and_threads_of_a_node_share_its_answers():
    def elsewhere():
        return asyncio.run(interrupt("in a thread"))

    with answers([approved(1), approved(2)], thread_id="t"):
        first = await asyncio.create_task(interrupt("in a task"))
        second = await asyncio.to_thread(elsewhere)
    assert (first.request_id, second.request_id) == ("r1", "r2")


async def test_without_anybody_to_keep_the_request_it_is_an_error():
    with pytest.raises(InterruptError, match=r"call set_checkpointer\(\) first") as error:
        await deleting()
    assert isinstance(error.value, HaganeError)


async def test_p14_the_answer_arrives_when_the_run_is_repeated(asked, any_checkpointer):
    payload = await asked(deleting)
    assert (payload.request.action, payload.request.resource_id) == ("delete_user", "user-1")
    response = await resume_with_command(Command.approve({"soft": True}, "alice"), any_checkpointer, payload.id)
    again = await asked(deleting)
    assert again == response
    assert (again.approved, again.approver, again.modifications) == (True, "alice", {"soft": True})


async def test_repeating_before_the_answer_asks_the_same_question_once(asked, any_checkpointer):
    first, second = await asked(deleting), await asked(deleting)
    assert first == second
    assert len(await any_checkpointer.list_by_thread("t")) == 1


async def test_answers_given_earlier_in_a_run_are_given_again(asked, any_checkpointer):
    async def three():
        kinds = [await interrupt("name?", interrupt_type=InterruptType.INPUT), await deleting(), await deleting()]
        return [each.modifications.get("value") for each in kinds]

    for value in ("Bob", 1, 2):
        payload = await asked(three)
        await resume_with_command(Command.approve(value), any_checkpointer, payload.id)
    assert await asked(three) == ["Bob", 1, 2]


async def test_an_answer_approves_one_run_and_not_the_next(asked, any_checkpointer):
    first = await asked(deleting)
    await resume_with_command(Command.approve(), any_checkpointer, first.id)
    assert (await asked(deleting)).approved
    second = await asked(deleting)
    assert isinstance(second, InterruptPayload)
    assert second.id != first.id


async def test_an_answer_belongs_to_its_question_and_its_thread(asked, any_checkpointer):
    payload = await asked(deleting)
    await resume_with_command(Command.approve(), any_checkpointer, payload.id)

    async def another():
        return await interrupt(ApprovalRequest(**{**DELETE, "resource_id": "user-2"}))

    assert isinstance(await asked(another, "u"), InterruptPayload)
    assert isinstance(await asked(deleting, "v"), InterruptPayload)
    assert isinstance(await asked(another), InterruptPayload)


@pytest.mark.parametrize(
    "changed",
    [
        {"context": {"amount": 1_000_000}},
        {"context": {"amount": 10, "to": "somebody else"}},
        {"context": {}},
        {"action": "transfer_all"},
        {"resource_type": "account"},
        {"reason": "pay another bill"},
    ],
)
async def test_what_was_approved_approves_nothing_else(asked, any_checkpointer, changed):
    fields = {"action": "transfer", "reason": "pay the bill", "context": {"amount": 10}}
    payload = await asked(lambda: interrupt(ApprovalRequest(**fields)))
    await resume_with_command(Command.approve(), any_checkpointer, payload.id)
    again = await asked(lambda: interrupt(ApprovalRequest(**{**fields, **changed})))
    assert isinstance(again, InterruptPayload)
    assert again.id != payload.id


async def test_an_answer_given_earlier_in_a_run_is_not_given_to_another_question(asked, any_checkpointer):
    amount = 1

    async def two():
        first = await interrupt(ApprovalRequest(action="pay", reason="a bill", context={"amount": amount}))
        return [first, await deleting()]

    for _ in range(2):
        payload = await asked(two)
        await resume_with_command(Command.approve(), any_checkpointer, payload.id)
    amount = 2
    again = await asked(two)
    assert again.request.context == {"amount": 2}


async def test_choices_are_part_of_the_question(asked, any_checkpointer):
    payload = await asked(lambda: interrupt("where?", options=["here", "there"]))
    await resume_with_command(Command.approve("here"), any_checkpointer, payload.id)
    assert isinstance(await asked(lambda: interrupt("where?", options=["here", "nowhere"])), InterruptPayload)


async def test_the_same_context_in_another_order_is_the_same_question(asked, any_checkpointer):
    def asking(**context):
        fields = {"action": "pay", "reason": "r", "metadata": {"attempt": len(context)}}
        return interrupt(ApprovalRequest(**fields, context=context))

    payload = await asked(lambda: asking(a=(1, 2), b={3}))
    await resume_with_command(Command.approve(), any_checkpointer, payload.id)
    assert (await asked(lambda: asking(b={3}, a=(1, 2)))).approved


async def test_agentflows_own_request_is_taken(asked):
    class Theirs:
        def model_dump(self):
            return {**DELETE, "id": "theirs"}

    assert (await asked(lambda: interrupt(Theirs()))).request.id == "theirs"


async def test_the_callers_request_stays_as_it_is(asked):
    request = ApprovalRequest(**DELETE)
    payload = await asked(lambda: interrupt(request))
    assert request.expires_at is None
    assert payload.request.id == request.id


async def test_the_context_knows_that_it_is_interrupted(any_checkpointer):
    set_checkpointer(any_checkpointer)
    set_thread_id("t")
    assert (is_interrupted(), get_current_interrupt()) == (False, None)
    with pytest.raises(InterruptSignal) as signal:
        await deleting()
    assert (is_interrupted(), get_current_interrupt()) == (True, signal.value.payload)
    clear_interrupt()
    assert not is_interrupted()


async def test_a_thread_without_a_name_gets_one(any_checkpointer, caplog):
    set_checkpointer(any_checkpointer)
    set_thread_id(None)
    with pytest.raises(InterruptSignal) as signal:
        await deleting()
    thread_id = (await any_checkpointer.load(signal.value.payload.id)).thread_id
    assert f"the thread is called {thread_id} from now on" in caplog.text


async def test_a_state_that_cannot_be_kept_is_refused_with_its_path(checkpointer):
    set_checkpointer(checkpointer)
    set_thread_id("t")
    with pytest.raises(SnapshotError, match=r"state\.x: object"):
        await interrupt("x", state={"x": object()})


def test_the_signal_is_an_exception_that_crosses_processes():
    payload = InterruptPayload(interrupt_type=InterruptType.CONFIRMATION, prompt="sure?")
    signal = pickle.loads(pickle.dumps(InterruptSignal(payload)))
    assert isinstance(signal, Exception)
    assert signal.payload == payload
    assert f"the run waits for a person: sure? (interrupt {payload.id}" in str(signal)


ASKING = """
    import asyncio, sys
    from hagane.hitl import *

    async def main():
        set_checkpointer(SqliteCheckpointer(sys.argv[1]))
        set_thread_id("across processes")
        try:
            answer = await interrupt(ApprovalRequest(action="delete", reason="r", context={"tuple": (1, 2)}))
        except InterruptSignal as signal:
            print("stopped", signal.payload.id)
        else:
            print("answered", answer.approved, answer.modifications)

    asyncio.run(main())
"""


async def test_an_answer_given_in_one_process_arrives_in_another(tmp_path, opened):
    def run():
        command = [sys.executable, "-c", textwrap.dedent(ASKING), tmp_path / "checkpoints.db"]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.split(maxsplit=1)

    (said, payload_id), repeated = run(), run()
    assert said == "stopped"
    assert repeated[1] == payload_id
    checkpointer = opened("sqlite")
    latest = await checkpointer.load_latest("across processes")
    assert latest.interrupt_payload["request"]["context"] == {"tuple": (1, 2)}
    await resume_with_command(Command.approve({"n": (3,)}), checkpointer, payload_id.strip())
    assert run() == ["answered", "True {'n': (3,)}\n"]
    assert run()[0] == "stopped"
