"""What stage outputs must be like: validators, and quality gates that decide what follows a failure."""

from __future__ import annotations

from hagane.validation.anomaly import AnomalyDetector, AnomalyReport
from hagane.validation.config import ValidationConfig
from hagane.validation.gate import GateVerdict, QualityGate
from hagane.validation.result import Issue, ValidationResult
from hagane.validation.validator import StageValidator

__all__ = [
    "AnomalyDetector",
    "AnomalyReport",
    "GateVerdict",
    "Issue",
    "QualityGate",
    "StageValidator",
    "ValidationConfig",
    "ValidationResult",
]
