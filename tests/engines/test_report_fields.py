"""A report cannot say of a run what the engine says of it."""

from __future__ import annotations

from typing import Any

import pytest
from pipeline_helpers import Scripted

from hagane.engines import PipelineEngine, StageConfig
from hagane.rollback import Store

REPORT = {"title": "Report", "status": "success", "results": "42 rows", "thread_id": "x", "run_id": "y", "failed": {}}


class Builder:
    def build(self, results: Any, inputs: Any) -> dict[str, Any]:
        return dict(REPORT)


@pytest.mark.parametrize(
    "maker", [{"report_generator": lambda results: dict(REPORT)}, {"report_builder": Builder()}], ids=["fn", "builder"]
)
async def test_a_partial_run_stays_partial_whatever_its_report_says(maker: Any, store: Store | None) -> None:
    agents = [Scripted({"n": 1}), Scripted(TypeError("broken"))]
    stage = StageConfig("a", agents=agents, parallel=True, on_error="isolate")
    engine = PipelineEngine([stage], checkpoint_store=store, **maker)
    result = await engine.run({}, "t")
    assert (result["status"], result["thread_id"], result["title"]) == ("partial", "t", "Report")
    assert (result["results"], list(result["failed"])) == ({"a": {"a_0": {"n": 1}}}, ["a"])
    assert result["report"] == REPORT
    assert engine.history(result["run_id"])[-1]["status"] == "partial"


async def test_fields_of_other_names_stand_beside_the_results() -> None:
    stages = [StageConfig("a", Scripted({"n": 1}))]
    result = await PipelineEngine(stages, report_generator=lambda results: {"title": "T", "report": "text"}).run({})
    assert (result["status"], result["title"], result["report"]) == ("success", "T", "text")
