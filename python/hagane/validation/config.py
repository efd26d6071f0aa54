"""What a pipeline demands of its stages' outputs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hagane.validation.anomaly import EVERY_STAGE, AnomalyDetector
from hagane.validation.gate import is_finite_number
from hagane.validation.told import told


@dataclass
class ValidationConfig:
    """Rules by stage name.

    Attributes:
        required_fields: fields that a stage's output must have, not null: `{stage: [field, ...]}`; `meta.author` is
            the field `author` of the object `meta`, unless there is a field of exactly that name.
        schemas: what a stage's output must look like: a JSON Schema dict (type, enum, const, required, properties,
            additionalProperties, items, minimum, maximum, minLength, minItems; others are refused) or a Pydantic
            model class.
        min_quality_score: the least number (int, float or Decimal) in `score_field`. It applies to stages that output
            the field or are required to; a missing score, NaN or something that is no number fails.
        score_field: the name of the field that holds the score.
        enable_anomaly_detection: whether outputs are held against those that were accepted before (docs/anomaly.md).
        anomaly_action: what sure findings do: `retry` makes them issues, so that validation fails; `warn` only warns.
        anomaly_alpha: the share of honest outputs that each family of checks may report.
        anomaly_ignore: paths that are not looked at: `{stage: [path, ...]}`, or `"*"` for every stage.
        baseline_version: part of the key under which baselines are kept; change it when outputs are meant to change.

    Raises:
        ValueError: fields or paths given as one string, something else than a dict by stage, a `min_quality_score` or
            `anomaly_alpha` that is no fit number, or an unknown `anomaly_action`.
    """

    required_fields: Mapping[str, Sequence[str]] = field(default_factory=dict)
    schemas: Mapping[str, Any] = field(default_factory=dict)
    min_quality_score: float | None = None
    score_field: str = "score"
    enable_anomaly_detection: bool = False
    anomaly_action: str = "retry"
    anomaly_alpha: float = 0.01
    anomaly_ignore: Mapping[str, Sequence[str]] = field(default_factory=dict)
    baseline_version: str = "1"

    def __post_init__(self) -> None:
        for name in ("required_fields", "schemas", "anomaly_ignore"):
            if not isinstance(getattr(self, name), Mapping):
                raise ValueError(f"{name} is {told(getattr(self, name))}; give a dict by stage name")
        # Refuses settings that do not fit, also where detection is off.
        self.new_detector()
        for stage, names in self.required_fields.items():
            listed = isinstance(names, Iterable) and not isinstance(names, str)
            if not listed or not all(isinstance(name, str) and name for name in names):
                what = f"the string {names!r}" if isinstance(names, str) else told(names)
                raise ValueError(f"required_fields[{stage!r}] is {what}; give a list of field names")
        if not isinstance(self.score_field, str) or not self.score_field:
            raise ValueError(f"score_field is {self.score_field!r}; give the name of the field that holds the score")
        if "[]" in self.score_field:
            raise ValueError(f"score_field is {self.score_field!r}; give a field outside of lists: there is one score")
        score = self.min_quality_score
        if score is not None and not is_finite_number(score):
            raise ValueError(f"min_quality_score is {told(score)}; give a finite number or None")

    def named_stages(self) -> set[str]:
        """Every stage that some rule names."""
        return {*self.required_fields, *self.schemas, *self.anomaly_ignore} - {EVERY_STAGE}

    def new_detector(self) -> AnomalyDetector:
        """Make a detector that knows nothing yet, by these settings."""
        return AnomalyDetector(alpha=self.anomaly_alpha, action=self.anomaly_action, ignore=self.anomaly_ignore)
