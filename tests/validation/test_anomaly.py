from __future__ import annotations

import math
import random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hagane.validation import AnomalyDetector, Issue, StageValidator, ValidationConfig

DETECTING = ValidationConfig(enable_anomaly_detection=True)


def output(number: float) -> dict[str, Any]:
    return {"score": 70 + number % 10, "findings": ["x"] * (3 + int(number) % 3)}


def taught(times: int, config: ValidationConfig = DETECTING) -> StageValidator:
    validator, draw = StageValidator(config), random.Random(5)
    for _ in range(times):
        validator.learn("analysis", output(draw.uniform(0, 10)))
    return validator


async def test_a_validator_learns_what_was_accepted_and_refuses_what_is_far_off() -> None:
    validator = taught(500)
    assert (await validator.validate("analysis", output(4.5))).passed
    result = await validator.validate("analysis", {**output(4.5), "score": 7200.0})
    assert [(issue.path, issue.rule) for issue in result.issues] == [("score", "unusual_value")]
    assert not result.passed
    assert "as in 500 accepted outputs, got 7200 (unusual_value)" in result.feedback


@pytest.mark.parametrize(("known", "issues", "warnings"), [(19, 0, 0), (20, 0, 1), (99, 0, 1), (500, 1, 0)])
def test_it_is_silent_then_warns_then_acts(known: int, issues: int, warnings: int) -> None:
    result = taught(known).check("analysis", {**output(4.5), "score": 7200.0})
    assert (len(result.issues), len(result.warnings)) == (issues, warnings)
    assert result.passed == (not issues)


def test_judging_teaches_nothing() -> None:
    validator = taught(0)
    for _ in range(50):
        validator.check("analysis", output(1))
    assert validator.anomalies is not None
    assert validator.anomalies.outputs("analysis") == 0
    assert not validator.anomalies.knows("analysis")


def test_stages_have_baselines_of_their_own() -> None:
    assert taught(500).check("report", {**output(4.5), "score": 7200.0}) == StageValidator().check("report", {})


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf, 10**400])
def test_numbers_that_are_none_need_no_baseline(number: float) -> None:
    result = taught(0).check("analysis", {"rows": [{"mass": 1.0}, {"mass": number}]})
    assert [(issue.path, issue.rule, issue.expected) for issue in result.issues] == [
        ("rows[].mass", "not_finite", "a finite number")
    ]


def test_without_detection_nothing_of_it_happens() -> None:
    validator = StageValidator(ValidationConfig())
    validator.learn("analysis", output(1))
    assert validator.anomalies is None
    assert validator.check("analysis", {"score": math.nan}).passed


def test_warning_only_never_fails_an_output() -> None:
    config = ValidationConfig(enable_anomaly_detection=True, anomaly_action="warn")
    result = taught(500, config).check("analysis", {"score": math.nan})
    assert result.passed
    assert {warning.rule for warning in result.warnings} == {"not_finite", "missing_path"}


def test_other_rules_and_anomalies_are_told_together() -> None:
    config = ValidationConfig(required_fields={"analysis": ["score"]}, enable_anomaly_detection=True)
    result = StageValidator(config).check("analysis", {"text": '{"a": [1'})
    assert [issue.rule for issue in result.issues] == ["required", "truncated_json"]


@pytest.mark.parametrize("stage", ["analysis", "*"])
def test_ignored_paths_are_left_alone(stage: str) -> None:
    config = ValidationConfig(enable_anomaly_detection=True, anomaly_ignore={stage: ["score"]})
    assert taught(500, config).check("analysis", {**output(4.5), "score": math.nan}).passed
    assert config.named_stages() == {stage} - {"*"}


def test_the_document_setting_is_accepted_as_it_stands() -> None:
    config = ValidationConfig(
        required_fields={"analysis": ["score", "findings"]},
        min_quality_score=70,
        enable_anomaly_detection=True,
    )
    assert StageValidator(config).check("analysis", {"score": 80, "findings": []}).passed


def test_a_new_field_is_a_warning_and_a_missing_one_an_issue() -> None:
    validator = taught(500)
    result = validator.check("analysis", {**output(4.5), "extra": 1})
    assert result.warnings == (Issue("extra", "new_path", "no fields but those of 500 accepted outputs", "new: extra"),)
    assert [issue.path for issue in validator.check("analysis", {"score": 74.5}).issues] == ["findings"]


def test_the_summary_tells_what_does_not_belong() -> None:
    detector, draw = AnomalyDetector(), random.Random(5)
    for number in range(200):
        detector.learn("a", {"mass": 9000.0 if number % 20 == 3 else draw.gauss(50, 3), "count": number})
    fields = {field.path: field for field in detector.summary("a")}
    assert (fields["mass"].known, fields["mass"].strangers, fields["mass"].is_running) == (200, 10, False)
    assert 40 < fields["mass"].low < fields["mass"].median < fields["mass"].high < 60
    assert fields["count"].is_running
    assert repr(fields["mass"]).startswith('BaselineField(path="mass", known=200, median=')


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"anomaly_alpha": 0}, "anomaly_alpha is 0"),
        ({"anomaly_alpha": math.nan}, "anomaly_alpha is nan"),
        ({"anomaly_alpha": True}, "anomaly_alpha is True"),
        ({"anomaly_alpha": "0.01"}, "anomaly_alpha is '0.01'"),
        ({"anomaly_action": "explode"}, "use one of retry, warn"),
        ({"anomaly_ignore": {"a": "score"}}, "give a list of paths"),
    ],
)
def test_settings_that_do_not_fit_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ValidationConfig(**settings)


LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=300) | st.binary() | st.decimals()
OUTPUTS = st.recursive(LEAVES, lambda below: st.lists(below) | st.dictionaries(st.text() | st.integers(), below))


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(OUTPUTS, max_size=30), OUTPUTS)
def test_no_output_breaks_it(accepted: list[Any], candidate: Any) -> None:
    detector = AnomalyDetector()
    for one in accepted:
        detector.learn("a", one)
    report = detector.judge("a", candidate)
    assert all(isinstance(issue.path, str) for issue in (*report.issues, *report.warnings))
    again = AnomalyDetector()
    again.load("a", detector.dump("a"))
    assert again.judge("a", candidate) == report
