"""The pipeline: three stages, two gates, and what its runs are given."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hagane.demo import checks
from hagane.demo.stages import AnalyseStage, LoadStage, ReportStage, Tell, silent
from hagane.engines import EngineConfig, PipelineEngine, StageConfig
from hagane.rollback import Store
from hagane.validation import QualityGate, ValidationConfig

PIPELINE = "demo"
REQUIRED = {
    "load": ["columns", "numeric", "group_by", "rows", "data"],
    "analyse": ["summary", "rows_analysed", "completeness_score"],
    "report": ["files"],
}


def build_engine(csv_path: Path, llm: Any, store: Store, tell: Tell = silent) -> PipelineEngine:
    """Put the pipeline together over the file at `csv_path`; `tell` hears of each step of the agent."""
    rows: list[int] = []

    def consistency(merged: Mapping[str, Any]) -> float:
        if not rows:
            rows.append(checks.count_rows(csv_path))
        return checks.consistency_score(merged.get("summary", {}), rows[0])

    return PipelineEngine(
        [
            StageConfig("load", agent=LoadStage()),
            StageConfig("analyse", agent=AnalyseStage(llm, tell)),
            StageConfig("report", agent=ReportStage()),
        ],
        config=EngineConfig(name=PIPELINE, max_retries=1, timeout_seconds=1800.0),
        validation_config=ValidationConfig(required_fields=REQUIRED),
        quality_gates=[
            QualityGate(
                "completeness",
                lambda output: output.get("completeness_score"),
                "retry",
                stages=["analyse"],
                threshold=80,
            ),
            # After the last stage, on the merged results: whatever is about to be published must speak of every row.
            QualityGate("consistency", consistency, "rollback", rollback_to="load", threshold=100),
        ],
        checkpoint_store=store,
    )
