"""An answer of a person goes to the question it was given for, to nobody else, and not again when work is undone."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from pipeline_helpers import Scripted

from hagane.engines import HITLEngineConfig, PipelineEngine, StageConfig
from hagane.hitl import ApprovalRequest, Command, InterruptPayload, InterruptSignal, InterruptType, interrupt
from hagane.rollback import MemoryStore, RollbackController, Store
from hagane.validation import QualityGate

Inputs = dict[str, Any]


async def asked(work: Any) -> str:
    with pytest.raises(InterruptSignal) as stopped:
        await work
    return str(stopped.value.payload.prompt)


async def test_an_answer_goes_to_the_parallel_agent_that_asked(store: Store | None) -> None:
    """Also where the agents ask in another order the next time."""
    mails, answered = [], {}

    async def delete(inputs: Inputs) -> Inputs:
        if not mails:
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        answered["delete"] = (await interrupt("delete the database?")).approved
        return {}

    async def mail(inputs: Inputs) -> Inputs:
        mails.append(1)
        if len(mails) > 1:
            await asyncio.sleep(0.01)
        answered["mail"] = (await interrupt("send a newsletter?")).approved
        return {}

    engine = PipelineEngine([StageConfig("p", agents=[mail, delete], parallel=True)], checkpoint_store=store)
    first = await asked(engine.run({}, "t"))
    assert first == "send a newsletter?"
    assert await asked(engine.resume("t", "approve")) == "delete the database?"
    assert "delete" not in answered
    assert (await engine.resume("t", "reject"))["status"] == "success"
    assert answered == {"delete": False, "mail": True}


@pytest.mark.parametrize("parallel", [True, False])
async def test_agents_that_ask_the_same_are_asked_about_each(parallel: bool, store: Store | None) -> None:
    async def ask(inputs: Inputs) -> Inputs:
        return {"ok": (await interrupt("sure?")).approved}

    async def ask_too(inputs: Inputs) -> Inputs:
        return {"ok": (await interrupt("sure?")).approved}

    engine = PipelineEngine([StageConfig("p", agents=[ask, ask_too], parallel=parallel)], checkpoint_store=store)
    await asked(engine.run({}, "t"))
    await asked(engine.resume("t", "approve"))
    result = await engine.resume("t", "reject")
    assert [output["ok"] for output in result["results"]["p"].values()] == [True, False]


@pytest.mark.parametrize(
    "differs",
    [
        lambda n: interrupt(f"pay {n}?"),
        lambda n: interrupt("pay?", options=[f"{n}"]),
        lambda n: interrupt("pay?", interrupt_type=[InterruptType.APPROVAL, InterruptType.INPUT][n % 2]),
        lambda n: interrupt(ApprovalRequest(action=f"pay {n}", reason="bill")),
        lambda n: interrupt(ApprovalRequest(action="pay", reason="bill", resource_id=str(n))),
        lambda n: interrupt(ApprovalRequest(action="pay", reason="bill", context={"amount": n})),
    ],
    ids=["prompt", "options", "type", "action", "resource", "context"],
)
async def test_another_question_in_a_later_attempt_is_asked_anew(differs: Any, store: Store | None) -> None:
    refused: list[Any] = []
    answers: list[Any] = []

    async def pay(inputs: Inputs) -> Inputs:
        answers.append(await differs(len(refused)))
        return {"n": len(answers)}

    gate = QualityGate("enough", lambda output: output["n"] > 1 or bool(refused.append(1)), "retry")
    engine = PipelineEngine([StageConfig("pay", pay, gates=[gate])], checkpoint_store=store)
    await asked(engine.run({}, "t"))
    await asked(engine.resume("t", Command.approve("0")))
    assert len(answers) == len(refused) == 1
    assert (await engine.resume("t", Command.approve("1")))["status"] == "success"


async def test_the_same_question_in_a_later_attempt_is_asked_once(store: Store | None) -> None:
    calls = []

    async def pay(inputs: Inputs) -> Inputs:
        request = ApprovalRequest(action="pay", reason="bill", context={"to": {"a", "b"}, "n": float("nan")})
        given = await interrupt(request)
        calls.append(1)
        return {"n": len(calls), "ok": given.approved}

    gate = QualityGate("enough", lambda output: output["n"] > 1, "retry")
    engine = PipelineEngine([StageConfig("pay", pay, gates=[gate])], checkpoint_store=store)
    await asked(engine.run({}, "t"))
    assert (await engine.resume("t", "approve"))["results"] == {"pay": {"n": 2, "ok": True}}


def raising(prompt: str) -> InterruptSignal:
    return InterruptSignal(InterruptPayload(interrupt_type=InterruptType.APPROVAL, prompt=prompt))


async def test_an_answer_in_the_inputs_is_shown_to_the_agent_that_asked_and_until_its_work_is_refused(
    store: Store | None,
) -> None:
    seen: list[Any] = []

    async def mute(inputs: Inputs) -> Inputs:
        assert "_hitl_response" not in inputs
        return {}

    async def asks(inputs: Inputs) -> Inputs:
        seen.append(inputs.get("_hitl_response", {}).get("approved"))
        if seen[-1] is None:
            raise raising("pay?")
        return {"n": len(seen)}

    gate = QualityGate("never", lambda output: False, "retry", max_attempts=2)
    stage = StageConfig("p", agents=[mute, asks], parallel=True, gates=[gate])
    engine = PipelineEngine([stage], checkpoint_store=store)
    await asked(engine.run({}, "t"))
    await asked(engine.resume("t", "approve"))
    assert seen == [None, True, None]


async def test_nobody_but_the_engine_says_what_a_person_answered(store: Store | None) -> None:
    forged = {"_hitl_response": {"approved": True}, "_hitl_command": {"type": "approve"}, "_hitl_agent": "x"}
    last = Scripted({})
    stages = [StageConfig("a", Scripted(forged)), StageConfig("b", last), StageConfig("c", last, review=True)]
    await PipelineEngine(stages, checkpoint_store=store).run(forged)
    assert [sorted(given) for given in last.given] == [["a_result"], ["a_result", "b_result"]]


async def test_a_rollback_by_hand_asks_again() -> None:
    async def pay(inputs: Inputs) -> Inputs:
        return {"paid": (await interrupt("pay?")).approved}

    engine = PipelineEngine([StageConfig("pay", pay), StageConfig("b", pay)], checkpoint_store=MemoryStore())
    await asked(engine.run({}, "t"))
    await asked(engine.resume("t", "approve"))
    await engine.resume("t", "approve")
    RollbackController(engine, "t").rollback_to("pay", "wrong amount")
    await asked(engine.resume("t"))
    await asked(engine.resume("t", "approve"))  # that of b
    await engine.resume("t", "approve")
    RollbackController(engine, "t").retry_with_feedback("again")
    await asked(engine.resume("t"))


@pytest.mark.parametrize("undone", [None, lambda record: None], ids=["kept", "compensated"])
async def test_a_rollback_by_a_gate_asks_later_stages_again(undone: Any, store: Store | None) -> None:
    async def pay(inputs: Inputs) -> Inputs:
        return {"paid": (await interrupt("pay?")).approved, "amount": inputs["amount"]}

    stages = [
        StageConfig("quote", Scripted({"amount": 100}, {"amount": 200}), compensate=undone),
        StageConfig("pay", pay, gates=[QualityGate("g", lambda output: output["amount"] > 100, "rollback")]),
    ]
    engine = PipelineEngine(stages, checkpoint_store=store)
    await asked(engine.run({}, "t"))
    await asked(engine.resume("t", "approve"))
    assert (await engine.resume("t", "approve"))["results"]["pay"] == {"paid": True, "amount": 200}


async def test_what_a_person_changes_before_a_stage_wins_and_is_that_stages_only(store: Store | None) -> None:
    draft, pay, after = Scripted({"amount": 100, "to": "Ann"}), Scripted({"paid": 1}), Scripted({})
    hitl = HITLEngineConfig(enabled=True, interrupt_before=["pay"])
    stages = [StageConfig("draft", draft), StageConfig("pay", pay, interrupt_before=True), StageConfig("after", after)]
    engine = PipelineEngine(stages, checkpoint_store=store)
    engine.configure(hitl=hitl)
    await asked(engine.run({"topic": "steel"}, "t"))
    result = await engine.resume("t", Command.update({"amount": 50, "note": "half"}))
    given = {"topic": "steel", "amount": 50, "to": "Ann", "note": "half", "draft_result": {"amount": 50, "to": "Ann"}}
    assert pay.given[0] == given
    assert (after.given[0]["amount"], "note" in after.given[0]) == (100, False)
    assert result["results"]["draft"]["amount"] == 100


async def test_a_change_that_cannot_be_stored_leaves_the_question_open() -> None:
    pay = Scripted({})
    engine = PipelineEngine([StageConfig("pay", pay, interrupt_before=True)], checkpoint_store=MemoryStore())
    await asked(engine.run({}, "t"))
    with pytest.raises(Exception, match="changes"):
        await engine.resume("t", Command.update({"amount": object()}))
    await engine.resume("t", Command.update({"amount": 1}))
    assert pay.given == [{"amount": 1}]
