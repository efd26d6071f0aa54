"""The document's snippets 2.4 A and C, unchanged, over a three-stage pipeline in which only `analysis` has scores."""

from __future__ import annotations

from typing import Any

import pytest
from pipeline_helpers import Scripted, events_of, kinds, stages, started

from hagane.engines import PipelineEngine
from hagane.hitl import Command, InterruptSignal
from hagane.rollback import MemoryStore, Store
from hagane.validation import QualityGate, ValidationConfig

# 品質ゲート設定
quality_gates = [
    QualityGate(
        name="completeness",
        check=lambda r: r.get("completeness_score", 0) >= 80,
        on_fail="retry",
    ),
    QualityGate(
        name="accuracy",
        check=lambda r: r.get("accuracy_score", 0) >= 75,
        on_fail="escalate",  # 人間エスカレーション
    ),
    QualityGate(
        name="consistency",
        check=lambda r: r.get("consistency_score", 0) >= 70,
        on_fail="rollback",
    ),
]


def three_stages(analyst: Scripted) -> list[dict[str, Any]]:
    return stages(load=Scripted({"rows": 3}), analysis=analyst, report=Scripted({"text": "done"}))


def snippet_a(analyst: Scripted) -> PipelineEngine:
    # Engine 設定
    engine = PipelineEngine(
        stages=[*three_stages(analyst)],
        validation_config=ValidationConfig(
            required_fields={"analysis": ["score", "findings"]},
            min_quality_score=70,
            enable_anomaly_detection=True,
        ),
    )
    return engine  # noqa: RET504 - the document's lines


def both(analyst: Scripted, store: Store | None = None, **settings: Any) -> PipelineEngine:
    return PipelineEngine(
        stages=three_stages(analyst),
        validation_config=ValidationConfig(
            required_fields={"analysis": ["score", "findings"]},
            min_quality_score=70,
            enable_anomaly_detection=True,
        ),
        quality_gates=quality_gates,
        checkpoint_store=store,
        **settings,
    )


def analysis(**scores: Any) -> dict[str, Any]:
    good = {"score": 90, "completeness_score": 90, "accuracy_score": 90, "consistency_score": 90}
    return {"findings": ["x"], **good, **scores}


async def test_good_work_passes_and_is_done_once(store: Store | None) -> None:
    result = await both(Scripted(analysis()), store).run({})
    assert (result["status"], result["attempts"]) == ("success", {"load": 1, "analysis": 1, "report": 1})


@pytest.mark.parametrize("poor", [{"findings": ["x"]}, {"score": 90}, analysis(score=69), analysis(score=float("nan"))])
async def test_a_missing_field_or_a_low_score_is_sent_back_with_its_path(poor: dict[str, Any]) -> None:
    analyst = Scripted(poor, analysis())
    result = await snippet_a(analyst).run({})
    assert (result["status"], result["attempts"]) == ("success", {"load": 1, "analysis": 2, "report": 1})
    assert analyst.given[1]["_feedback"]["issues"][0]["path"] in ("score", "findings")


async def test_a_low_completeness_runs_the_last_stage_again(store: Store | None) -> None:
    # A gate without `stages` looks at the merged results after the last stage, and retries that one.
    engine = both(Scripted(analysis(completeness_score=10)), store)
    events = await events_of(engine, {}, "t")
    assert [stage for stage, _ in started(events)] == ["load", "analysis", "report", "report"]
    assert events[-1]["type"] == "escalated", "the same results twice are not tried a third time"


async def test_a_low_accuracy_asks_a_person_and_goes_on_as_told(store: Store | None) -> None:
    engine = both(Scripted(analysis(accuracy_score=10)), store)
    with pytest.raises(InterruptSignal) as stopped:
        await engine.run({}, "t")
    assert stopped.value.payload.state["gate"] == "accuracy"
    result = await engine.resume("t", Command.approve())
    assert (result["status"], result["results"]["report"]) == ("success", {"text": "done"})


async def test_a_low_consistency_goes_back_a_stage(store: Store | None) -> None:
    events = await events_of(both(Scripted(analysis(consistency_score=10), analysis()), store), {})
    assert [stage for stage, _ in started(events)] == ["load", "analysis", "report", "analysis", "report"]
    assert events[-1]["status"] == "success"


async def test_asking_a_person_outranks_going_back_and_trying_again() -> None:
    analyst = Scripted(analysis(consistency_score=1, completeness_score=1, accuracy_score=1))
    events = await events_of(both(analyst), {})
    verdicts = {event["gate"]: event["verdict"] for event in events if event["type"] == "gate"}
    assert verdicts == {"completeness": "failed", "accuracy": "failed", "consistency": "failed"}
    assert kinds(events, "rollback", "retry", "escalated") == ["escalated"]


async def test_what_is_unlike_anything_before_is_made_again_and_what_was_accepted_is_remembered() -> None:
    store, config = MemoryStore(), ValidationConfig(enable_anomaly_detection=True)

    def engine_of(analyst: Scripted) -> PipelineEngine:
        return PipelineEngine(stages(analysis=analyst), validation_config=config, checkpoint_store=store)

    engine = engine_of(Scripted(*({"score": 90 + number % 5} for number in range(150))))
    for number in range(150):
        assert (await engine.run({}, f"t{number}"))["status"] == "success"
    # Another engine, as in another process: the baseline comes from the store.
    analyst = Scripted({"score": 100_000}, {"score": 92})
    events = await events_of(engine_of(analyst), {}, "odd")
    odd = next(event for event in events if event["type"] == "validation")
    assert (odd["verdict"], events[-1]["status"]) == ("failed", "success")
    assert "score" in odd["issues"][0]
    assert analyst.given[1]["_feedback"]["source"] == "validation"


async def test_a_refused_output_and_a_substitute_teach_nothing() -> None:
    gate = QualityGate("g", lambda r: r["n"] > 0, "fallback", stages=["a"], fallback={"n": 5})
    config = ValidationConfig(enable_anomaly_detection=True)
    engine = PipelineEngine(stages(a=Scripted({"n": 0}, {"n": 1})), quality_gates=[gate], validation_config=config)
    await engine.run({})
    anomalies = engine._validator.anomalies
    assert anomalies.outputs("a") == 0
    await engine.run({})
    assert anomalies.outputs("a") == 1
