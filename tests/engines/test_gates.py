from __future__ import annotations

import math
from typing import Any

import pytest
from pipeline_helpers import Scripted, events_of, kinds, stages, started

from hagane.engines import EngineConfig, PipelineEngine, StageConfig
from hagane.errors import PipelineError, UnknownStage
from hagane.hitl import InterruptSignal
from hagane.rollback import Store
from hagane.validation import QualityGate


async def test_a_failed_gate_retries_with_feedback(store: Store | None) -> None:
    analyst = Scripted({"completeness_score": 60}, {"completeness_score": 90})
    gate = QualityGate("completeness", lambda r: r["completeness_score"] >= 80, stages=["analysis"])
    engine = PipelineEngine(stages(analysis=analyst), quality_gates=[gate], checkpoint_store=store)
    events = await events_of(engine, {})
    assert events[-1]["result"]["status"] == "success"
    assert started(events) == [("analysis", 1), ("analysis", 2)]
    assert "_feedback" not in analyst.given[0]
    feedback = analyst.given[1]["_feedback"]
    assert (feedback["gate"], feedback["previous_output"]) == ("completeness", {"completeness_score": 60})


async def test_a_failed_gate_rolls_back_to_the_earlier_stage_which_gets_the_feedback(store: Store | None) -> None:
    loader, analyst, writer = Scripted({"rows": 1}, {"rows": 2}), Scripted({"c": 10}, {"c": 90}), Scripted({"t": "x"})
    gate = QualityGate("consistency", lambda r: r["c"] >= 70, "rollback", stages=["analysis"])
    engine = PipelineEngine(
        stages(load=loader, analysis=analyst, report=writer), quality_gates=[gate], checkpoint_store=store
    )
    events = await events_of(engine, {})
    assert started(events) == [("load", 1), ("analysis", 1), ("load", 2), ("analysis", 2), ("report", 1)]
    back = next(event for event in events if event["type"] == "rollback")
    assert (back["from_stage"], back["to_stage"], back["gate"]) == ("analysis", "load", "consistency")
    assert loader.given[1]["_feedback"]["gate"] == "consistency"
    assert "_feedback" not in analyst.given[1]
    assert analyst.given[1]["rows"] == 2
    assert writer.given[0]["analysis_result"] == {"c": 90}


async def test_a_refused_output_never_reaches_a_later_stage() -> None:
    bad = Scripted({"poison": 1, "score": 1}, {"score": 99})
    later = Scripted({})
    gate = QualityGate("score", lambda r: r["score"], threshold=50, stages=["first"])
    await PipelineEngine(stages(first=bad, later=later), quality_gates=[gate]).run({})
    assert "poison" not in later.given[0]


async def test_a_gate_without_stages_is_checked_once_on_the_merged_results() -> None:
    seen: list[dict[str, Any]] = []
    gate = QualityGate("all", lambda r: not seen.append(r))
    await PipelineEngine(stages(a=lambda i: {"x": 1}, b=lambda i: {"y": 2}), quality_gates=[gate]).run({"z": 3})
    assert seen == [{"x": 1, "y": 2}]


async def test_a_rollback_after_the_last_stage_goes_to_the_stage_before_it(store: Store | None) -> None:
    writer = Scripted({"ok": False}, {"ok": True})
    engine = PipelineEngine(
        stages(a=lambda i: {}, b=lambda i: {}, c=writer),
        quality_gates=[QualityGate("final", lambda r: r["ok"], "rollback")],
        checkpoint_store=store,
    )
    events = await events_of(engine, {})
    assert [stage for stage, _ in started(events)] == ["a", "b", "c", "b", "c"]
    assert events[-1]["status"] == "success"


async def test_a_retry_after_the_last_stage_runs_the_last_stage_again() -> None:
    writer = Scripted({"ok": False}, {"ok": True})
    engine = PipelineEngine(stages(a=lambda i: {}, b=writer), quality_gates=[QualityGate("final", lambda r: r["ok"])])
    assert [stage for stage, _ in started(await events_of(engine, {}))] == ["a", "b", "b"]


async def test_escalation_ends_the_run_with_the_request(store: Store | None) -> None:
    gate = QualityGate("accuracy", lambda r: r["accuracy_score"], "escalate", threshold=75)
    engine = PipelineEngine(stages(a=lambda i: {"accuracy_score": 10}), quality_gates=[gate], checkpoint_store=store)
    with pytest.raises(InterruptSignal) as stopped:
        await engine.run({}, "thread")
    payload = stopped.value.payload
    assert (payload.interrupt_type, payload.state["gate"], payload.node_id) == ("escalation", "accuracy", "a")
    assert payload.request.context["previous_output"] == {"accuracy_score": 10}
    assert kinds(engine.history(payload.flow_id))[-1] == "escalated"


async def test_exhausted_retries_escalate() -> None:
    agent = Scripted(*({"n": number} for number in range(9)))
    gate = QualityGate("never", lambda r: False, stages=["a"])
    events = await events_of(PipelineEngine(stages(a=agent), max_revisions=2, quality_gates=[gate]), {})
    assert (events[-1]["type"], len(agent.given)) == ("escalated", 3)


async def test_the_same_failure_twice_stops_early() -> None:
    agent = Scripted({"n": 1})
    gate = QualityGate("never", lambda r: False, stages=["a"])
    events = await events_of(PipelineEngine(stages(a=agent), max_revisions=9, quality_gates=[gate]), {})
    assert (events[-1]["type"], len(agent.given)) == ("escalated", 2)


async def test_skip_goes_on_without_the_output_and_is_partial(store: Store | None) -> None:
    later = Scripted({"y": 1})
    gate = QualityGate("g", lambda r: False, "skip", stages=["a"])
    engine = PipelineEngine(stages(a=lambda i: {"x": 1}, b=later), quality_gates=[gate], checkpoint_store=store)
    result = await engine.run({})
    assert (result["status"], result["results"], result["skipped"]) == ("partial", {"b": {"y": 1}}, ["a"])
    assert "x" not in later.given[0]


@pytest.mark.parametrize("fallback", [{"x": 0}, lambda refused: {"x": refused["x"] - 1}])
async def test_fallback_stands_for_the_output_and_is_partial(fallback: Any) -> None:
    gate = QualityGate("g", lambda r: False, "fallback", stages=["a"], fallback=fallback)
    events = await events_of(PipelineEngine(stages(a=lambda i: {"x": 1}), quality_gates=[gate]), {})
    assert events[-1]["result"]["results"] == {"a": {"x": 0}}
    assert events[-1]["status"] == "partial"
    assert "fallback_used" in kinds(events)


@pytest.mark.parametrize("fallback", [lambda refused: refused["nothing"], lambda refused: [1]])
async def test_a_fallback_that_does_not_work_fails_the_run(fallback: Any) -> None:
    gate = QualityGate("g", lambda r: False, "fallback", stages=["a"], fallback=fallback)
    events = await events_of(PipelineEngine(stages(a=lambda i: {}), quality_gates=[gate]), {})
    assert events[-1]["status"] == "failed"
    assert "the fallback failed" in events[-1]["reason"]


async def test_abort_outranks_every_other_failure_and_all_verdicts_are_kept() -> None:
    gates = [
        QualityGate("soft", lambda r: False, "retry", stages=["a"]),
        QualityGate("hard", lambda r: False, "abort", stages=["a"]),
        QualityGate("fine", lambda r: True, stages=["a"]),
    ]
    events = await events_of(PipelineEngine(stages(a=lambda i: {}), quality_gates=gates), {})
    verdicts = {event["gate"]: event["verdict"] for event in events if event["type"] == "gate"}
    assert verdicts == {"soft": "failed", "hard": "failed", "fine": "passed"}
    assert kinds(events)[-2:] == ["aborted", "run_completed"]
    assert events[-1]["status"] == "rejected"


def _raise(output: Any) -> bool:
    raise KeyError("no such field")


@pytest.mark.parametrize(
    ("check", "threshold"),
    [(_raise, None), (lambda r: 1, None), (lambda r: None, 1), (lambda r: math.nan, 1), (lambda r: True, 0)],
)
async def test_a_check_that_cannot_tell_fails_closed(check: Any, threshold: float | None) -> None:
    gate = QualityGate("g", check, "abort", threshold=threshold)
    events = await events_of(PipelineEngine(stages(a=lambda i: {}), quality_gates=[gate]), {})
    assert [event["verdict"] for event in events if event["type"] == "gate"] == ["error"]
    assert events[-1]["status"] == "rejected"


async def test_a_check_may_be_async_and_cannot_change_the_output() -> None:
    async def check(output: dict[str, Any]) -> bool:
        output["list"].clear()
        return True

    gate = QualityGate("g", check, stages=["a"])
    result = await PipelineEngine(stages(a=lambda i: {"list": [1]}), quality_gates=[gate]).run({})
    assert result["results"]["a"] == {"list": [1]}


@pytest.mark.parametrize(
    "build",
    [
        lambda: QualityGate("g", lambda r: True, "explode"),
        lambda: QualityGate("g", lambda r: True, on_exhausted="retry"),
        lambda: QualityGate("g", lambda r: True, "fallback"),
        lambda: QualityGate("g", lambda r: True, "skip", required=True),
        lambda: QualityGate("g", lambda r: True, stages="analysis"),
        lambda: QualityGate("g", lambda r: True, threshold=math.nan),
        lambda: QualityGate("g", lambda r: True, max_attempts=0),
        lambda: QualityGate("g", lambda r: True, max_rollbacks=-1),
    ],
)
def test_a_gate_that_cannot_work_is_refused_when_it_is_made(build: Any) -> None:
    with pytest.raises(ValueError, match="gate 'g'"):
        build()


def test_a_check_that_cannot_be_called_is_refused() -> None:
    with pytest.raises(TypeError, match="give a function"):
        QualityGate("g", "score > 3")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "gates",
    [
        [QualityGate("g", lambda r: True, stages=["nowhere"])],
        [QualityGate("g", lambda r: True, "rollback", rollback_to="nowhere")],
    ],
)
def test_a_gate_that_names_an_unknown_stage_does_not_build(gates: list[QualityGate]) -> None:
    with pytest.raises(UnknownStage, match="nowhere"):
        PipelineEngine(stages(a=lambda i: {}), quality_gates=gates)


def test_two_gates_of_one_name_do_not_build() -> None:
    gates = [QualityGate("g", lambda r: True), QualityGate("g", lambda r: True)]
    with pytest.raises(PipelineError, match="two quality gates"):
        PipelineEngine(stages(a=lambda i: {}), quality_gates=gates)


def test_a_required_stage_without_a_gate_does_not_build() -> None:
    with pytest.raises(PipelineError, match="required"):
        PipelineEngine([StageConfig("a", lambda i: {}, required=True)])
    gate = QualityGate("g", lambda r: True)
    PipelineEngine([StageConfig("a", lambda i: {}, required=True, gates=[gate])])


async def test_the_runs_own_budget_ends_it() -> None:
    agent = Scripted(*({"n": number} for number in range(99)))
    gate = QualityGate("never", lambda r: False, stages=["a"], max_attempts=99)
    config = EngineConfig(max_stage_starts=4)
    result = await PipelineEngine(stages(a=agent), quality_gates=[gate], config=config).run({})
    assert (result["status"], len(agent.given)) == ("failed", 4)
    assert "starts are spent" in result["reason"]
