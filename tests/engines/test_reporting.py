from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from typing import Any

import pytest
from pipeline_helpers import Scripted, stages
from prometheus_client.parser import text_string_to_metric_families

from hagane.engines import EngineConfig, PipelineEngine
from hagane.hitl import InterruptSignal
from hagane.observability import get_metrics
from hagane.observability.decorators import metrics_tracked
from hagane.rollback import MemoryStore, RollbackController
from hagane.validation import QualityGate

_names = itertools.count()


@pytest.fixture
def pipeline() -> str:
    """A name that no other test reports under."""
    return f"pipeline-{next(_names)}"


@pytest.fixture
def value() -> Callable[..., float | None]:
    def read(name: str, **labels: str) -> float | None:
        families = text_string_to_metric_families(get_metrics().to_prometheus())
        samples = [sample for family in families for sample in family.samples]
        found = [sample.value for sample in samples if sample.name == name and sample.labels == labels]
        return found[0] if found else None

    return read


async def test_stages_gates_retries_and_rollbacks_are_counted(pipeline: str, value: Any) -> None:
    analyst = Scripted({"n": 0}, {"n": 1}, {"n": 2}, name=f"{pipeline}-agent")
    gates = [
        QualityGate("soft", lambda r: r["n"] > 0, stages=["b"]),
        QualityGate("hard", lambda r: r["n"] != 1, "rollback", stages=["b"]),
        QualityGate("never", lambda r: 1, "skip", stages=["b"]),
    ]
    before = value("checkpoint_duration_seconds_count", store="memory") or 0
    engine = PipelineEngine(
        stages(a=lambda i: {}, b=analyst),
        quality_gates=gates,
        config=EngineConfig(name=pipeline),
        checkpoint_store=MemoryStore(),
    )
    await engine.run({})
    stage_b = {"pipeline": pipeline, "stage": "b"}
    assert value("pipeline_stage_duration_seconds_count", **stage_b) == 3
    assert value("pipeline_stage_retries_total", **stage_b) == 1
    assert value("pipeline_rollbacks_total", pipeline=pipeline, stage="a") == 1
    assert value("pipeline_rollbacks_total", **stage_b) == 0
    verdicts = {
        (gate, verdict): value("pipeline_gate_verdicts_total", pipeline=pipeline, gate=gate, verdict=verdict)
        for gate in ("soft", "hard", "never")
        for verdict in ("passed", "failed", "error")
    }
    assert [verdicts["soft", "passed"], verdicts["soft", "failed"], verdicts["soft", "error"]] == [2, 1, 0]
    assert [verdicts["hard", "passed"], verdicts["hard", "failed"], verdicts["never", "error"]] == [2, 1, 3]
    assert value("agent_execution_total", agent=f"{pipeline}-agent", status="success") == 3
    assert value("checkpoint_duration_seconds_count", store="memory") > before


async def test_every_run_of_an_agent_is_counted_exactly_once(pipeline: str, value: Any) -> None:
    class Tracked:
        name = f"{pipeline}-tracked"

        @metrics_tracked
        async def run(self, inputs: dict[str, Any]) -> dict[str, Any]:
            return {}

    plain = Scripted({}, name=f"{pipeline}-plain")
    await PipelineEngine(stages(a=Tracked, b=plain, c=lambda i: {}), config=EngineConfig(name=pipeline)).run({})
    for agent in ("tracked", "plain"):
        assert value("agent_execution_total", agent=f"{pipeline}-{agent}", status="success") == 1
        assert value("agent_execution_duration_seconds_count", agent=f"{pipeline}-{agent}") == 1
        assert value("agent_executions_in_progress", agent=f"{pipeline}-{agent}") == 0


async def test_errors_and_cancellations_of_agents_are_told_apart(pipeline: str, value: Any) -> None:
    broken = Scripted(ValueError("x"), name=f"{pipeline}-broken")
    await PipelineEngine(stages(a=broken), config=EngineConfig(name=pipeline, max_retries=0)).run({})
    assert value("agent_execution_total", agent=broken.name, status="error") == 1

    class Endless:
        name = f"{pipeline}-endless"

        async def run(self, inputs: dict[str, Any]) -> None:
            await asyncio.Event().wait()

    config = EngineConfig(name=pipeline, timeout_seconds=0.02)
    await PipelineEngine(stages(a=Endless), config=config).run({})
    assert value("agent_execution_total", agent=Endless.name, status="cancelled") == 1


def test_series_are_there_at_zero_once_the_engine_is_made(pipeline: str, value: Any) -> None:
    class Tracked:
        @metrics_tracked(agent=f"{pipeline}-tracked")
        async def run(self, inputs: dict[str, Any]) -> dict[str, Any]:
            return {}

    class OfAClass:
        name = f"{pipeline}-class"

        async def run(self, inputs: dict[str, Any]) -> dict[str, Any]:
            return {}

    PipelineEngine(
        stages(a=Scripted({}, name=f"{pipeline}-agent"), b=Tracked, c=OfAClass),
        quality_gates=[QualityGate("g", lambda r: True)],
        config=EngineConfig(name=pipeline),
        checkpoint_store=MemoryStore(),
    )
    for agent in ("agent", "tracked", "class"):
        for status in ("success", "error", "cancelled"):
            assert value("agent_execution_total", agent=f"{pipeline}-{agent}", status=status) == 0
        assert value("agent_execution_duration_seconds_count", agent=f"{pipeline}-{agent}") == 0
        assert value("agent_queue_depth", agent=f"{pipeline}-{agent}") == 0
    stage = {"pipeline": pipeline, "stage": "a"}
    assert value("pipeline_stage_duration_seconds_count", **stage) == 0
    assert value("pipeline_stage_retries_total", **stage) == 0
    assert value("pipeline_rollbacks_total", **stage) == 0
    for verdict in ("passed", "failed", "error"):
        assert value("pipeline_gate_verdicts_total", pipeline=pipeline, gate="g", verdict=verdict) == 0
    assert value("checkpoint_bytes_total", store="memory") is not None


def test_series_are_there_under_a_name_that_is_given_later(pipeline: str, value: Any) -> None:
    engine = PipelineEngine(stages(a=lambda inputs: {}))
    engine.configure(name=pipeline)
    assert value("pipeline_stage_retries_total", pipeline=pipeline, stage="a") == 0


async def test_stages_that_are_found_late_have_their_series_before_they_run(pipeline: str, value: Any) -> None:
    class Late(PipelineEngine):
        async def _setup_stages(self) -> None:
            self._stage_configs = self._parse_stages(stages(late=lambda inputs: {}))

    stream = Late([], config=EngineConfig(name=pipeline)).run_stream({})
    await anext(stream)
    assert value("pipeline_stage_duration_seconds_count", pipeline=pipeline, stage="late") == 0
    await stream.aclose()


async def test_runs_that_wait_for_a_person_are_counted_until_they_are_decided(pipeline: str, value: Any) -> None:
    gate = QualityGate("g", lambda r: False, "escalate")
    agents, config = stages(a=lambda i: {}), EngineConfig(name=pipeline)
    engine = PipelineEngine(agents, quality_gates=[gate], config=config, checkpoint_store=MemoryStore())
    assert value("pipeline_escalations_waiting", pipeline=pipeline) == 0
    for thread in ("t", "u"):
        with pytest.raises(InterruptSignal):
            await engine.run({}, thread)
    assert value("pipeline_escalations_waiting", pipeline=pipeline) == 2
    answers = {"action": "escalation_a", "status": "approved"}
    before = value("hitl_approval_total", **answers) or 0
    await engine.resume("t", "approve")
    RollbackController(engine, "u").rollback_to("a")
    assert value("pipeline_escalations_waiting", pipeline=pipeline) == 0
    assert value("hitl_approval_total", **answers) == before + 1
