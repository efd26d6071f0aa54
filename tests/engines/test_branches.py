"""Stages and parallel agents that fail without taking the run with them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from pipeline_helpers import Scripted, events_of, stages

from hagane.engines import EngineConfig, PipelineEngine, StageConfig, quorum
from hagane.engines.stage import FAILED_KEY
from hagane.hitl import InterruptSignal, interrupt
from hagane.rollback import Store
from hagane.validation import QualityGate


def together(*agents: Any, **settings: Any) -> StageConfig:
    return StageConfig("p", agents=list(agents), parallel=True, **settings)


def good(number: int) -> Any:
    async def agent(inputs: dict[str, Any]) -> dict[str, Any]:
        return {"n": number}

    return agent


def bad(message: str = "broken") -> Scripted:
    return Scripted(ValueError(message))


@pytest.mark.parametrize(
    ("least", "status", "runs"), [(1, "partial", 1), (2, "partial", 1), (3, "failed", 2)], ids=lambda value: str(value)
)
async def test_a_quorum_of_the_agents_must_succeed(least: int, status: str, runs: int, store: Store | None) -> None:
    broken = bad()
    stage = together(good(0), broken, good(2), on_error=quorum(least))
    result = await PipelineEngine([stage], checkpoint_store=store).run({})
    assert (result["status"], len(broken.given)) == (status, runs)
    if status == "partial":
        assert result["results"]["p"] == {"p_0": {"n": 0}, "p_2": {"n": 2}}
        assert result["failed"] == {"p": {"p_1": {"type": "ValueError", "message": "broken"}}}
    else:
        assert "1 of the agents of stage 'p' failed: p_1: ValueError: broken" in result["reason"]


async def test_all_agents_succeeding_is_success() -> None:
    result = await PipelineEngine([together(good(0), good(1), on_error="quorum(1)")]).run({})
    assert (result["status"], "failed" in result) == ("success", False)


async def test_isolated_agents_that_all_fail_leave_a_stage_without_output() -> None:
    after = Scripted({})
    engine = PipelineEngine([together(bad(), bad(), on_error="isolate"), StageConfig("after", after)])
    result = await engine.run({})
    assert (result["status"], result["skipped"], "p_result" in after.given[0]) == ("partial", ["p"], False)


async def test_a_stage_alone_may_be_isolated_too(store: Store | None) -> None:
    after = Scripted({"y": 1})
    engine = PipelineEngine(
        [StageConfig("a", bad(), on_error="isolate"), StageConfig("b", after)], checkpoint_store=store
    )
    events = await events_of(engine, {})
    result = events[-1]["result"]
    assert (result["status"], result["results"], result["skipped"]) == ("partial", {"b": {"y": 1}}, ["a"])
    skipped = next(event for event in events if event["type"] == "skipped")
    assert skipped["check"] == "error"
    assert skipped["reason"].startswith("ValueError: broken")


async def test_later_stages_and_gates_do_not_see_the_note_of_failed_agents() -> None:
    after, seen = Scripted({}), []
    gate = QualityGate("g", lambda r: not seen.append(r), stages=["p"])
    stage = together(good(0), bad(), on_error="isolate", gates=[gate])
    engine = PipelineEngine([stage, StageConfig("after", after)])
    await engine.run({})
    assert seen == [{"p_0": {"n": 0}}]
    assert FAILED_KEY not in after.given[0]
    assert FAILED_KEY in await engine._stages[0].execute({})


async def test_an_agent_that_fails_stops_its_neighbours_only_where_the_stage_fails() -> None:
    stopped: list[str] = []

    async def patient(inputs: dict[str, Any]) -> dict[str, Any]:
        try:
            await asyncio.sleep(0.02)
        except asyncio.CancelledError:
            stopped.append("patient")
            raise
        return {"done": 1}

    config = EngineConfig(max_retries=0)
    await PipelineEngine([together(patient, bad(), on_error="isolate")], config=config).run({})
    assert stopped == []
    await PipelineEngine([together(patient, bad())], config=config).run({})
    assert stopped == ["patient"]


async def test_a_question_of_one_agent_is_no_failure_of_it() -> None:
    async def asks(inputs: dict[str, Any]) -> dict[str, Any]:
        await interrupt("really?")
        return {}

    with pytest.raises(InterruptSignal):
        await PipelineEngine([together(good(0), asks, on_error="isolate")]).run({}, "t")


async def test_a_retry_that_heals_an_agent_is_success() -> None:
    flaky = Scripted(ConnectionError("lost"), {"n": 1})
    config = EngineConfig(backoff_seconds=0)
    result = await PipelineEngine([together(good(0), flaky, on_error=quorum(2))], config=config).run({})
    assert (result["status"], result["results"]["p"]["p_1"]) == ("success", {"n": 1})


async def test_a_partial_stage_that_runs_again_whole_is_success() -> None:
    flaky = Scripted(ValueError("x"), {"n": 1})
    gate = QualityGate("both", lambda r: len(r) == 2, stages=["p"])
    stage = together(good(0), flaky, on_error="isolate", gates=[gate])
    result = await PipelineEngine([*stages(a=lambda i: {}), stage]).run({})
    assert (result["status"], "failed" in result) == ("success", False)
