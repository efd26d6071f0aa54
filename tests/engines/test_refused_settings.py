"""Settings that cannot be meant are refused when they are given, with a sentence."""

from __future__ import annotations

from typing import Any

import pytest
from pipeline_helpers import Scripted, stages

from hagane.engines import EngineConfig, HITLEngineConfig, PipelineEngine, StageConfig
from hagane.engines.feedback import bounded, feedback
from hagane.errors import PipelineError
from hagane.validation import QualityGate

NAN = float("nan")


@pytest.mark.parametrize(
    "settings",
    [
        *({"timeout_seconds": value} for value in (-1, 0, NAN, "5")),
        *({"max_retries": value} for value in (None, 1.5, -1, True)),
        *({"max_tokens": value} for value in (1.5, "x")),
        *({"max_stage_starts": value} for value in (-1, 0, "3", 1 << 40)),
        *({name: None} for name in ("lease_seconds", "backoff_seconds", "backoff_cap_seconds", "name")),
        {"hitl": {"enabled": True}},
    ],
)
def test_an_engines_configuration_is_looked_at_when_it_is_made(settings: dict[str, Any]) -> None:
    with pytest.raises(PipelineError, match=r"give|hitl"):
        EngineConfig(**settings)


@pytest.mark.parametrize("settings", [{"max_attempts": "3"}, {"max_attempts": 1.5}, {"reserve_tokens": None}])
def test_a_stages_limits_are_whole_numbers(settings: dict[str, Any]) -> None:
    with pytest.raises(PipelineError, match="give a whole number"):
        StageConfig("a", len, **settings)


async def _late(refused: Any) -> dict[str, Any]:
    return {}


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        *(({"max_revisions": value}, "max_revisions") for value in (-1, "x", 1.5, None)),
        ({"config": {"max_retries": 1}}, "config has dict"),
        ({"validation_config": {}}, "validation_config has dict"),
        ({"quality_gates": [len]}, "quality_gates has builtin"),
        ({"quality_gates": [QualityGate("g", bool, "fallback", fallback=_late)]}, "fallback is async"),
        ({"quality_gates": [QualityGate("g", bool, "rollback", stages=["a"], rollback_to="b")]}, "comes later"),
        ({"checkpoint_store": Scripted()}, "PostgresStore"),
    ],
)
def test_an_engines_parts_are_looked_at_when_it_is_made(settings: dict[str, Any], told: str) -> None:
    with pytest.raises(PipelineError, match=told):
        PipelineEngine(stages(a=Scripted(), b=Scripted()), **settings)


@pytest.mark.parametrize("target", ["r", "after"])
def test_a_review_sends_work_back_to_an_earlier_stage_only(target: str) -> None:
    listed = [StageConfig("a", len), StageConfig("r", len, review=True, retry_from=target), StageConfig("after", len)]
    with pytest.raises(PipelineError, match="retry_from names an earlier stage"):
        PipelineEngine(listed)


def test_a_stage_that_is_no_stage_is_refused() -> None:
    with pytest.raises(PipelineError, match="a stage is str"):
        PipelineEngine(["a"])  # type: ignore[list-item]


@pytest.mark.parametrize("thread_id", ["", 5, b"t"])
async def test_a_thread_has_a_name_that_is_text(thread_id: Any) -> None:
    engine = PipelineEngine(stages(a=Scripted({})))
    with pytest.raises(PipelineError, match="thread_id"):
        await engine.run({}, thread_id)


@pytest.mark.parametrize("inputs", ["x", None, [1]])
async def test_inputs_are_a_dict(inputs: Any) -> None:
    engine = PipelineEngine(stages(a=Scripted({})))
    with pytest.raises(PipelineError, match="give a dict"):
        await engine.run(inputs)
    with pytest.raises(PipelineError, match="give a dict"):
        _ = [event async for event in engine.run_stream(inputs)]


def test_a_configuration_that_two_engines_share_is_changed_for_one() -> None:
    config = EngineConfig(max_retries=1)
    first, second = (PipelineEngine(stages(a=Scripted({})), config=config) for _ in range(2))
    first.configure(max_retries=9, mine=1)
    assert (first.config.max_retries, second.config.max_retries, second.config.extra) == (9, 1, {})


def test_a_decision_that_comes_late_loses_nothing_by_default() -> None:
    assert HITLEngineConfig().on_expiry == "error"


def test_amounts_are_shown_and_secrets_within_text_are_not() -> None:
    shown = bounded(
        {"tokens": 1, "max_tokens": 2, "token_count": 3, "secretary": "Ann", "api_token": "x", "secret": "x"}
    )
    assert [shown[name] for name in ("tokens", "max_tokens", "token_count", "secretary")] == [1, 2, 3, "Ann"]
    assert shown["api_token"] == shown["secret"] == "<redacted>"
    told = feedback("error", stage="a", attempt=1, message="401 for api_key=sk-abcdef123456 at http://me:hunter22@db/")
    assert told["message"] == "401 for api_key=<redacted> at http://me:<redacted>@db/"
    assert (
        feedback("error", stage="a", attempt=1, message="Unexpected token: '}'")["message"] == "Unexpected token: '}'"
    )


async def test_history_is_what_the_stream_gave(store: Any) -> None:
    engine = PipelineEngine(stages(a=Scripted({"x": 1})), checkpoint_store=store)
    events = [event async for event in engine.run_stream({}, "t")]
    told = {event["type"]: event.pop("output") for event in events if event["type"] == "checkpoint"}
    assert told == {"checkpoint": {"x": 1}}
    events[-1].pop("result")
    assert engine.history(events[0]["run_id"]) == events


def _gate(name: str, on_fail: str, **settings: Any) -> QualityGate:
    return QualityGate(name, bool, on_fail, fallback={} if on_fail == "fallback" else None, **settings)


@pytest.mark.parametrize(
    ("gates", "settings"),
    [
        ([_gate("safe", "abort", required=True), _gate("nice", "fallback")], {}),
        ([_gate("safe", "abort"), _gate("nice", "skip")], {"required": True}),
        ([_gate("nice", "retry", on_exhausted="skip")], {"required": True}),
        ([_gate("safe", "abort")], {"required": True, "on_error": "isolate"}),
    ],
)
def test_nothing_goes_around_what_is_required(gates: list[QualityGate], settings: dict[str, Any]) -> None:
    with pytest.raises(PipelineError, match="required"):
        PipelineEngine([StageConfig("a", len, gates=gates, **settings)])


def test_beside_a_required_gate_another_may_leave_the_output_out() -> None:
    gates = [_gate("safe", "abort", required=True), _gate("nice", "skip")]
    PipelineEngine([StageConfig("a", lambda inputs: {}, gates=gates)])
