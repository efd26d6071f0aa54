"""What a decision on an interrupt means, which one counts, and until when."""

from __future__ import annotations

import datetime as dt

import pytest
from interrupt_helpers import DELETE, deleting

from hagane.core.model import utc_now
from hagane.hitl import (
    ApprovalRequest,
    ApprovalStatus,
    CheckpointData,
    Command,
    CommandType,
    InterruptError,
    InterruptTimeoutError,
    InterruptType,
    interrupt,
    resume_with_command,
)


async def test_h5_the_first_decision_counts(asked, any_checkpointer):
    payload = await asked(deleting)
    await resume_with_command(Command.reject("no", "alice"), any_checkpointer, payload.id)
    with pytest.raises(InterruptError, match="was decided already: rejected by alice; the first decision counts"):
        await resume_with_command(Command.approve(approver="bob"), any_checkpointer, payload.id)
    refused = await asked(deleting)
    assert (refused.approved, refused.rejection_reason) == (False, "no")
    with pytest.raises(InterruptError, match="decided already"):
        await resume_with_command(Command.approve(), any_checkpointer, payload.id)


UNDECIDED = [Command.update({"price": 3}), Command.retry({"hint": "x"}), Command(type="resume", value=5)]


@pytest.mark.parametrize("command", UNDECIDED, ids=["update", "retry", "resume"])
async def test_update_and_retry_do_not_count_as_approval(asked, any_checkpointer, command):
    payload = await asked(deleting)
    response = await resume_with_command(command, any_checkpointer, payload.id)
    assert (response.approved, response.status, response.comment) == (False, ApprovalStatus.PENDING, command.type.value)
    value = command.value if isinstance(command.value, dict) else {"value": command.value}
    assert (await asked(deleting)).modifications == value


@pytest.mark.parametrize(
    ("command", "status", "reason"),
    [
        (Command.reject(), ApprovalStatus.REJECTED, None),
        (Command.reject("too big"), ApprovalStatus.REJECTED, "too big"),
        (Command.cancel(), ApprovalStatus.CANCELLED, "Cancelled by user"),
        (Command(type=CommandType.CANCEL, value="bored"), ApprovalStatus.CANCELLED, "bored"),
    ],
)
async def test_a_refusal_says_why(asked, any_checkpointer, command, status, reason):
    payload = await asked(deleting)
    response = await resume_with_command(command, any_checkpointer, payload.id)
    assert (response.approved, response.status, response.rejection_reason) == (False, status, reason)
    assert (response.request_id, response.modifications) == (payload.request.id, {})


async def test_a_question_is_answered_by_resume_and_only_with_one_of_its_options(asked, any_checkpointer):
    async def asking():
        return await interrupt("colour?", interrupt_type=InterruptType.INPUT, options=["red", "blue"])

    payload = await asked(asking)
    assert (payload.prompt, payload.options, payload.interrupt_type) == (
        "colour?",
        ["red", "blue"],
        InterruptType.INPUT,
    )
    with pytest.raises(ValueError, match=r"'green' is not one of the options \['red', 'blue'\]"):
        await resume_with_command(Command(type="resume", value="green"), any_checkpointer, payload.id)
    await resume_with_command(Command(type="resume", value="blue"), any_checkpointer, payload.id)
    answer = await asked(asking)
    assert (answer.approved, answer.modifications) == (True, {"value": "blue"})


async def test_an_update_that_is_no_dictionary_is_refused(asked, any_checkpointer):
    payload = await asked(deleting)
    with pytest.raises(ValueError, match="dictionary of new values, not list"):
        await resume_with_command(Command(type="update", value=[1]), any_checkpointer, payload.id)


@pytest.fixture
def days_pass(monkeypatch):
    def pass_days(days):
        later = utc_now() + dt.timedelta(days=days)
        monkeypatch.setattr("hagane.hitl.pending.utc_now", lambda: later)

    return pass_days


async def test_h7_a_requests_own_timeout_counts_and_the_calls_goes_before_it(asked):
    begins = utc_now()
    own = await asked(lambda: interrupt(ApprovalRequest(**DELETE, timeout_seconds=50)), "a")
    given = await asked(lambda: interrupt(ApprovalRequest(**DELETE, timeout_seconds=50), timeout_seconds=0), "b")
    deadline = dt.datetime(2100, 1, 1, 9, tzinfo=dt.timezone(dt.timedelta(hours=9)))
    fixed = await asked(lambda: interrupt(ApprovalRequest(**DELETE, expires_at=deadline)), "c")
    assert 50 <= (own.request.expires_at - begins).total_seconds() < 3000
    assert (given.request.expires_at - begins).total_seconds() < 40
    assert fixed.request.expires_at == dt.datetime(2100, 1, 1)
    with pytest.raises(ValueError, match="timeout_seconds is -1"):
        await interrupt("x", timeout_seconds=-1)


async def test_after_the_deadline_no_answer_counts(asked, any_checkpointer, days_pass):
    payload = await asked(deleting)
    days_pass(1)
    response = await resume_with_command(Command.approve(), any_checkpointer, payload.id)
    assert (response.status, response.approved) == (ApprovalStatus.EXPIRED, False)
    with pytest.raises(InterruptTimeoutError, match="nobody answered 'it cannot be undone'") as error:
        await asked(deleting)
    assert isinstance(error.value, TimeoutError)


async def test_a_run_that_is_repeated_too_late_times_out_and_then_asks_again(asked, any_checkpointer, days_pass):
    payload = await asked(deleting)
    days_pass(1)
    with pytest.raises(InterruptTimeoutError, match=payload.id):
        await asked(deleting)
    with pytest.raises(InterruptError, match="decided already: expired"):
        await resume_with_command(Command.approve(), any_checkpointer, payload.id)
    assert (await asked(deleting)).id != payload.id


async def test_a_checkpoint_without_an_interrupt_is_an_error(any_checkpointer):
    await any_checkpointer.save(CheckpointData(checkpoint_id="plain", thread_id="t"))
    with pytest.raises(InterruptError, match="'plain' holds no interrupt"):
        await resume_with_command(Command.approve(), any_checkpointer, "plain")
    with pytest.raises(InterruptError, match="no checkpoint 'nothing'"):
        await resume_with_command(Command.approve(), any_checkpointer, "nothing")


async def test_an_engines_own_checkpoint_of_the_interrupt_can_be_decided(asked, any_checkpointer):
    payload = await asked(deleting)
    saved = CheckpointData(checkpoint_id="cp-1", thread_id="t", interrupt_payload=payload.model_dump())
    await any_checkpointer.save(saved)
    await resume_with_command(Command.approve(), any_checkpointer, "cp-1")
    assert (await asked(deleting)).approved
