"""One test for each fault of AgentFlow's pipeline that a user of hagane must not meet, named by its id."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from pipeline_helpers import Scripted, events_of, kinds, stages, started
from virtual_time import run_virtually

from hagane.engines import EngineConfig, Environment, HITLEngineConfig, PipelineEngine, StageConfig
from hagane.hitl import ApprovalRequest, Command, InterruptSignal, interrupt
from hagane.rollback import MemoryStore, Store
from hagane.validation import QualityGate


def review(*outputs: Any, **fields: Any) -> StageConfig:
    return StageConfig("review", Scripted(*outputs), review=True, **fields)


async def test_p1_a_stage_that_raises_is_not_success() -> None:
    result = await PipelineEngine(stages(a=Scripted(ValueError("bad")), b=len)).run({})
    assert (result["status"], result["stage"]) == ("failed", "a")
    assert result["reason"].startswith("ValueError: bad")


async def test_p2_a_failed_parallel_agent_does_not_disappear() -> None:
    agents = [lambda i: {"ok": 1}, Scripted(ValueError("lost"))]
    failed = await PipelineEngine([StageConfig("p", agents=agents, parallel=True)]).run({})
    assert failed["status"] == "failed"
    isolated = await PipelineEngine([StageConfig("p", agents=agents, parallel=True, on_error="isolate")]).run({})
    assert isolated["status"] == "partial"
    assert isolated["results"]["p"] == {"p_0": {"ok": 1}}
    assert isolated["failed"]["p"]["p_1"] == {"type": "ValueError", "message": "lost"}


@pytest.mark.parametrize("retries", [0, 1, 4])
async def test_p3_max_retries_is_used(retries: int) -> None:
    agent = Scripted(*(ValueError(str(number)) for number in range(9)))
    await PipelineEngine(stages(a=agent), config=EngineConfig(max_retries=retries, backoff_seconds=0)).run({})
    assert len(agent.given) == retries + 1


def test_p4_timeout_seconds_is_used() -> None:
    async def slow(inputs: dict[str, Any]) -> None:
        await asyncio.sleep(1000)

    async def work(environment: Environment) -> None:
        engine = PipelineEngine(stages(a=slow), config=EngineConfig(timeout_seconds=30), environment=environment)
        begun = environment.monotonic()
        result = await engine.run({})
        assert (result["status"], result["timeout"]) == ("failed", True)
        assert environment.monotonic() - begun == pytest.approx(30)

    run_virtually(work)


@pytest.mark.parametrize("key", ["verdict", "overall_verdict"])
async def test_p5_both_names_of_the_verdict_are_read_everywhere(key: str) -> None:
    engine = PipelineEngine([*stages(a=lambda i: {}), review({key: "REJECT", "reason": "no"})])
    assert (await engine.run({}))["status"] == "rejected"
    assert (await events_of(engine, {}))[-1]["status"] == "rejected"


async def test_p6_an_exhausted_revise_is_no_success_and_the_stage_gets_the_feedback() -> None:
    writer = Scripted(*({"n": number} for number in range(9)))
    again = [{"verdict": "REVISE", "reason": f"thin {number}"} for number in range(9)]
    result = await PipelineEngine([*stages(write=writer), review(*again)], max_revisions=2).run({})
    assert result["status"] == "rejected"
    assert [given.get("_feedback", {}).get("message") for given in writer.given] == [None, "thin 0", "thin 1"]


@pytest.mark.parametrize("said", [{"verdict": "FINE"}, {}, {"verdict": None}, {"verdict": 3}])
async def test_p8_an_unknown_or_missing_verdict_is_no_success(said: dict[str, Any]) -> None:
    result = await PipelineEngine([review(said)]).run({})
    assert (result["status"], "PASS, COACH, REVISE or REJECT" in result["reason"]) == ("rejected", True)


async def test_p9_reject_is_the_outer_status() -> None:
    result = await PipelineEngine([*stages(a=lambda i: {}), review({"verdict": "REJECT", "reason": "no"})]).run({})
    assert (result["status"], result["stage"], result["reason"]) == ("rejected", "review", "no")


async def test_p10_a_refused_gate_is_the_outer_status() -> None:
    gate = StageConfig("gate", lambda i: {"passed": False, "reason": "off topic"}, gate=True)
    result = await PipelineEngine([gate, *stages(b=len)]).run({})
    assert (result["status"], result["stage"], result["reason"]) == ("rejected", "gate", "off topic")


class InvokeOnly:
    async def invoke(self, inputs: dict[str, Any]) -> dict[str, Any]:
        return {"who": inputs["who"]}


class ProcessOnly:
    def process(self, inputs: dict[str, Any]) -> dict[str, Any]:
        return {"who": inputs["who"]}


@pytest.mark.parametrize("agent", [InvokeOnly, InvokeOnly(), ProcessOnly, ProcessOnly()])
async def test_p11_agents_with_invoke_or_process_only_run(agent: Any) -> None:
    result = await PipelineEngine([StageConfig("p", agents=[agent, agent], parallel=True)]).run({"who": "x"})
    assert result["results"]["p"] == {"p_0": {"who": "x"}, "p_1": {"who": "x"}}


@pytest.mark.parametrize("hitl", [False, True])
async def test_p12_interrupt_before_is_honoured(hitl: bool, store: Store | None) -> None:
    agent = Scripted({"done": 1})
    stage = StageConfig("a", agent, interrupt_before=not hitl)
    config = EngineConfig(hitl=HITLEngineConfig(enabled=hitl, interrupt_before=["a"]))
    engine = PipelineEngine([stage], config=config, checkpoint_store=store)
    with pytest.raises(InterruptSignal) as stopped:
        await engine.run({}, "t")
    assert (stopped.value.payload.request.action, agent.given) == ("stage_before_a", [])
    assert (await engine.resume("t", Command.approve()))["status"] == "success"


async def _ask(inputs: dict[str, Any]) -> dict[str, Any]:
    response = await interrupt(ApprovalRequest(action="delete_user", reason="it is final"))
    return {"approved": response.approved, "by": response.approver}


async def test_p13_interrupt_inside_an_agent_is_not_swallowed(store: Store | None) -> None:
    engine = PipelineEngine(stages(a=_ask), checkpoint_store=store)
    with pytest.raises(InterruptSignal) as stopped:
        await engine.run({}, "t")
    payload = stopped.value.payload
    assert (payload.request.action, payload.node_id, payload.flow_id) == ("delete_user", "a", engine._flow_id)


async def test_p14_the_answer_arrives_and_what_was_done_is_not_done_again(store: Store | None) -> None:
    before = Scripted({"x": 1})
    engine = PipelineEngine(stages(before=before, ask=_ask), checkpoint_store=store)
    with pytest.raises(InterruptSignal):
        await engine.run({}, "t")
    result = await engine.resume("t", Command.approve(approver="ann"))
    assert result["results"]["ask"] == {"approved": True, "by": "ann"}
    assert len(before.given) == 1


async def test_p15_concurrent_runs_share_no_ids() -> None:
    seen: list[tuple[str | None, str]] = []

    async def agent(inputs: dict[str, Any]) -> dict[str, Any]:
        await asyncio.sleep(0)
        seen.append((engine.thread_id, inputs["mine"]))
        return {}

    engine = PipelineEngine(stages(a=agent))
    results = await asyncio.gather(*(engine.run({"mine": name}, name) for name in ("r", "s", "t")))
    assert seen == [(name, name) for name in ("r", "s", "t")]
    assert len({result["run_id"] for result in results}) == 3


async def test_p16_initialize_is_called_once() -> None:
    class Counted:
        calls = 0

        async def initialize(self) -> None:
            self.calls += 1

        async def run(self, inputs: dict[str, Any]) -> dict[str, Any]:
            return {}

    agent = Counted()
    engine = PipelineEngine([StageConfig("a", agent), StageConfig("b", agents=[agent, agent])])
    await asyncio.gather(engine.run({}), engine.run({}))
    async for _ in engine.run_stream({}):
        pass
    assert agent.calls == 1


async def test_p18_outputs_do_not_overwrite_the_callers_inputs() -> None:
    inputs = {"x": 1, "deep": {"y": [1]}}

    def vandal(given: dict[str, Any]) -> dict[str, Any]:
        given["deep"]["y"].append(2)
        return {"x": 99}

    await PipelineEngine(stages(a=vandal, b=vandal)).run(inputs)
    assert inputs == {"x": 1, "deep": {"y": [1]}}


async def test_p19_results_of_agents_in_turn_are_visible_to_the_next_stage() -> None:
    after = Scripted({})
    pair = StageConfig("pair", agents=[Scripted({"x": 1}, name="one"), Scripted({"y": 2}, name="two")])
    await PipelineEngine([pair, StageConfig("after", after)]).run({})
    assert after.given[0]["pair_result"] == {"one": {"x": 1}, "two": {"y": 2}}
    assert (after.given[0]["one"], after.given[0]["two"]) == ({"x": 1}, {"y": 2})


async def test_p20_an_output_that_cannot_be_copied_does_not_kill_the_stage_in_silence() -> None:
    lock = threading.Lock()
    result = await PipelineEngine(stages(a=lambda i: {"lock": lock}, b=lambda i: {"same": i["lock"] is lock})).run({})
    assert (result["status"], result["results"]["b"]) == ("success", {"same": True})
    stored = await PipelineEngine(stages(a=lambda i: {"lock": lock}), checkpoint_store=MemoryStore()).run({})
    assert (stored["status"], "results.a.lock" in stored["reason"]) == ("failed", True)


async def test_p21_report_builder_is_used_by_run_and_by_run_stream() -> None:
    class Builder:
        def build(self, results: dict[str, Any], inputs: dict[str, Any] | None = None) -> dict[str, Any]:
            return {"title": (inputs or {})["t"], "n": len(results)}

    engine = PipelineEngine(stages(a=lambda i: {}), report_builder=Builder(), report_generator=lambda r: {"n": 0})
    assert (await engine.run({"t": "T"}))["title"] == "T"
    assert (await events_of(engine, {"t": "T"}))[-1]["result"]["n"] == 1


async def test_p22_a_result_of_none_is_an_empty_output() -> None:
    result = await PipelineEngine(stages(a=lambda i: None, b=lambda i: {"seen": i["a_result"]})).run({})
    assert result["results"] == {"a": {}, "b": {"seen": {}}}


@pytest.mark.parametrize("agent", [Scripted({}), Scripted(ValueError("x"))])
async def test_p23_the_stream_begins_once_and_ends_once(agent: Scripted) -> None:
    events = await events_of(PipelineEngine(stages(a=agent)), {})
    assert kinds(events, "run_started") == ["run_started"]
    assert kinds(events, "run_completed") == ["run_completed"]
    assert (kinds(events)[0], kinds(events)[-1]) == ("run_started", "run_completed")


async def test_a_coach_lets_the_run_go_on_with_its_advice_and_partial() -> None:
    after = Scripted({})
    coach = review({"verdict": "COACH", "reason": "name the sources"})
    result = await PipelineEngine([*stages(a=lambda i: {}), coach, StageConfig("after", after)]).run({})
    assert (result["status"], result["advice"]) == ("partial", {"review": "name the sources"})
    assert started(await events_of(PipelineEngine([coach]), {})) == [("review", 1)]
    assert len(after.given) == 1


async def test_a_gate_with_unknown_on_fail_is_refused() -> None:
    with pytest.raises(ValueError, match="explode"):
        QualityGate("g", lambda r: True, "explode")
