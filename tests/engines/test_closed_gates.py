"""Gate and review stages refuse whatever is not clearly a yes."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from pipeline_helpers import Scripted

from hagane.engines import EngineConfig, PipelineEngine, StageConfig
from hagane.errors import PipelineError
from hagane.rollback import MemoryStore


async def status_of(stage: StageConfig, deployed: Scripted, **settings: Any) -> str:
    engine = PipelineEngine([stage, StageConfig("deploy", deployed)], **settings)
    return str((await engine.run({}))["status"])


async def answering(value: Any) -> Any:
    await asyncio.sleep(0)
    return value


@pytest.mark.parametrize("said", [False, 0, 1, None, "yes"])
@pytest.mark.parametrize("is_async", [True, False])
async def test_a_gate_check_that_does_not_say_true_refuses(said: Any, is_async: bool) -> None:
    deployed = Scripted({})
    check = (lambda output: answering(said)) if is_async else (lambda output: said)
    assert await status_of(StageConfig("g", Scripted({}), gate=True, gate_check=check), deployed) == "rejected"
    assert deployed.given == []


async def test_a_gate_check_may_be_async() -> None:
    check = StageConfig("g", Scripted({}), gate=True, gate_check=lambda output: answering(bool(output == {})))
    assert await status_of(check, Scripted({})) == "success"


async def test_a_gate_check_that_never_answers_is_bounded_by_the_runs_time() -> None:
    check = StageConfig("g", Scripted({}), gate=True, gate_check=lambda output: asyncio.sleep(60))
    assert await status_of(check, Scripted({}), config=EngineConfig(timeout_seconds=0.05)) == "failed"


@pytest.mark.parametrize("said", ["false", "no", float("nan"), None, 1])
async def test_a_gate_stage_whose_word_is_no_bool_refuses(said: Any) -> None:
    deployed = Scripted({})
    assert await status_of(StageConfig("g", Scripted({"passed": said}), gate=True), deployed) == "rejected"
    assert deployed.given == []


@pytest.mark.parametrize(
    ("words", "status"),
    [
        ([{"passed": True}, {"passed": True}], "success"),
        ([{"passed": True}, {}], "success"),
        ([{"passed": True}, {"passed": False}], "rejected"),
        ([{"passed": False}, {"passed": False}], "rejected"),
        ([{"passed": True}, {"passed": "yes"}], "rejected"),
    ],
)
@pytest.mark.parametrize("parallel", [True, False])
async def test_all_agents_of_a_gate_stage_must_agree(words: list[Any], status: str, parallel: bool) -> None:
    agents = [Scripted(word, name=f"agent{number}") for number, word in enumerate(words)]
    assert await status_of(StageConfig("g", agents=agents, gate=True, parallel=parallel), Scripted({})) == status


async def test_a_gate_stage_that_lacks_an_agents_word_refuses() -> None:
    agents = [Scripted({"passed": True}), Scripted(TypeError("broken"))]
    stage = StageConfig("g", agents=agents, gate=True, parallel=True, on_error="isolate")
    assert await status_of(stage, Scripted({})) == "rejected"


async def test_a_gate_check_that_changes_the_output_changes_nothing() -> None:
    def check(output: dict[str, Any]) -> bool:
        output["x"] = "changed"
        return True

    store = MemoryStore()
    engine = PipelineEngine([StageConfig("g", Scripted({"x": 1}), gate=True, gate_check=check)], checkpoint_store=store)
    assert (await engine.run({}, "t"))["results"] == (await engine.resume("t"))["results"] == {"g": {"x": 1}}


@pytest.mark.parametrize(
    ("output", "status"),
    [
        ({"verdict": None, "overall_verdict": "PASS"}, "success"),
        ({"verdict": " Verdict.pass "}, "success"),
        ({"verdict": "PASS", "overall_verdict": "PASS"}, "success"),
        ({"verdict": "PASS", "overall_verdict": "REJECT"}, "rejected"),
        ({"verdict": "do not.PASS"}, "rejected"),
        ({"verdict": "PASSED"}, "rejected"),
        ({}, "rejected"),
    ],
)
async def test_a_review_passes_by_one_clear_word(output: dict[str, Any], status: str) -> None:
    assert await status_of(StageConfig("r", Scripted(output), review=True), Scripted({})) == status


def test_a_review_by_several_agents_is_refused() -> None:
    with pytest.raises(PipelineError, match="review by 2 agents"):
        StageConfig("r", agents=[Scripted({}), Scripted({})], review=True)
