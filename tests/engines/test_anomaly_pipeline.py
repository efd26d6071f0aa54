"""Anomaly detection in a running pipeline: what it learns, what it has made again, and that it outlives the process."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from hagane.engines import PipelineEngine
from hagane.rollback import MemoryStore, SqliteStore
from hagane.validation import QualityGate, StageValidator, ValidationConfig

DETECTING = ValidationConfig(enable_anomaly_detection=True)


class Weigher:
    """Gives masses about 50, save where `faults` says otherwise for an attempt."""

    def __init__(self, faults: dict[int, float] | None = None) -> None:
        self.draw, self.faults, self.calls = random.Random(4), faults or {}, 0

    async def run(self, inputs: dict[str, Any]) -> dict[str, Any]:
        self.calls += 1
        return {"mass": self.faults.get(self.calls, self.draw.gauss(50, 3))}


def engine(agent: Weigher, **settings: Any) -> PipelineEngine:
    settings = {"validation_config": DETECTING, **settings}
    return PipelineEngine([{"name": "weigh", "agent": agent}], **settings)


def validator_of(pipeline: PipelineEngine) -> StageValidator:
    return pipeline._validator


async def test_accepted_outputs_are_learned_and_a_far_off_one_is_made_again() -> None:
    agent = Weigher(faults={121: 9000.0})
    pipeline = engine(agent)
    for _ in range(120):
        assert (await pipeline.run({}))["status"] == "success"
    result = await pipeline.run({})
    assert (result["status"], result["attempts"], agent.calls) == ("success", {"weigh": 2}, 122)
    assert result["results"]["weigh"]["mass"] < 100
    learned = validator_of(pipeline).anomalies
    assert learned is not None
    assert learned.outputs("weigh") == 121
    assert [field.strangers for field in learned.summary("weigh") if field.path == "mass"] == [0]


async def test_a_warning_is_told_and_lets_the_output_pass() -> None:
    pipeline = engine(Weigher(faults={51: 9000.0}))
    for _ in range(50):
        await pipeline.run({})
    events = [event async for event in pipeline.run_stream({})]
    told = next(event for event in events if event["type"] == "validation")
    assert told["verdict"] == "passed"
    assert "unusual_value" in str(told["warnings"])


async def test_what_a_gate_refuses_is_not_learned() -> None:
    refuse = QualityGate("never", lambda output: False, "skip", stages=["weigh"])
    pipeline = engine(Weigher(), quality_gates=[refuse])
    for _ in range(3):
        await pipeline.run({})
    learned = validator_of(pipeline).anomalies
    assert learned is not None
    assert learned.outputs("weigh") == 0


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
async def test_baselines_are_found_again_in_the_store(kind: str, tmp_path: Path) -> None:
    def store() -> Any:
        return SqliteStore(tmp_path / "runs.db")

    held = MemoryStore() if kind == "memory" else store()
    first = engine(Weigher(), checkpoint_store=held)
    for _ in range(120):
        await first.run({})
    if kind == "sqlite":
        held.close()
        held = store()
    agent = Weigher(faults={1: 9000.0})
    assert (await engine(agent, checkpoint_store=held).run({}))["attempts"] == {"weigh": 2}
    config = ValidationConfig(enable_anomaly_detection=True, baseline_version="2")
    other = engine(Weigher(faults={1: 9000.0}), checkpoint_store=held, validation_config=config)
    assert (await other.run({}))["attempts"] == {"weigh": 1}
