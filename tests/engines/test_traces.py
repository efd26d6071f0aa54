"""Where users' code raised can be found out, and whose question a question is."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest
from pipeline_helpers import Scripted, stages

from hagane.engines import EngineConfig, PipelineEngine, StageConfig
from hagane.errors import PipelineError
from hagane.hitl import InterruptSignal
from hagane.rollback import MemoryStore
from hagane.validation import QualityGate


def broken(inputs: dict[str, Any]) -> dict[str, Any]:
    return {"x": inputs["text"]}


async def test_a_failed_attempt_is_logged_with_its_traceback_and_placed_in_its_event(
    caplog: pytest.LogCaptureFixture,
) -> None:
    engine = PipelineEngine([StageConfig("a", broken)], config=EngineConfig(max_retries=0))
    with caplog.at_level(logging.INFO, "hagane.engines"):
        result = await engine.run({})
    assert "in broken" in caplog.text
    error = next(event["error"] for event in engine.history(result["run_id"]) if event["type"] == "stage_output")
    assert __file__ in error["where"]
    assert error["where"].endswith("in broken")


@pytest.mark.parametrize("what", ["report", "compensation"])
async def test_other_code_of_users_is_logged_too(what: str, caplog: pytest.LogCaptureFixture) -> None:
    settings: dict[str, Any] = {"report_generator": broken} if what == "report" else {}
    gate = QualityGate("g", lambda r: r["n"] > 1, "rollback", stages=["b"])
    listed = [StageConfig("a", Scripted({"n": 1}, {"n": 2}), compensate=broken if what != "report" else None)]
    engine = PipelineEngine(
        [*listed, StageConfig("b", Scripted({"n": 1}, {"n": 2}), gates=[gate] if what != "report" else [])],
        config=EngineConfig(max_retries=0),
        **settings,
    )
    with caplog.at_level(logging.INFO, "hagane.engines"):
        assert (await engine.run({}))["status"] == "failed"
    assert "in broken" in caplog.text


async def test_an_agent_is_told_the_thread_of_its_own_run() -> None:
    seen: dict[str, Any] = {}

    async def agent(inputs: dict[str, Any]) -> dict[str, Any]:
        await asyncio.sleep(0.01)
        seen[inputs["me"]] = engine.thread_id
        return {}

    engine = PipelineEngine([StageConfig("a", agent)])

    async def listen(name: str) -> None:
        async for _ in engine.run_stream({"me": name}, name):
            pass

    await asyncio.gather(listen("one"), listen("two"))
    assert seen == {"one": "one", "two": "two"}


async def test_a_pipeline_within_a_stage_that_waits_for_a_person_is_named() -> None:
    gate = QualityGate("g", lambda r: False, "escalate")
    inner = PipelineEngine(stages(x=Scripted({"n": 1})), quality_gates=[gate], checkpoint_store=MemoryStore())

    async def agent(inputs: dict[str, Any]) -> dict[str, Any]:
        return await inner.run({}, "inner-thread")

    outer = PipelineEngine([StageConfig("a", agent)])
    with pytest.raises(PipelineError, match="'inner-thread'") as caught:
        await outer.run({})
    assert isinstance(caught.value.__cause__, InterruptSignal)
    assert (await inner.resume("inner-thread", "approve"))["status"] == "success"


async def test_waiting_for_another_run_takes_nothing_of_a_runs_time(store: Any) -> None:
    async def agent(inputs: dict[str, Any]) -> dict[str, Any]:
        await asyncio.sleep(0.6)
        return {}

    config = EngineConfig(timeout_seconds=1.5, on_conflict="wait", max_retries=0)
    engine = PipelineEngine([StageConfig("a", agent)], config=config, checkpoint_store=store)
    results = await asyncio.gather(*(engine.run({}, "t") for _ in range(3)))
    assert [result["status"] for result in results] == ["success"] * 3
