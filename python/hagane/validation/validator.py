"""The rules of a configuration, applied to outputs."""

from __future__ import annotations

from typing import Any

from hagane import _core
from hagane.validation.anomaly import AnomalyDetector
from hagane.validation.config import ValidationConfig
from hagane.validation.plain import as_mapping
from hagane.validation.result import Issue, ValidationResult
from hagane.validation.told import told


class StageValidator:
    """Checks outputs of stages against a `ValidationConfig`.

    Args:
        config: the rules; none means that everything passes.

    Raises:
        ValueError: a schema that is neither a supported JSON Schema nor a Pydantic model class.
    """

    def __init__(self, config: ValidationConfig | None = None) -> None:
        self._config = config or ValidationConfig()
        self._models: dict[str, Any] = {}
        self._rules = {stage: self._compile(stage) for stage in self._config.named_stages()}
        self._others = self._compile(None)
        self._anomalies = self._config.new_detector() if self._config.enable_anomaly_detection else None

    def _compile(self, stage: str | None) -> _core.StageRules:
        config = self._config
        schema = config.schemas.get(stage) if stage is not None else None
        if stage is not None and isinstance(schema, type) and hasattr(schema, "model_validate"):
            self._models[stage], schema = schema, None
        if schema is not None and not isinstance(schema, dict):
            raise ValueError(
                f"schemas[{stage!r}] is {type(schema).__name__}; give a JSON Schema dict or a Pydantic model class"
            )
        return _core.StageRules(
            required=list(config.required_fields.get(stage, ())) if stage is not None else [],
            schema=schema,
            score_field=config.score_field,
            minimum=config.min_quality_score,
        )

    def check(self, stage_name: str, output: Any) -> ValidationResult:
        """Check `output` of stage `stage_name`; never raises for an output, whatever it is."""
        rows, score = self._rules.get(stage_name, self._others).check(output)
        issues = [Issue(*row) for row in rows]
        model = self._models.get(stage_name)
        if model is not None:
            issues.extend(_ask_model(model, output))
        warnings: tuple[Issue, ...] = ()
        if self._anomalies is not None:
            unusual = self._anomalies.judge(stage_name, output)
            issues.extend(unusual.issues)
            warnings = unusual.warnings
        return ValidationResult(passed=not issues, issues=tuple(issues), score=score, warnings=warnings)

    async def validate(self, stage_name: str, output: Any) -> ValidationResult:
        """Check `output` of stage `stage_name`: the awaitable form of `check`."""
        return self.check(stage_name, output)

    def asked(self, stage_names: frozenset[str]) -> frozenset[str]:
        """Those of the stages of which something is asked; of the others every output passes, without a score."""
        if self._config.min_quality_score is not None or self._anomalies is not None:
            return stage_names
        return stage_names & self._rules.keys() if self._rules else frozenset()

    @property
    def uses_models(self) -> bool:
        """Whether some schema is a Pydantic model, whose validators are somebody's code."""
        return bool(self._models)

    @property
    def anomalies(self) -> AnomalyDetector | None:
        """The baselines that outputs are held against; None without `enable_anomaly_detection`."""
        return self._anomalies

    def learn(self, stage_name: str, output: Any) -> None:
        """Learn an output that was accepted, after all gates: later ones are held against it. Else nothing happens."""
        if self._anomalies is not None:
            self._anomalies.learn(stage_name, output)

    def baseline_key(self, stage_name: str) -> str:
        """Give the key under which the baseline of a stage is kept, beside others of its pipeline."""
        return f"{self._config.baseline_version}/{stage_name}"


def _ask_model(model: Any, output: Any) -> list[Issue]:
    """Validate with a Pydantic model; an exception that is not Pydantic's own counts as one issue."""
    try:
        model.model_validate(_revealed(model, output))
    except Exception as error:
        return _model_issues(model, error)
    return []


def _revealed(model: Any, output: Any) -> Any:
    """Give what `model` is to look at: it takes its own instances unseen, and knows no mappings but dict."""
    if type(output) is dict:
        return output
    if isinstance(output, model) and hasattr(model, "__pydantic_serializer__"):
        return output.model_dump(round_trip=True, by_alias=True, warnings=False)
    plain = as_mapping(output)
    return output if plain is None else plain


def _model_issues(model: Any, error: Exception) -> list[Issue]:
    try:
        return [_model_issue(detail) for detail in error.errors()]  # type: ignore[attr-defined]
    except Exception:
        return [Issue("", "schema", model.__name__, f"{type(error).__name__}: {told(error)}")]


def _model_issue(detail: dict[str, Any]) -> Issue:
    path = ""
    for step in detail.get("loc", ()):
        path += f"[{step}]" if isinstance(step, int) else f".{step}" if path else str(step)
    rule = str(detail.get("type", "schema"))
    # Of something that is missing Pydantic shows what it is missing from.
    actual = "missing" if rule == "missing" else told(detail.get("input"))
    return Issue(path, rule, str(detail.get("msg", "")), actual)
