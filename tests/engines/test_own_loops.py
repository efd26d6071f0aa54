"""Engines whose loop a subclass overrides: every way to run goes through it, and nothing is lost in silence."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from pipeline_helpers import Scripted, events_of, kinds, stages

from hagane.engines import EngineConfig, ResilientPipelineEngine, StageConfig
from hagane.errors import PipelineError
from hagane.hitl import InterruptSignal
from hagane.rollback import MemoryStore, Store
from hagane.validation import QualityGate


class Own(ResilientPipelineEngine):
    async def _execute_with_rollback(self, inputs: dict[str, Any]) -> dict[str, Any]:
        return {"mine": True}


class Twice(ResilientPipelineEngine):
    async def _execute_with_rollback(self, inputs: dict[str, Any]) -> dict[str, Any]:
        result = await super()._execute_with_rollback(inputs)
        if result["status"] == "success":
            return {**result, "seen": True}
        return {**await super()._execute_with_rollback({**inputs, "hint": 1}), "seen": True}


class Hinting(ResilientPipelineEngine):
    async def _rollback_and_retry(self, stage_name: str, checkpoints: dict[str, Any], feedback: Any) -> dict[str, Any]:
        return await super()._rollback_and_retry(stage_name, checkpoints, "HINT: use metres")


async def needs_a_hint(inputs: dict[str, Any]) -> dict[str, Any]:
    if "hint" not in inputs:
        raise ValueError("no")
    return {"ok": 1}


async def test_a_stream_goes_through_the_overridden_loop() -> None:
    engine = Own(stages(a=Scripted({"engine": True})))
    events = await events_of(engine, {})
    assert kinds(events) == ["run_started", "run_completed"]
    assert events[-1]["result"]["results"] == (await engine.run({}))["results"] == {"mine": True}


@pytest.mark.parametrize(
    "settings",
    [
        {"quality_gates": [QualityGate("never", lambda r: False, "abort")]},
        {"checkpoint_store": MemoryStore()},
        {"config": EngineConfig(max_tokens=5)},
    ],
)
async def test_a_loop_that_leaves_out_what_the_engine_was_given_is_no_success(
    settings: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    engine = Own(stages(a=Scripted({"x": 1})), **settings)
    with caplog.at_level(logging.WARNING, "hagane.engines"):
        results = [await engine.run({}), await engine.run({})]
    assert [result["status"] for result in results] == ["partial", "partial"]
    assert len(results[0]["not_applied"]) == 1
    assert len([record for record in caplog.records if "super()" in record.message]) == 1


async def test_the_engines_loop_may_be_called_twice_with_other_inputs(store: Store | None) -> None:
    engine = Twice(
        [StageConfig("a", needs_a_hint)], config=EngineConfig(max_retries=0), max_revisions=0, checkpoint_store=store
    )
    result = await engine.run({}, "t")
    assert (result["status"], result["results"]) == ("success", {"a": {"ok": 1}})
    assert engine.history(result["run_id"])[-1]["status"] == "success"
    events = await events_of(engine, {}, "u")
    assert kinds(events, "run_completed") == ["run_completed"] * 2
    assert [event["result"]["status"] for event in events if event["type"] == "run_completed"] == ["failed", "success"]


async def test_a_resume_goes_through_the_overridden_loop(store: Store | None) -> None:
    gate = QualityGate("g", lambda r: r["x"] > 1, "escalate")
    agent = Scripted({"x": 1})
    engine = Twice(stages(a=agent), quality_gates=[gate], checkpoint_store=store)
    with pytest.raises(InterruptSignal):
        await engine.run({}, "t")
    result = await engine.resume("t", "approve")
    assert (result["status"], result["seen"], len(agent.given)) == ("success", True, 1)


async def test_a_streams_escalation_ends_it_without_an_exception() -> None:
    gate = QualityGate("g", lambda r: False, "escalate")
    events = await events_of(Twice(stages(a=Scripted({"x": 1})), quality_gates=[gate]), {})
    assert kinds(events)[-1] == "escalated"


async def test_the_feedback_of_an_override_reaches_the_stage(store: Store | None) -> None:
    agent = Scripted({"n": 1}, {"n": 2})
    gate = QualityGate("g", lambda r: r["n"] > 1, stages=["a"])
    result = await Hinting(stages(a=agent), quality_gates=[gate], checkpoint_store=store).run({})
    assert result["status"] == "success"
    assert agent.given[1]["_feedback"]["message"] == "HINT: use metres"


async def test_an_override_is_called_for_as_many_failures_as_there_are() -> None:
    agent = Scripted(*(ConnectionError(str(number)) for number in range(200)), {"ok": 1})
    config = EngineConfig(max_retries=300, backoff_seconds=0)
    result = await Hinting(stages(a=agent), config=config).run({})
    assert (result["status"], result["attempts"]) == ("success", {"a": 201})


async def test_a_question_that_nobody_could_answer_is_an_error() -> None:
    class Pasted(ResilientPipelineEngine):
        async def _execute_with_rollback(self, inputs: dict[str, Any]) -> dict[str, Any]:
            return await self._rollback_and_retry("a", {"a": {"inputs": inputs}}, "bad")

    gate = QualityGate("g", lambda r: False, "escalate", stages=["a"])
    with pytest.raises(PipelineError, match="a person has to decide"):
        await Pasted(stages(a=Scripted({"x": 1})), quality_gates=[gate]).run({})
