"""Effects that are done once, and compensations that undo them once and in reverse."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from pipeline_helpers import Scripted, events_of, kinds, stages

from hagane.engines import EngineConfig, PipelineEngine, StageConfig, current_stage
from hagane.errors import PipelineError
from hagane.hitl import Command, InterruptSignal
from hagane.rollback import MemoryStore, RollbackController, Store
from hagane.validation import QualityGate


class World:
    """What agents do outside, and what was undone of it."""

    def __init__(self) -> None:
        self.keys: list[str] = []
        self.undone: list[dict[str, Any]] = []

    def charge(self, key: str) -> dict[str, Any]:
        self.keys.append(key)
        return {"receipt": len(self.keys)}

    async def undo(self, record: dict[str, Any]) -> None:
        self.undone.append(record)

    @property
    def undone_stages(self) -> list[str]:
        return [record["stage"] for record in self.undone]


def paying(world: World, *fail: Exception) -> Any:
    failures = list(fail)

    async def agent(inputs: dict[str, Any]) -> dict[str, Any]:
        receipt = await current_stage().effect("charge", world.charge)
        if failures:
            raise failures.pop(0)
        return {"receipt": receipt["receipt"]}

    return agent


async def test_an_effect_recorded_before_is_not_repeated_by_a_retry(store: Store | None) -> None:
    world = World()
    engine = PipelineEngine(stages(pay=paying(world, ConnectionError("lost"))), checkpoint_store=store)
    result = await engine.run({})
    assert (result["attempts"]["pay"], result["results"]["pay"]) == (2, {"receipt": 1})
    assert world.keys == [f"{result['run_id']}:pay:0:charge"]


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
async def test_a_resume_does_not_repeat_it_either(kind: str, tmp_path: Any) -> None:
    from hagane.rollback import SqliteStore

    store: Store = MemoryStore() if kind == "memory" else SqliteStore(tmp_path / "runs.db")
    world = World()
    broken = [ValueError("1"), ValueError("1")]
    engine = PipelineEngine(stages(pay=paying(world, *broken)), checkpoint_store=store)
    assert (await engine.run({}, "t"))["status"] == "failed"
    result = await engine.resume("t")
    assert (result["status"], result["results"]["pay"], len(world.keys)) == ("success", {"receipt": 1}, 1)
    assert "effect" in kinds(engine.history(result["run_id"]))
    store.close()


async def test_a_synchronous_agent_has_effects_too(store: Store | None) -> None:
    world = World()

    def agent(inputs: dict[str, Any]) -> dict[str, Any]:
        return current_stage().effect_sync("charge", world.charge)  # type: ignore[no-any-return]

    result = await PipelineEngine(stages(pay=agent), checkpoint_store=store).run({})
    assert result["results"]["pay"] == {"receipt": 1}

    async def wrong(inputs: dict[str, Any]) -> None:
        current_stage().effect_sync("charge", world.charge)

    refused = await PipelineEngine(stages(pay=wrong)).run({})
    assert "use `await current_stage().effect" in refused["reason"]


async def test_parallel_agents_have_effects_of_their_own(store: Store | None) -> None:
    world = World()
    both = StageConfig("pay", agents=[paying(world), paying(world)], parallel=True)
    result = await PipelineEngine([both], checkpoint_store=store).run({})
    run = result["run_id"]
    assert sorted(world.keys) == [f"{run}:pay:0:pay_0:charge", f"{run}:pay:0:pay_1:charge"]


async def test_the_same_effect_twice_at_once_is_refused() -> None:
    async def agent(inputs: dict[str, Any]) -> dict[str, Any]:
        async def slow(key: str) -> int:
            await asyncio.sleep(0)
            return 1

        stage = current_stage()
        await asyncio.gather(stage.effect("x", slow), stage.effect("x", slow))
        return {}

    result = await PipelineEngine(stages(a=agent), config=EngineConfig(max_retries=0)).run({})
    assert "under way already" in result["reason"]


def test_outside_a_stage_there_is_none() -> None:
    with pytest.raises(PipelineError, match="no stage runs here"):
        current_stage()


async def test_an_effect_that_cannot_be_stored_fails_by_path() -> None:
    async def agent(inputs: dict[str, Any]) -> dict[str, Any]:
        return {"x": await current_stage().effect("x", lambda key: {"socket": object()})}

    result = await PipelineEngine(stages(a=agent), checkpoint_store=MemoryStore()).run({})
    assert (result["status"], "effects.a.x.socket: object" in result["reason"]) == ("failed", True)


def compensated(world: World, *names: str, gate: QualityGate, store: Store | None, **outputs: Any) -> PipelineEngine:
    configs = [
        StageConfig(name, Scripted(*outputs.get(name, [{name: 1}])), compensate=world.undo if name in names else None)
        for name in "abcd"
    ]
    return PipelineEngine(configs, quality_gates=[gate], checkpoint_store=store)


async def test_a_rollback_undoes_in_reverse_each_once_and_before_anything_runs_again(store: Store | None) -> None:
    world = World()
    gate = QualityGate("g", lambda r: r["d"] == 2, "rollback", stages=["d"], rollback_to="a")
    engine = compensated(world, "a", "c", gate=gate, store=store, d=[{"d": 1}, {"d": 2}])
    events = await events_of(engine, {"in": 1})
    assert events[-1]["status"] == "success"
    assert world.undone_stages == ["c", "a"]
    assert (world.undone[0]["output"], world.undone[0]["inputs"]) == ({"c": 1}, {"in": 1})
    wanted = kinds(events, "rollback", "compensation_started", "compensation_completed")
    assert wanted == ["rollback", *["compensation_started", "compensation_completed"] * 2]
    after = [event["type"] for event in events[events.index(next(e for e in events if e["type"] == "rollback")) :]]
    assert after.index("stage_started") > max(i for i, kind in enumerate(after) if kind == "compensation_completed")


async def test_an_effect_is_done_anew_under_a_new_key_once_it_was_undone(store: Store | None) -> None:
    world = World()
    gate = QualityGate("g", lambda r: r["n"] == 2, "rollback", stages=["check"], rollback_to="pay")
    engine = PipelineEngine(
        [
            StageConfig("pay", paying(world), compensate=world.undo),
            StageConfig("check", Scripted({"n": 1}, {"n": 2})),
        ],
        quality_gates=[gate],
        checkpoint_store=store,
    )
    result = await engine.run({})
    run = result["run_id"]
    assert world.keys == [f"{run}:pay:0:charge", f"{run}:pay:1:charge"]
    assert world.undone[0]["effects"] == {"charge": {"receipt": 1}}
    assert world.undone[0]["idempotency_key"] == f"{run}:pay:0:undo"


async def test_a_rollback_that_undid_nothing_does_not_repeat_the_effect() -> None:
    world = World()
    gate = QualityGate("g", lambda r: r["n"] == 2, "rollback", stages=["check"], rollback_to="pay")
    agents = stages(pay=paying(world), check=Scripted({"n": 1}, {"n": 2}))
    await PipelineEngine(agents, quality_gates=[gate]).run({})
    assert len(world.keys) == 1


async def test_cancelling_undoes_everything(store: Store | None) -> None:
    world = World()
    gate = QualityGate("g", lambda r: False, "escalate", stages=["d"])
    engine = compensated(world, "a", "b", "c", gate=gate, store=store)
    with pytest.raises(InterruptSignal):
        await engine.run({}, "t")
    result = await engine.resume("t", Command.cancel())
    assert (result["status"], world.undone_stages, result["results"]) == ("cancelled", ["c", "b", "a"], {})


async def test_going_back_by_hand_undoes_when_the_run_goes_on() -> None:
    world, store = World(), MemoryStore()
    engine = compensated(world, "b", "c", gate=QualityGate("g", lambda r: True), store=store)
    await engine.run({}, "t")
    for _ in range(2):
        RollbackController(engine, "t").rollback_to("b")
    assert world.undone == []
    assert (await engine.resume("t"))["status"] == "success"
    assert world.undone_stages == ["c", "b"]


async def test_a_compensation_that_fails_is_tried_again_and_then_stops_the_run_until_it_is_resumed(
    store: Store | None,
) -> None:
    attempts: list[str] = []

    def undo(record: dict[str, Any]) -> None:
        attempts.append(record["idempotency_key"])
        if len(attempts) < 4:
            raise ConnectionError("bank closed")

    gate = QualityGate("g", lambda r: r["b"] == 2, "rollback", stages=["b"])
    engine = PipelineEngine(
        [StageConfig("a", Scripted({"a": 1}), compensate=undo), StageConfig("b", Scripted({"b": 1}, {"b": 2}))],
        quality_gates=[gate],
        checkpoint_store=store,
        config=EngineConfig(backoff_seconds=0),
    )
    events = await events_of(engine, {}, "t")
    assert events[-1]["status"] == "failed"
    assert "compensation of stage 'a' failed: ConnectionError: bank closed" in events[-1]["reason"]
    assert kinds(events, "compensation_failed") == ["compensation_failed"] * 3
    if store is not None:
        assert (await engine.resume("t"))["status"] == "success"
        assert len(set(attempts)) == 1
