from __future__ import annotations

import math
import sys
import types
from typing import Any

import pytest

from hagane.validation import Issue, StageValidator, ValidationConfig

CONFIG = ValidationConfig(required_fields={"analysis": ["score", "findings"]}, min_quality_score=70)


async def test_a_good_output_passes_with_its_score() -> None:
    result = await StageValidator(CONFIG).validate("analysis", {"score": 80, "findings": []})
    assert (result.passed, result.issues, result.score, result.feedback) == (True, (), 80.0, "")


@pytest.mark.parametrize(
    ("output", "places"),
    [
        ({"score": 80}, [("findings", "required")]),
        ({"score": 80, "findings": None}, [("findings", "required")]),
        ({"score": 69.9, "findings": []}, [("score", "score")]),
        ({"score": math.nan, "findings": []}, [("score", "score")]),
        ({"score": "high", "findings": []}, [("score", "score")]),
        ({"score": True, "findings": []}, [("score", "score")]),
        ("no dict", [("score", "required"), ("findings", "required"), ("score", "score")]),
    ],
)
async def test_every_fault_is_named_by_its_place(output: Any, places: list[tuple[str, str]]) -> None:
    result = await StageValidator(CONFIG).validate("analysis", output)
    assert not result.passed
    assert [(issue.path, issue.rule) for issue in result.issues] == places


async def test_a_stage_without_rules_is_only_measured_by_a_score_that_it_has() -> None:
    validator = StageValidator(CONFIG)
    assert (await validator.validate("load", {"rows": 3})).passed
    assert not (await validator.validate("load", {"score": 3})).passed


async def test_the_score_field_can_be_renamed() -> None:
    validator = StageValidator(ValidationConfig(min_quality_score=1, score_field="quality"))
    assert (await validator.validate("a", {"score": 0, "quality": 1})).passed
    assert not (await validator.validate("a", {"quality": 0})).passed


async def test_a_json_schema_checks_types() -> None:
    schema = {"type": "object", "properties": {"rows": {"type": "array", "items": {"type": "number"}}}}
    validator = StageValidator(ValidationConfig(schemas={"load": schema}))
    assert (await validator.validate("load", {"rows": [1, 2.5]})).passed
    issue = (await validator.validate("load", {"rows": [1, "two"]})).issues[0]
    assert issue == Issue("rows[1]", "type", "number", '"two" (string)')
    assert str(issue) == 'rows[1]: expected number, got "two" (string) (type)'


async def test_a_pydantic_model_checks_types(monkeypatch: pytest.MonkeyPatch) -> None:
    class Refusal(ValueError):
        def errors(self) -> list[dict[str, Any]]:
            return [{"loc": ("rows", 1, "mass"), "type": "float_parsing", "msg": "a number", "input": "x"}]

    class Model:
        @classmethod
        def model_validate(cls, output: Any) -> None:
            if output.get("rows"):
                raise Refusal
            if "odd" in output:
                raise RuntimeError("broken validator")

    monkeypatch.setitem(sys.modules, "pydantic", types.ModuleType("pydantic"))
    validator = StageValidator(ValidationConfig(schemas={"load": Model}))
    assert (await validator.validate("load", {})).passed
    assert (await validator.validate("load", {"rows": [1]})).issues[0].path == "rows[1].mass"
    assert "broken validator" in (await validator.validate("load", {"odd": 1})).feedback


async def test_huge_numbers_compare_on_the_right_side() -> None:
    validator = StageValidator(ValidationConfig(min_quality_score=0))
    assert (await validator.validate("a", {"score": 10**400})).passed
    assert not (await validator.validate("a", {"score": -(10**400)})).passed


async def test_an_output_that_contains_itself_does_not_hang() -> None:
    output: dict[str, Any] = {}
    output["self"] = output
    assert (await StageValidator(CONFIG).validate("load", output)).passed


@pytest.mark.parametrize(
    "build",
    [
        lambda: ValidationConfig(required_fields={"a": "score"}),
        lambda: ValidationConfig(min_quality_score=math.nan),
        lambda: ValidationConfig(min_quality_score=True),
        lambda: StageValidator(ValidationConfig(schemas={"a": {"pattern": "x"}})),
        lambda: StageValidator(ValidationConfig(schemas={"a": {"type": "text"}})),
        lambda: StageValidator(ValidationConfig(schemas={"a": {"enum": [object()]}})),
        lambda: StageValidator(ValidationConfig(schemas={"a": "Model"})),
    ],
)
def test_rules_that_cannot_be_checked_are_refused_when_they_are_made(build: Any) -> None:
    with pytest.raises(ValueError, match=r"score|schema"):
        build()
