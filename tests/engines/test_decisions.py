"""What a person can decide about a run that waits, over every kind of store and over none."""

from __future__ import annotations

from typing import Any

import pytest
from pipeline_helpers import Scripted, events_of, kinds, stages, started
from virtual_time import run_virtually

from hagane.engines import EngineConfig, Environment, HITLEngineConfig, PipelineEngine, StageConfig
from hagane.errors import InterruptTimeoutError, PipelineError, SnapshotError, StoreCorrupt, UnknownRun
from hagane.hitl import ApprovalRequest, Command, InterruptSignal, interrupt
from hagane.rollback import MemoryStore, RollbackController, SqliteStore, Store
from hagane.validation import QualityGate, ValidationConfig


def accuracy(**settings: Any) -> QualityGate:
    return QualityGate("accuracy", lambda r: r["accuracy"] >= 75, "escalate", stages=["work"], **settings)


def engine_of(store: Store | None, *outputs: Any, gate: QualityGate | None = None, **settings: Any) -> PipelineEngine:
    agents = stages(load=Scripted({"rows": 3}), work=Scripted(*outputs), report=Scripted({"text": "done"}))
    return PipelineEngine(agents, quality_gates=[gate or accuracy()], checkpoint_store=store, **settings)


async def waiting(engine: PipelineEngine) -> InterruptSignal:
    with pytest.raises(InterruptSignal) as stopped:
        await engine.run({"topic": "steel"}, "t")
    return stopped.value


def agents_of(engine: PipelineEngine) -> dict[str, Scripted]:
    return {stage.name: stage.agents[0] for stage in engine._stages}


async def test_approve_takes_the_output_as_it_is(store: Store | None) -> None:
    engine = engine_of(store, {"accuracy": 10})
    await waiting(engine)
    result = await engine.resume("t", Command.approve())
    assert (result["status"], result["results"]["work"]) == ("success", {"accuracy": 10})
    assert result["attempts"] == {"load": 1, "work": 1, "report": 1}


async def test_update_merges_and_is_judged_again(store: Store | None) -> None:
    engine = engine_of(store, {"accuracy": 10, "text": "x"})
    await waiting(engine)
    with pytest.raises(InterruptSignal):
        await engine.resume("t", Command.update({"accuracy": 20}))
    result = await engine.resume("t", Command.update({"accuracy": 80}))
    assert (result["status"], result["results"]["work"]) == ("success", {"accuracy": 80, "text": "x"})
    assert result["attempts"]["work"] == 1


async def test_an_update_is_validated_too(store: Store | None) -> None:
    rules = ValidationConfig(schemas={"work": {"properties": {"accuracy": {"type": "number"}}}})
    engine = engine_of(store, {"accuracy": 10}, {"accuracy": 90}, validation_config=rules)
    await waiting(engine)
    result = await engine.resume("t", Command.update({"accuracy": "high"}))
    assert (result["status"], result["attempts"]["work"]) == ("success", 2)
    assert agents_of(engine)["work"].given[1]["_feedback"]["source"] == "validation"


async def test_retry_runs_the_stage_once_more_with_the_feedback(store: Store | None) -> None:
    engine = engine_of(store, {"accuracy": 10}, {"accuracy": 90})
    await waiting(engine)
    result = await engine.resume("t", Command.retry("use the 2024 figures", issuer="ann"))
    assert (result["status"], result["attempts"]) == ("success", {"load": 1, "work": 2, "report": 1})
    told = agents_of(engine)["work"].given[1]["_feedback"]
    assert (told["source"], told["message"], told["issuer"]) == ("human", "use the 2024 figures", "ann")
    assert told["previous_output"] == {"accuracy": 10}


async def test_reject_goes_back_where_the_gate_says(store: Store | None) -> None:
    engine = engine_of(store, {"accuracy": 10}, {"accuracy": 90}, gate=accuracy(rollback_to="load"))
    await waiting(engine)
    result = await engine.resume("t", Command.reject("wrong table"))
    assert (result["status"], result["attempts"]) == ("success", {"load": 2, "work": 2, "report": 1})
    assert agents_of(engine)["load"].given[1]["_feedback"]["message"] == "wrong table"


async def test_reject_without_a_place_to_go_ends_the_run(store: Store | None) -> None:
    engine = engine_of(store, {"accuracy": 10})
    await waiting(engine)
    result = await engine.resume("t", Command.reject("no"))
    assert (result["status"], result["reason"], result["results"]) == ("rejected", "no", {"load": {"rows": 3}})


async def test_cancel_ends_the_run_for_good(store: Store | None) -> None:
    engine = engine_of(store, {"accuracy": 10})
    await waiting(engine)
    result = await engine.resume("t", Command.cancel("not needed"))
    assert (result["status"], result["reason"]) == ("cancelled", "not needed")
    if store is not None:
        assert (await engine.resume("t"))["status"] == "cancelled"
        assert len(agents_of(engine)["work"].given) == 1


@pytest.mark.parametrize("word", ["approve", {"type": "approve", "value": None}])
async def test_a_command_may_be_a_word_or_a_dict(word: Any) -> None:
    engine = engine_of(MemoryStore(), {"accuracy": 10})
    await waiting(engine)
    assert (await engine.resume("t", word))["status"] == "success"


async def test_a_decision_is_taken_once(tmp_path: Any) -> None:
    store = SqliteStore(tmp_path / "runs.db")
    engine = engine_of(store, {"accuracy": 10})
    await waiting(engine)
    stream = engine.resume_stream("t", Command.approve())
    async for event in stream:
        if event["type"] == "stage_started":
            break
    await stream.aclose()
    with pytest.raises(PipelineError, match="awaits no decision"):
        await engine.resume("t", Command.approve())
    assert (await engine.resume("t"))["status"] == "success"
    with pytest.raises(PipelineError, match="nothing to decide"):
        await engine.resume("t", Command.approve())
    store.close()


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (None, "awaits a human's decision: stage 'work', gate 'accuracy'"),
        ("explode", "not understood"),
        ("resume", "decides nothing about a refused output"),
        ({"type": "update", "value": [1]}, "an update is a dict"),
        (3, "not understood"),
    ],
)
async def test_a_command_that_decides_nothing_leaves_the_run_waiting(command: Any, message: str) -> None:
    engine = engine_of(MemoryStore(), {"accuracy": 10})
    await waiting(engine)
    with pytest.raises(PipelineError, match=message):
        await engine.resume("t", command)
    assert (await engine.resume("t", "approve"))["status"] == "success"


async def test_an_update_that_cannot_be_stored_leaves_the_run_waiting() -> None:
    engine = engine_of(MemoryStore(), {"accuracy": 10})
    await waiting(engine)
    with pytest.raises(SnapshotError, match=r"results\.work\.accuracy"):
        await engine.resume("t", Command.update({"accuracy": object()}))
    assert (await engine.resume("t", "approve"))["results"]["work"] == {"accuracy": 10}


async def test_an_answer_that_is_none_of_the_options_leaves_the_run_waiting(store: Store | None) -> None:
    async def choose(inputs: dict[str, Any]) -> dict[str, Any]:
        return dict((await interrupt("which?", options=["red", "blue"])).modifications)

    engine = PipelineEngine(stages(a=choose), checkpoint_store=store)
    await waiting(engine)
    with pytest.raises(PipelineError, match="not one of the options"):
        await engine.resume("t", Command.approve("green"))
    assert (await engine.resume("t", Command.approve("red")))["results"]["a"] == {"value": "red"}


async def test_the_stream_ends_with_the_question(store: Store | None) -> None:
    engine = engine_of(store, {"accuracy": 10})
    events = await events_of(engine, {}, "t")
    assert events[-1]["type"] == "escalated"
    request = events[-1]["request"]
    assert (request["stage"], request["gate"], request["ask"]) == ("work", "accuracy", "output")
    assert request["expires_at"] - request["asked_at"] == 3600
    resumed = [event async for event in engine.resume_stream("t", Command.approve(approver="ann"))]
    assert (resumed[0]["type"], resumed[0]["command"], resumed[0]["issuer"]) == ("resumed", "approve", "ann")
    sequence = [event["seq"] for event in [*events, *resumed]]
    assert sequence == list(range(1, len(sequence) + 1))


async def test_the_results_can_be_decided_on_after_the_last_stage(store: Store | None) -> None:
    gate = QualityGate("final", lambda r: r["text"] == "good", "escalate")
    engine = PipelineEngine(stages(a=Scripted({"text": "bad"})), quality_gates=[gate], checkpoint_store=store)
    await waiting(engine)
    result = await engine.resume("t", Command.update({"text": "good"}))
    assert (result["status"], result["results"]["a"], result["attempts"]["a"]) == ("success", {"text": "good"}, 1)
    again = PipelineEngine(stages(a=Scripted({"text": "bad"})), quality_gates=[gate], checkpoint_store=store)
    with pytest.raises(InterruptSignal):
        await again.run({}, "u")
    assert (await again.resume("u", "approve"))["status"] == "success"


async def test_before_a_stage_the_inputs_can_be_changed(store: Store | None) -> None:
    agent = Scripted({"done": 1})
    engine = PipelineEngine([StageConfig("a", agent, interrupt_before=True)], checkpoint_store=store)
    await waiting(engine)
    assert (await engine.resume("t", Command.update({"topic": "iron"})))["status"] == "success"
    assert agent.given[0]["topic"] == "iron"


async def test_after_a_stage_its_output_waits_and_is_asked_for_once(store: Store | None) -> None:
    agent, after = Scripted({"x": 1}), Scripted({})
    asking = StageConfig("a", agent, interrupt_after=True)
    engine = PipelineEngine([asking, StageConfig("b", after)], checkpoint_store=store)
    signal = await waiting(engine)
    assert signal.payload.request.context["previous_output"] == {"x": 1}
    result = await engine.resume("t", Command.update({"x": 2}))
    assert (result["status"], after.given[0]["x"], len(agent.given)) == ("success", 2, 1)


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_refused_approval_ends_the_run(when: str, store: Store | None) -> None:
    agent = Scripted({"x": 1})
    stage = StageConfig("a", agent, interrupt_before=when == "before", interrupt_after=when == "after")
    engine = PipelineEngine([stage], checkpoint_store=store)
    await waiting(engine)
    result = await engine.resume("t", Command.reject("no"))
    assert (result["status"], result["results"]) == ("rejected", {})
    assert len(agent.given) == (when == "after")


async def _asks_twice(inputs: dict[str, Any]) -> dict[str, Any]:
    first = await interrupt(ApprovalRequest(action="delete", reason="sure?"))
    second = await interrupt("how many?")
    return {"first": first.approved, "second": second.modifications, "hook": inputs["_hitl_command"]["type"]}


async def test_an_agent_may_ask_several_times_and_gets_each_answer(store: Store | None) -> None:
    engine = PipelineEngine(stages(a=_asks_twice), checkpoint_store=store)
    await waiting(engine)
    with pytest.raises(InterruptSignal):
        await engine.resume("t", Command.reject("no"))
    result = await engine.resume("t", Command.approve({"n": 3}))
    assert result["results"]["a"] == {"first": False, "second": {"n": 3}, "hook": "approve"}


async def test_retrying_an_agent_that_asked_approves_nothing() -> None:
    engine = PipelineEngine(stages(a=_asks_twice), checkpoint_store=MemoryStore())
    await waiting(engine)
    with pytest.raises(InterruptSignal):
        await engine.resume("t", Command.retry())


def test_a_decision_expires_by_policy() -> None:
    async def work(environment: Environment, policy: str) -> Any:
        hitl = HITLEngineConfig(default_timeout_seconds=60, on_expiry=policy)
        engine = engine_of(
            MemoryStore(),
            {"accuracy": 10},
            config=EngineConfig(hitl=hitl, timeout_seconds=None),
            environment=environment,
        )
        await waiting(engine)
        await environment.sleep(61)
        try:
            return (await engine.resume("t", Command.approve()))["status"]
        except InterruptTimeoutError as error:
            return str(error)

    ends = {
        policy: run_virtually(lambda env, policy=policy: work(env, policy)) for policy in ("reject", "cancel", "accept")
    }
    assert ends == {"reject": "rejected", "cancel": "cancelled", "accept": "success"}
    assert "the time for a decision was over" in run_virtually(lambda env: work(env, "error"))
    with pytest.raises(PipelineError, match="on_expiry"):
        HITLEngineConfig(on_expiry="shrug")


async def test_a_controller_decides_by_going_back(store: Store | None) -> None:
    engine = engine_of(store, {"accuracy": 10}, {"accuracy": 90})
    await waiting(engine)
    if store is None:
        with pytest.raises(PipelineError, match="needs a checkpoint store"):
            RollbackController(engine, "t")
        return
    RollbackController(engine, "t").rollback_to("load", "reload")
    resumed = [event async for event in engine.resume_stream("t")]
    assert started(resumed) == [("load", 2), ("work", 2), ("report", 1)]
    assert kinds(engine.history(resumed[0]["run_id"]), "escalated", "rollback") == ["escalated", "rollback"]


async def test_another_process_object_resumes_a_stored_question(tmp_path: Any) -> None:
    store = SqliteStore(tmp_path / "runs.db")
    await waiting(engine_of(store, {"accuracy": 10}))
    store.close()
    again = SqliteStore(tmp_path / "runs.db")
    assert (await engine_of(again, {}).resume("t", "approve"))["results"]["work"] == {"accuracy": 10}
    again.close()


@pytest.fixture(params=["memory", "sqlite"])
def checkpointer(request: pytest.FixtureRequest, tmp_path: Any) -> Any:
    from hagane.hitl import MemoryCheckpointer
    from hagane.hitl.sqlite_checkpointer import SqliteCheckpointer

    return MemoryCheckpointer() if request.param == "memory" else SqliteCheckpointer(tmp_path / "hitl.db")


def checkpointed(checkpointer: Any, *outputs: Any, gate: QualityGate | None = None) -> PipelineEngine:
    config = EngineConfig(hitl=HITLEngineConfig(enabled=True, checkpointer=checkpointer))
    return engine_of(None, *outputs, gate=gate, config=config)


async def test_agentflows_checkpointer_keeps_a_run_that_waits_for_another_process(checkpointer: Any) -> None:
    signal = await waiting(checkpointed(checkpointer, {"accuracy": 10}))
    kept = await checkpointer.load_latest("t")
    assert (kept.node_id, kept.flow_id, kept.results) == ("work", signal.payload.flow_id, {"load": {"rows": 3}})
    other = checkpointed(checkpointer)
    result = await other.resume("t", Command.update({"accuracy": 80}))
    assert (result["status"], result["attempts"]) == ("success", {"load": 1, "work": 1, "report": 1})
    with pytest.raises(UnknownRun):
        await checkpointed(checkpointer).resume("t", Command.approve())


async def test_a_decision_in_a_checkpointer_is_taken_once(checkpointer: Any) -> None:
    await waiting(checkpointed(checkpointer, {"accuracy": 10}))
    kept = await checkpointer.load_latest("t")
    one, other = checkpointed(checkpointer), checkpointed(checkpointer)
    assert (await one.resume("t", "approve"))["status"] == "success"
    other._waiting["t"] = stale = await _loaded(other, checkpointer, kept)
    with pytest.raises(PipelineError, match="decided by somebody else"):
        await other.resume("t", "approve")
    assert stale.checkpoint_id == kept.checkpoint_id


async def _loaded(engine: PipelineEngine, checkpointer: Any, kept: Any) -> Any:
    from hagane.engines.checkpointers import load_from

    await checkpointer.save(kept)
    stored = await load_from(engine, checkpointer, "t")
    await checkpointer.delete(kept.checkpoint_id)
    return stored


async def test_a_checkpoint_that_is_none_of_an_engines_is_refused(checkpointer: Any) -> None:
    from hagane.hitl.checkpointer import CheckpointData

    await checkpointer.save(CheckpointData(checkpoint_id="x", thread_id="t", state={"mine": 1}))
    with pytest.raises(UnknownRun, match="waits for a person"):
        await checkpointed(checkpointer).resume("t", "approve")
    version = checkpointed(checkpointer)._version()
    for state, wrong in (({"version": "other"}, PipelineError), ({"version": version}, StoreCorrupt)):
        await checkpointer.save(CheckpointData(checkpoint_id="x", thread_id="t", state={"hagane_run": state}))
        with pytest.raises(wrong):
            await checkpointed(checkpointer).resume("t", "approve")


async def test_an_approval_that_comes_twice_does_not_answer_the_next_question(store: Store | None) -> None:
    doubts = [QualityGate(name, lambda _: False, "escalate", stages=[name]) for name in ("load", "report")]
    agents = stages(load=Scripted({"rows": 3}), report=Scripted({"text": "done"}))
    engine = PipelineEngine(agents, quality_gates=doubts, checkpoint_store=store)
    await waiting(engine)
    click = Command.approve(approver="alice")
    with pytest.raises(InterruptSignal):
        await engine.resume("t", click)
    for repeated in (click, click.model_dump(mode="json")):
        with pytest.raises(PipelineError, match=r"issued before this question was asked.*stage 'report'"):
            await engine.resume("t", repeated)
    assert (await engine.resume("t", Command.approve()))["status"] == "success"


async def test_a_decision_can_name_its_request(store: Store | None) -> None:
    engine = engine_of(store, {"accuracy": 10})
    asked = (await waiting(engine)).payload.request
    assert asked is not None
    other = Command(type="approve", metadata={"request_id": "another"})
    with pytest.raises(PipelineError, match="about request 'another', which thread 't' does not wait for"):
        await engine.resume("t", other)
    named = Command(type="approve", metadata={"request_id": asked.id}, issued_at="2001-01-01T00:00:00")
    assert (await engine.resume("t", named))["status"] == "success"


async def test_a_new_run_does_not_take_the_place_of_one_that_waits(store: Store | None) -> None:
    engine = engine_of(store, {"accuracy": 10}, {"accuracy": 90})
    await waiting(engine)
    with pytest.raises(PipelineError, match=r"awaits a human's decision: stage 'work'.*another thread_id"):
        await engine.run({"topic": "copper"}, "t")
    assert (await engine.run({"topic": "copper"}, "t2"))["status"] == "success"
    assert (await engine.resume("t", Command.approve()))["results"]["work"] == {"accuracy": 10}


async def test_a_new_run_may_supersede_one_that_waits(store: Store | None) -> None:
    engine = engine_of(store, {"accuracy": 10}, {"accuracy": 90}, config=EngineConfig(on_conflict="supersede"))
    await waiting(engine)
    assert (await engine.run({"topic": "copper"}, "t"))["results"]["work"] == {"accuracy": 90}
