"""How long a service is waited for, and what a run says that was set back by hand."""

from __future__ import annotations

import pytest
from pipeline_helpers import Scripted, events_of, stages

from hagane.engines import EngineConfig, Environment, PipelineEngine
from hagane.rollback import MemoryStore, RollbackController


class Busy(Exception):
    retry_after = 120


@pytest.mark.parametrize(("limit", "status", "waits"), [(None, "success", [120.0]), (60, "failed", [])])
async def test_a_service_is_not_asked_again_before_the_time_it_names(
    limit: float | None, status: str, waits: list[float]
) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    engine = PipelineEngine(
        stages(a=Scripted(Busy("429"), {"x": 1})),
        config=EngineConfig(timeout_seconds=limit, backoff_cap_seconds=30),
        environment=Environment(sleep=sleep),
    )
    assert (await engine.run({}))["status"] == status
    assert slept == waits


async def test_a_rollback_by_hand_gives_its_reason_and_its_stage_is_not_accepted_any_more() -> None:
    engine = PipelineEngine(stages(a=Scripted({"n": 1}), b=Scripted({"n": 2})), checkpoint_store=MemoryStore())
    run_id = (await events_of(engine, {}, "t"))[0]["run_id"]
    RollbackController(engine, "t").rollback_to("b", "do better")
    await engine.resume("t")
    events = engine.history(run_id)
    assert [event["reason"] for event in events if event["type"] == "rollback"] == ["do better"]
    assert [event["accepted"] for event in events if event["type"] == "resumed"] == [["a"]]
