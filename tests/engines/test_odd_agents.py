"""Agents, errors and values that are not the usual ones."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass
from typing import Any

import pytest
from pipeline_helpers import Scripted

from hagane.engines import EngineConfig, HITLEngineConfig, PipelineEngine, StageConfig, current_stage
from hagane.engines.isolate import isolate
from hagane.errors import PipelineError, UnknownStage
from hagane.hitl import InterruptSignal, interrupt
from hagane.rollback import MemoryStore, Store, register
from hagane.validation import QualityGate

Inputs = dict[str, Any]
ONCE = EngineConfig(max_retries=0)


class Waking:
    calls, ready = 0, False

    async def initialize(self) -> None:
        self.calls += 1
        if self.calls == 1:
            raise ConnectionError("down")
        self.ready = True

    async def run(self, inputs: Inputs) -> Inputs:
        return {"ready": self.ready}


async def test_an_initialize_that_failed_is_called_again() -> None:
    agent = Waking()
    engine = PipelineEngine([StageConfig("a", agent)])
    with pytest.raises(ConnectionError):
        await engine.run({})
    assert (await engine.run({}))["results"] == {"a": {"ready": True}}
    await engine.run({})
    assert agent.calls == 2


async def test_a_review_may_say_the_same_of_work_that_changed() -> None:
    drafts = [{"text": "x" * length} for length in (1, 2, 3)]

    async def review(inputs: Inputs) -> Inputs:
        passed = len(inputs["text"]) >= 3
        return {"verdict": "PASS"} if passed else {"verdict": "REVISE", "feedback": "too short"}

    stages = [StageConfig("d", Scripted(*drafts)), StageConfig("r", review, review=True)]
    result = await PipelineEngine(stages, max_revisions=5).run({})
    assert (result["status"], result["attempts"]) == ("success", {"d": 3, "r": 3})


async def test_a_review_that_repeats_itself_about_the_same_work_ends() -> None:
    said = {"verdict": "REVISE", "feedback": "too short"}
    stages = [StageConfig("d", Scripted({"text": "x"})), StageConfig("r", Scripted(said), review=True)]
    result = await PipelineEngine(stages, max_revisions=5).run({})
    assert (result["status"], result["attempts"]) == ("rejected", {"d": 2, "r": 2})


async def test_a_first_stage_that_its_budget_does_not_hold_is_not_started(store: Store | None) -> None:
    agent = Scripted({})
    stages = [StageConfig("a", agent, reserve_tokens=100)]
    result = await PipelineEngine(stages, config=EngineConfig(max_tokens=50), checkpoint_store=store).run({})
    assert (result["status"], result["budget"], agent.given) == ("failed", "tokens", [])


async def test_a_resume_does_not_spend_what_is_spent() -> None:
    async def agent(inputs: Inputs) -> Inputs:
        current_stage().spend(tokens=60)
        raise ValueError("broken")

    config = EngineConfig(max_tokens=50, max_retries=0)
    engine = PipelineEngine([StageConfig("a", agent)], config=config, checkpoint_store=MemoryStore())
    await engine.run({}, "t")
    for _ in range(2):
        result = await engine.resume("t")
        assert (result["budget"], result["used"]["a"]["tokens"], result["attempts"]) == ("tokens", 60, {"a": 1})


@pytest.mark.parametrize("when", ["interrupt_before", "interrupt_after"])
def test_an_approval_of_a_stage_that_is_not_there_is_refused(when: str) -> None:
    stages = [StageConfig("deploy", Scripted({}))]
    with pytest.raises(UnknownStage, match="depoly"):
        PipelineEngine(stages, config=EngineConfig(hitl=HITLEngineConfig(enabled=True, **{when: ["depoly"]})))
    PipelineEngine(stages, config=EngineConfig(hitl=HITLEngineConfig(enabled=False, **{when: ["depoly"]})))


@pytest.mark.skipif(sys.version_info < (3, 11), reason="task groups are new in Python 3.11")
async def test_a_question_in_a_task_group_is_a_question(store: Store | None) -> None:
    async def agent(inputs: Inputs) -> Inputs:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(interrupt("ok?"))
        return {"ok": task.result().approved}

    engine = PipelineEngine([StageConfig("a", agent)], checkpoint_store=store)
    with pytest.raises(InterruptSignal):
        await engine.run({}, "t")
    assert (await engine.resume("t", "approve"))["results"] == {"a": {"ok": True}}


@pytest.mark.skipif(sys.version_info < (3, 11), reason="task groups are new in Python 3.11")
async def test_a_failure_in_a_task_group_is_a_failure_that_is_named() -> None:
    async def broken() -> None:
        raise ValueError("no rows")

    async def agent(inputs: Inputs) -> Inputs:
        async with asyncio.TaskGroup() as group:
            group.create_task(broken())
        return {}

    result = await PipelineEngine([StageConfig("a", agent)], config=ONCE).run({})
    assert (result["status"], "ValueError: no rows" in result["reason"]) == ("failed", True)


@pytest.mark.skipif(sys.version_info < (3, 11), reason="task groups are new in Python 3.11")
async def test_a_failure_in_a_task_group_that_the_agent_deals_with_is_none() -> None:
    async def broken() -> None:
        await asyncio.sleep(0)
        raise ValueError("no rows")

    async def agent(inputs: Inputs) -> Inputs:
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(broken())
        except Exception as error:
            return {"said": str(getattr(error, "exceptions", [None])[0])}
        return {}

    result = await PipelineEngine([StageConfig("a", agent)], config=ONCE).run({})
    assert result["results"] == {"a": {"said": "no rows"}}


@pytest.mark.skipif(sys.version_info < (3, 11), reason="task groups are new in Python 3.11")
async def test_a_cancellation_while_a_task_group_fails_is_no_failure(store: Store | None) -> None:
    failing = asyncio.Event()

    async def broken() -> None:
        failing.set()
        raise ValueError("no rows")

    async def stubborn() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.05)

    async def agent(inputs: Inputs) -> Inputs:
        async with asyncio.TaskGroup() as group:
            group.create_task(stubborn())
            group.create_task(broken())
        return {}

    engine = PipelineEngine([StageConfig("a", agent)], checkpoint_store=store)
    task = asyncio.ensure_future(engine.run({}))
    await failing.wait()
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_stop_iteration_of_a_synchronous_agent_is_a_failure() -> None:
    config = EngineConfig(max_retries=0, timeout_seconds=20)
    result = await PipelineEngine([StageConfig("a", lambda inputs: {"x": next(iter([]))})], config=config).run({})
    assert (result["status"], "raised StopIteration" in result["reason"]) == ("failed", True)


async def _stream(inputs: Inputs) -> Any:
    yield {"x": 1}


def _rows(inputs: Inputs) -> Any:
    yield {"x": 1}


@pytest.mark.parametrize("agent", [_stream, _rows])
async def test_an_agent_that_is_a_generator_is_refused(agent: Any) -> None:
    with pytest.raises(PipelineError, match="is a generator"):
        await PipelineEngine([StageConfig("a", agent)]).run({})


async def test_an_output_that_is_a_generator_is_a_failure() -> None:
    result = await PipelineEngine([StageConfig("a", lambda inputs: _rows(inputs))], config=ONCE).run({})
    assert (result["status"], "is a generator" in result["reason"]) == ("failed", True)


class Validating:
    def __init__(self, act: Any) -> None:
        self.act = act

    async def validate(self, stage: str, output: Any) -> Any:
        return await self.act()


async def _raises() -> Any:
    raise ValueError("no such rule")


async def test_a_validator_that_raises_refuses(store: Store | None) -> None:
    engine = PipelineEngine([StageConfig("a", Scripted({"x": 1}))], checkpoint_store=store, max_revisions=0)
    engine._validator = Validating(_raises)
    result = await engine.run({})
    assert (result["status"], "no such rule" in result["reason"]) == ("rejected", True)


async def test_a_validator_that_never_answers_is_bounded_by_the_runs_time() -> None:
    engine = PipelineEngine([StageConfig("a", Scripted({"x": 1}))], config=EngineConfig(timeout_seconds=0.05))
    engine._validator = Validating(lambda: asyncio.sleep(60))
    assert (await engine.run({}))["status"] == "failed"


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


@pytest.mark.parametrize("error", [Unspeakable(), ValueError("bad \udcff byte")])
@pytest.mark.parametrize("on_error", ["fail", "isolate"])
async def test_an_error_with_an_odd_text_fails_its_stage(error: Exception, on_error: str, store: Store | None) -> None:
    agents = [Scripted(error), Scripted({})]
    stage = StageConfig("a", agents=agents, parallel=True, on_error=on_error)
    result = await PipelineEngine([stage], config=ONCE, checkpoint_store=store).run({})
    assert result["status"] == ("failed" if on_error == "fail" else "partial")


def test_a_gate_of_no_stage_is_refused() -> None:
    with pytest.raises(ValueError, match="stages is empty"):
        QualityGate("g", lambda output: False, stages=[])


@register
@dataclass
class Reading:
    values: list[int]


def test_values_that_hold_data_are_copied() -> None:
    numpy = pytest.importorskip("numpy")
    given = {"array": numpy.zeros(2), "reading": Reading([1]), "deep": [numpy.ones(1)]}
    copied = isolate(given)
    copied["array"][0] = copied["deep"][0][0] = 5
    copied["reading"].values.append(2)
    assert (given["array"][0], given["deep"][0][0], given["reading"].values) == (0, 1, [1])


async def test_a_retry_works_on_what_the_stage_was_given(store: Store | None) -> None:
    numpy = pytest.importorskip("numpy")
    calls, mine = [], numpy.ones(2)

    async def doubling(inputs: Inputs) -> Inputs:
        inputs["m"] *= 2
        calls.append(1)
        if len(calls) == 1:
            raise ConnectionError("once")
        return {"got": inputs["m"].tolist()}

    engine = PipelineEngine([StageConfig("a", doubling)], checkpoint_store=store)
    assert (await engine.run({"m": mine}))["results"] == {"a": {"got": [2, 2]}}
    assert mine.tolist() == [1, 1]
