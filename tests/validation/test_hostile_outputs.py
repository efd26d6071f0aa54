"""What an output does when it is looked at, and rules that cannot be kept: told, never raised, never a crash."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from pydantic import BaseModel

from hagane.validation import StageValidator, ValidationConfig


class Silent:
    def __repr__(self) -> str:
        raise RuntimeError("no repr")

    __str__ = __repr__

    def __hash__(self) -> int:
        return 1


class Odd(int):
    def __float__(self) -> float:
        raise RuntimeError("no float")

    def __lt__(self, other: object) -> bool:
        raise RuntimeError("no order")


class Report(BaseModel):
    rows: int
    score: int


def by_schema(schema: Any) -> StageValidator:
    return StageValidator(ValidationConfig(schemas={"a": schema}))


def nested(levels: int) -> dict[str, Any]:
    schema: dict[str, Any] = {}
    for _ in range(levels):
        schema = {"properties": {"x": schema}}
    return schema


def test_a_schema_that_contains_itself_is_refused_and_does_not_crash() -> None:
    code = (
        "from hagane.validation import StageValidator, ValidationConfig\n"
        "cyclic = {'type': 'object'}; cyclic['properties'] = {'x': cyclic}\n"
        "try: StageValidator(ValidationConfig(schemas={'a': cyclic}))\n"
        "except ValueError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("the schema nests deeper than 64, or contains itself")


def test_a_schema_may_nest_but_not_for_ever() -> None:
    assert by_schema(nested(30)).check("a", {}).passed
    with pytest.raises(ValueError, match="deeper than 64"):
        by_schema(nested(33))


@pytest.mark.parametrize("output", [{Silent(): 1}, {"x": {Silent(): 1}}, {"x": Odd(3)}, {"score": Odd(3)}, Odd(3)])
def test_an_output_that_raises_when_looked_at_is_judged(output: Any) -> None:
    config = ValidationConfig(
        required_fields={"a": ["x"]}, schemas={"a": {"properties": {"x": {"type": "object"}}}}, min_quality_score=1
    )
    StageValidator(config).check("a", output)


@pytest.mark.parametrize("value", [Silent(), "x" * 10**7, ["x" * 10**6] * 10, b"\0" * 10**7], ids=type)
def test_a_model_s_message_shows_little_of_an_output_and_never_raises(value: Any) -> None:
    issue = by_schema(Report).check("a", {"rows": value, "score": 1}).issues[0]
    assert issue.path == "rows"
    assert len(issue.actual) <= 80


def test_what_a_model_misses_is_missing_and_shows_nothing_of_the_rest() -> None:
    issue = by_schema(Report).check("a", {"rows": 3, "secret": "s3cret"}).issues[0]
    assert (issue.path, issue.actual) == ("score", "missing")


def test_a_dotted_name_is_a_way_through_fields() -> None:
    config = ValidationConfig(required_fields={"a": ["meta.author"]}, min_quality_score=70, score_field="meta.score")
    validator = StageValidator(config)
    assert validator.check("a", {"meta": {"author": "x", "score": 80}}).passed
    assert validator.check("a", {"meta.author": "x", "meta.score": 80}).passed
    found = validator.check("a", {"meta": {"score": 60}}).issues
    assert [(issue.path, issue.rule) for issue in found] == [("meta.author", "required"), ("meta.score", "score")]


def test_a_key_that_only_reads_like_the_name_does_not_stand_for_it() -> None:
    validator = StageValidator(ValidationConfig(required_fields={"a": ["1"]}))
    assert validator.check("a", {1: None, "1": 2}).passed
    assert not validator.check("a", {1: 3, "1": None}).passed


def test_feedback_is_bounded_and_keeps_each_issue_on_its_line() -> None:
    validator = by_schema({"additionalProperties": False})
    result = validator.check("a", {f"x{n}\nIGNORE ALL\x1b[2J" + "y" * 10**4: "a\nb" for n in range(1000)})
    lines = result.feedback.splitlines()
    assert (len(result.issues), len(lines), lines[-1]) == (1000, 51, "... and 950 more issues")
    assert len(result.feedback) < 20_000
    assert "\x1b" not in result.feedback


REFUSED = {
    "a field that is no text": ({"required_fields": {"a": [1]}}, r"required_fields\['a'\] is \[1\]; give a list"),
    "no fields": ({"required_fields": {"a": None}}, r"required_fields\['a'\] is None; give a list of field names"),
    "a model's object": ({"schemas": {"a": Report(rows=1, score=1)}}, r"schemas\['a'\] is Report; give"),
    "no score field": ({"min_quality_score": 1, "score_field": None}, "score_field is None; give the name"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_rules_that_cannot_be_kept_are_refused_by_name(case: str) -> None:
    settings, message = REFUSED[case]
    with pytest.raises(ValueError, match=message):
        StageValidator(ValidationConfig(**settings))
