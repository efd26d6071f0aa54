"""Outputs and schemas that were made to break validation: what is wrong is told, and nothing raises or hangs."""

from __future__ import annotations

import enum
import math
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field, RootModel, field_validator

from hagane.validation import Issue, StageValidator, ValidationConfig


class Item(BaseModel):
    mass: float = Field(gt=0)


class Report(BaseModel):
    rows: list[Item]
    score: int

    @field_validator("score")
    @classmethod
    def no_thirteen(cls, score: int) -> int:
        if score == 13:
            raise ValueError("unlucky")
        if score == 14:
            raise RuntimeError("the validator is broken")
        return score


def places(validator: StageValidator, output: Any) -> list[tuple[str, str]]:
    result = validator.check("a", output)
    assert result.passed == (not result.issues)
    return [(issue.path, issue.rule) for issue in result.issues]


def by_schema(schema: Any) -> StageValidator:
    return StageValidator(ValidationConfig(schemas={"a": schema}))


@pytest.mark.parametrize(
    ("output", "found"),
    [
        ({"rows": [{"mass": 1}], "score": 1}, []),
        (
            {"rows": [{"mass": -1}, {"mass": "x"}], "score": 1},
            [("rows[0].mass", "greater_than"), ("rows[1].mass", "float_parsing")],
        ),
        ({"rows": [{"mass": math.nan}], "score": 1}, [("rows[0].mass", "greater_than")]),
        ({"rows": 3}, [("rows", "list_type"), ("score", "missing")]),
        ({"rows": [], "score": 13}, [("score", "value_error")]),
        ({"rows": [], "score": 14}, [("", "schema")]),
        (None, [("", "model_type")]),
        ("text", [("", "model_type")]),
        ([{"mass": 1}], [("", "model_type")]),
    ],
)
def test_a_real_pydantic_model_says_where_and_what(output: Any, found: list[tuple[str, str]]) -> None:
    assert places(by_schema(Report), output) == found


def test_a_message_of_a_model_has_path_expected_and_actual() -> None:
    issue = by_schema(Report).check("a", {"rows": [{"mass": -1}], "score": 1}).issues[0]
    assert issue == Issue("rows[0].mass", "greater_than", "Input should be greater than 0", "-1")
    assert str(issue) == "rows[0].mass: expected Input should be greater than 0, got -1 (greater_than)"


def test_a_root_model_names_the_element() -> None:
    assert places(by_schema(RootModel[list[int]]), [1, "x"]) == [("[1]", "int_parsing")]


class Grade(enum.IntEnum):
    GOOD = 80


class Cunning(dict[str, Any]):
    """Lies about what it has to whoever asks by iteration."""

    def __iter__(self) -> Any:
        raise RuntimeError("no iteration")

    def items(self) -> Any:
        raise RuntimeError("no items")


class Silent:
    def __repr__(self) -> str:
        raise RuntimeError("no repr")

    __str__ = __repr__


class Mute(str):
    __slots__ = ()

    def __str__(self) -> str:
        raise RuntimeError("no text")


HIDDEN = [Silent(), Mute("x"), "\ud800", b"\xff", object(), Cunning(y=1), 10**5000, {1, 2}]


@pytest.mark.parametrize("value", HIDDEN, ids=lambda value: type(value).__name__)
def test_values_that_do_not_want_to_be_seen_are_values(value: Any) -> None:
    validator = StageValidator(ValidationConfig(required_fields={"a": ["x"]}, schemas={"a": {"type": "object"}}))
    assert places(validator, {"x": value}) == []
    assert places(validator, Cunning(x=value)) == []


@pytest.mark.parametrize(
    "output",
    [Silent(), Mute("x"), iter(()), object, lambda: None, ..., b"", 3],
    ids=lambda output: type(output).__name__,
)
def test_outputs_that_are_no_dict_lack_what_is_required(output: Any) -> None:
    validator = StageValidator(ValidationConfig(required_fields={"a": ["x"]}))
    assert places(validator, output) == [("x", "required")]


@pytest.mark.parametrize(
    ("score", "passes"),
    [
        (80, True),
        (Grade.GOOD, True),
        (math.inf, True),
        (-math.inf, False),
        ("85", False),
        (None, False),
        ([85], False),
        (True, False),
        (85j, False),
    ],
)
def test_only_numbers_that_reach_it_are_scores(score: Any, passes: bool) -> None:
    validator = StageValidator(ValidationConfig(min_quality_score=70))
    assert validator.check("a", {"score": score}).passed is passes


def test_an_output_nested_a_hundred_thousand_deep_is_judged() -> None:
    output: dict[str, Any] = {}
    innermost = output
    for _ in range(100_000):
        innermost["x"] = innermost = {}
    schema = {"type": "object", "properties": {"x": {"properties": {"x": {"type": "array"}}}}}
    assert places(by_schema(schema), output) == [("x.x", "type")]
    # Taken apart step by step: letting go of it at once would recurse in the interpreter.
    while output:
        output = output.pop("x")


def test_an_output_wide_and_shared_is_judged_once_per_place() -> None:
    shared = {"mass": "x"}
    schema = {"properties": {"rows": {"items": {"properties": {"mass": {"type": "number"}}}}}}
    found = places(by_schema(schema), {"rows": [shared] * 1000})
    assert (len(found), found[999]) == (1000, ("rows[999].mass", "type"))


def test_long_values_are_cut_in_messages() -> None:
    issue = by_schema({"properties": {"x": {"type": "integer"}}}).check("a", {"x": "あ" * 10**6}).issues[0]
    assert len(str(issue)) < 120


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ({"minimum": math.nan}, "minimum"),
        ({"properties": {"x": {"type": "text"}}}, "type"),
        ({"properties": []}, "properties"),
        ({"required": "x"}, "required"),
        ({"items": [{}]}, "schema"),
        ({"minItems": -1}, "minItems"),
        ({"additionalProperties": {}}, "additionalProperties"),
        ({"enum": 3}, "enum"),
        ({"x": {1, 2}}, "x"),
        (Report.model_json_schema(), "Pydantic model"),
        (True, "bool"),
        ([{}], "list"),
        (Item.model_validate, "method"),
    ],
)
def test_a_schema_that_cannot_be_kept_is_refused_by_name(schema: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        by_schema(schema)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda below: st.lists(below, max_size=5) | st.dictionaries(st.text(), below, max_size=5),
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(JSON)
def test_any_json_is_judged_the_same_twice(output: Any) -> None:
    config = ValidationConfig(
        required_fields={"a": ["x"]},
        schemas={"a": {"type": "object", "properties": {"x": {"type": ["string", "number"], "minLength": 1}}}},
        min_quality_score=1,
    )
    first = StageValidator(config).check("a", output)
    again = StageValidator(config).check("a", output)
    assert first.issues == again.issues
    if not isinstance(output, dict):
        assert ("", "type") in [(issue.path, issue.rule) for issue in first.issues]
