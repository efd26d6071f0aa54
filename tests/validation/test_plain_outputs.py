"""Outputs that are no dict and hold fields all the same, and numbers that floats do not tell apart."""

from __future__ import annotations

import dataclasses
import math
from collections import UserDict, namedtuple
from collections.abc import Iterator, Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, RootModel, computed_field

from hagane.validation import StageValidator, ValidationConfig


class Model(BaseModel):
    score: int
    rows: list[Any] = Field(min_length=1)


class Aliased(BaseModel):
    model_config = ConfigDict(extra="forbid")
    rows: list[int] = Field(validation_alias="data", serialization_alias="data")

    @computed_field
    def score(self) -> int:
        return len(self.rows) * 40


@dataclasses.dataclass(slots=True)
class Data:
    score: int
    rows: list[Any]
    later: int = dataclasses.field(init=False)


class View(Mapping[str, Any]):
    def __init__(self, **entries: Any) -> None:
        self.entries = entries

    def __getitem__(self, key: str) -> Any:
        return self.entries[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)


class Endless(View):
    def items(self) -> Any:
        return ((str(number), number) for number in iter(int, 1))

    def __len__(self) -> int:
        return 3


class Raising(View):
    def __len__(self) -> int:
        raise RuntimeError("no length")


FORMS: dict[str, Any] = {
    "dict": lambda **entries: entries,
    "Pydantic": Model,
    "unvalidated Pydantic": Model.model_construct,
    "dataclass": Data,
    "UserDict": lambda **entries: UserDict(entries),
    "MappingProxyType": lambda **entries: MappingProxyType(entries),
    "Mapping": View,
}
RULES = ValidationConfig(
    required_fields={"a": ["rows"]},
    schemas={"a": {"type": "object", "properties": {"rows": {"minItems": 1}, "part": {"type": "object"}}}},
    min_quality_score=70,
)


def places(validator: StageValidator, output: Any) -> list[tuple[str, str]]:
    result = validator.check("a", output)
    assert result.passed == (not result.issues)
    return [(issue.path, issue.rule) for issue in result.issues]


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_an_output_is_looked_into(form: str) -> None:
    validator = StageValidator(RULES)
    result = validator.check("a", FORMS[form](score=80, rows=[1]))
    assert (result.passed, result.score) == (True, 80.0)
    assert places(validator, FORMS[form](score=60, rows=[1])) == [("score", "score")]
    assert places(validator, {"rows": [1], "part": FORMS[form](score=1, rows=[1])}) == []
    nested = ValidationConfig(required_fields={"a": ["part.rows"]}, min_quality_score=70, score_field="part.score")
    assert places(StageValidator(nested), {"part": FORMS[form](score=1, rows=[1])}) == [("part.score", "score")]


@pytest.mark.parametrize("form", FORMS)
def test_a_model_as_schema_looks_into_every_form(form: str) -> None:
    validator = StageValidator(ValidationConfig(schemas={"a": Model}))
    assert places(validator, FORMS[form](score=80, rows=[1])) == []


@pytest.mark.filterwarnings("error")
def test_an_instance_that_was_never_validated_is_not_believed() -> None:
    validator = StageValidator(ValidationConfig(schemas={"a": Model}, min_quality_score=70))
    assert places(validator, Model.model_construct(score="high", rows=[])) == [
        ("score", "score"),
        ("score", "int_parsing"),
        ("rows", "too_short"),
    ]
    changed = Model(score=80, rows=[1])
    changed.rows.clear()
    assert places(validator, changed) == [("rows", "too_short")]


def test_a_model_with_other_names_outside_is_its_own_kind() -> None:
    validator = StageValidator(ValidationConfig(schemas={"a": Aliased}, min_quality_score=70))
    assert places(validator, Aliased(data=[1, 2])) == []
    assert places(validator, Aliased(data=[1])) == [("score", "score")]


def test_a_root_model_and_a_named_tuple_are_lists() -> None:
    validator = StageValidator(ValidationConfig(schemas={"a": {"type": "array", "items": {"type": "integer"}}}))
    assert places(validator, RootModel[list[Any]]([1, "x"])) == [("[1]", "type")]
    assert places(validator, namedtuple("Pair", "one two")(1, 2)) == []


@pytest.mark.parametrize("output", [Endless(), Raising(), Model, Data, View], ids=repr)
def test_what_cannot_be_looked_into_lacks_what_is_required(output: Any) -> None:
    assert ("rows", "required") in places(StageValidator(RULES), output)


def test_anomalies_look_into_every_form_as_well() -> None:
    validator = StageValidator(ValidationConfig(enable_anomaly_detection=True))
    for number in range(200):
        validator.learn("a", Data(70 + number * 37 % 11, [number]))
    found = validator.check("a", MappingProxyType({"score": 7000, "rows": [1]})).issues
    assert [(issue.path, issue.rule) for issue in found] == [("score", "unusual_value")]


def test_containers_that_hold_each_other_many_times_are_judged() -> None:
    knot: list[Any] = []
    knot += [knot, knot]
    tower: Any = [1]
    for _ in range(60):
        tower = [tower, tower]
    validator = StageValidator(ValidationConfig(required_fields={"a": ["x"]}))
    assert places(validator, {"x": knot}) == []
    assert places(validator, {"x": tower}) == []


LARGE = 2**53 + 1


@pytest.mark.parametrize(
    ("schema", "fits", "fails"),
    [
        ({"const": LARGE}, LARGE, LARGE - 1),
        ({"enum": [1, LARGE]}, LARGE, float(LARGE - 1)),
        ({"minimum": LARGE}, LARGE, LARGE - 1),
        ({"maximum": -LARGE}, -LARGE, 1 - LARGE),
        ({"minimum": 10**30}, 10**30, 10**30 - 1),
        ({"maximum": 10**400}, 10**400, 10**400 + 1),
        ({"const": -(10**400)}, -(10**400), 10**400),
        ({"minimum": 1e300}, 10**301, int(1e300) - 1),
        ({"const": {"a": [1, {"b": None}]}}, {"a": [1.0, {"b": None}]}, {"a": [1]}),
        ({"enum": [[1], "x"]}, [1], [True]),
    ],
)
def test_values_are_compared_exactly(schema: Any, fits: Any, fails: Any) -> None:
    validator = StageValidator(ValidationConfig(schemas={"a": schema}))
    assert places(validator, fits) == []
    assert places(validator, fails) == [("", next(iter(schema)))]


@given(st.integers() | st.integers(-(2**200), 2**200), st.integers(-3, 3), st.booleans())
def test_bounds_agree_with_python_whatever_the_size(bound: int, step: int, as_float: bool) -> None:
    least: Any = float(bound) if as_float else bound
    validator = StageValidator(ValidationConfig(schemas={"a": {"minimum": least, "maximum": least}}))
    value = bound + step
    assert validator.check("a", value).passed == (value == least)
    assert {issue.rule for issue in validator.check("a", value).issues} == (
        {"minimum"} if value < least else {"maximum"} if value > least else set()
    )


@pytest.mark.parametrize(
    ("score", "passes"), [("70", True), ("69.9", False), ("NaN", False), ("sNaN", False), ("Infinity", True)]
)
def test_a_decimal_is_a_score(score: str, passes: bool) -> None:
    validator = StageValidator(ValidationConfig(min_quality_score=70))
    assert validator.check("a", {"score": Decimal(score)}).passed is passes


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"min_quality_score": math.inf}, "min_quality_score is inf; give a finite number or None"),
        ({"min_quality_score": -math.inf}, "min_quality_score is -inf"),
        ({"min_quality_score": math.nan}, "min_quality_score is nan"),
        ({"min_quality_score": 10**400}, "min_quality_score is 1000"),
        ({"min_quality_score": "70"}, "min_quality_score is '70'"),
        ({"score_field": "rows[].score"}, "give a field outside of lists"),
        ({"required_fields": {"a": [""]}}, r"required_fields\['a'\] is \[''\]"),
        ({"required_fields": ["score"]}, r"required_fields is \['score'\]; give a dict by stage name"),
        ({"schemas": None}, "schemas is None; give a dict"),
        ({"anomaly_ignore": {"a": [1]}}, r"anomaly_ignore\['a'\] is \[1\]; give a list of paths"),
        ({"schemas": {"a": {"minimum": 2, "maximum": 1}}}, "minimum 2 above maximum 1"),
        ({"schemas": {"a": {"properties": {1: {}}}}}, "a key of type int"),
        ({"schemas": {"a": {"minimum": math.inf}}}, "minimum"),
        ({"schemas": {"a": {"const": math.nan}}}, "const"),
        ({"schemas": {"a": {"type": []}}}, "type"),
    ],
)
def test_rules_that_nothing_could_keep_are_refused(config: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        StageValidator(ValidationConfig(**config))


# JSON Schema 2020-12, without those that are supported and those that say nothing about a value.
UNSUPPORTED = [
    *("$ref", "$defs", "$anchor", "$dynamicRef", "$vocabulary", "definitions", "allOf", "anyOf", "oneOf", "not"),
    *("if", "then", "else", "dependentSchemas", "dependentRequired", "dependencies", "prefixItems", "additionalItems"),
    *("contains", "minContains", "maxContains", "unevaluatedItems", "maxItems", "uniqueItems", "patternProperties"),
    *("propertyNames", "unevaluatedProperties", "maxProperties", "minProperties", "multipleOf", "exclusiveMaximum"),
    *("exclusiveMinimum", "maxLength", "pattern", "format", "contentEncoding", "contentMediaType", "contentSchema"),
    *("nullable", "Minimum"),
]


@pytest.mark.parametrize("keyword", UNSUPPORTED)
def test_a_keyword_that_is_not_checked_is_refused_and_not_ignored(keyword: str) -> None:
    for schema in ({keyword: True}, {"type": "object", "properties": {"x": {"items": {keyword: {}}}}}):
        with pytest.raises(ValueError, match="is not supported; supported are type, enum, const"):
            StageValidator(ValidationConfig(schemas={"a": schema}))


LEAVES = st.one_of(
    *(st.none(), st.booleans(), st.integers(), st.floats(), st.decimals(), st.text(max_size=5), st.binary(max_size=5)),
    *(st.complex_numbers(), st.dates(), st.uuids(), st.from_type(type)),
)
OUTPUTS = st.recursive(
    LEAVES,
    lambda below: st.one_of(
        *(st.lists(below, max_size=4), st.dictionaries(st.text(max_size=3) | st.integers(), below, max_size=4)),
        *(st.builds(Data, below, below), st.builds(View, score=below, rows=below)),
        *(below.map(lambda value: Model.model_construct(score=value, rows=value)), st.tuples(below, below)),
    ),
)
SCHEMAS = st.recursive(
    st.fixed_dictionaries(
        {},
        optional={
            "type": st.sampled_from(["null", "boolean", "integer", "number", "string", "array", "object"]),
            "enum": st.lists(st.none() | st.booleans() | st.integers() | st.text(max_size=3), min_size=1),
            "minimum": st.integers() | st.floats(allow_nan=False, allow_infinity=False),
            "minLength": st.integers(0, 9),
            "minItems": st.integers(0, 9),
            "required": st.lists(st.text(max_size=3)),
            "additionalProperties": st.booleans(),
        },
    ),
    lambda below: st.fixed_dictionaries(
        {}, optional={"items": below, "properties": st.dictionaries(st.sampled_from(["score", "rows", "x"]), below)}
    ),
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(OUTPUTS, SCHEMAS, st.none() | st.floats(-9, 99), st.sampled_from(["score", "rows.score", "x"]), st.booleans())
def test_no_output_raises_under_any_rules(
    output: Any, schema: Any, least: float | None, field: str, detect: bool
) -> None:
    config = ValidationConfig(
        required_fields={"a": [field], "b": [field]},
        schemas={"a": schema, "b": Model},
        min_quality_score=least,
        score_field=field,
        enable_anomaly_detection=detect,
    )
    validator = StageValidator(config)
    for stage in ("a", "b"):
        result = validator.check(stage, output)
        assert result.passed == (not result.issues)
        assert len(result.feedback.splitlines()) == len(result.issues[:50]) + (len(result.issues) > 50)
        if result.passed:
            validator.learn(stage, output)
            # The field is required: what passes has it, and has a score that reaches.
            assert least is None or (result.score is not None and result.score >= least)
