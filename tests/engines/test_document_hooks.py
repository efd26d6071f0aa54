"""The document's engine, 2.4 B: its hooks can be overridden, and its loop can be pasted."""

from __future__ import annotations

from typing import Any

import pytest
from pipeline_helpers import Scripted, events_of, kinds, stages

from hagane.engines import ResilientPipelineEngine, StageConfig
from hagane.errors import PipelineError, UnknownStage
from hagane.rollback import Store
from hagane.validation import ValidationConfig

RULES = ValidationConfig(required_fields={"analysis": ["score"]})


class Pasted(ResilientPipelineEngine):
    """The document's loop, word for word."""

    async def _execute_with_rollback(self, inputs: dict) -> dict:
        checkpoints: dict[str, dict] = {}

        for stage in self._stages:
            try:
                # チェックポイント保存
                checkpoints[stage.name] = {"inputs": inputs.copy()}

                # ステージ実行
                result = await stage.execute(inputs)

                # 検証
                validation = await self._validator.validate(stage.name, result)
                if not validation.passed:
                    # 前ステージにロールバック
                    return await self._rollback_and_retry(
                        stage.name,
                        checkpoints,
                        validation.feedback,
                    )

                checkpoints[stage.name]["result"] = result
                inputs.update(result)

            except Exception as e:
                # 例外時もロールバック
                return await self._rollback_and_retry(stage.name, checkpoints, str(e))

        return inputs


def engine_of(kind: Any, analyst: Scripted, **settings: Any) -> Any:
    agents = stages(load=Scripted({"rows": 1}, {"rows": 2}), analysis=analyst, report=Scripted({"text": "done"}))
    return kind(agents, validation_config=RULES, **settings)


async def test_the_documents_loop_runs_as_pasted() -> None:
    given = {"topic": "steel"}
    result = await engine_of(Pasted, Scripted({"score": 1})).run(given)
    assert result["status"] == "success"
    assert result["results"] == {"topic": "steel", "rows": 1, "score": 1, "text": "done"}
    assert given == {"topic": "steel"}


@pytest.mark.parametrize("first", [{"wrong": 1}, ValueError("broken")])
async def test_the_documents_loop_goes_back_a_stage_with_feedback_and_ends(first: Any) -> None:
    analyst = Scripted(first, {"score": 2})
    engine = engine_of(Pasted, analyst)
    result = await engine.run({"topic": "steel"})
    assert result["results"] == {"topic": "steel", "rows": 2, "score": 2, "text": "done"}
    loader = engine._stages[0].agents[0]
    assert len(loader.given) == 2
    assert loader.given[1]["_feedback"]["stage"] == "analysis"


async def test_the_documents_loop_ends_also_where_nothing_helps() -> None:
    analyst = Scripted(*({"n": number} for number in range(200)))
    with pytest.raises(PipelineError, match="not accepted after a rollback"):
        await engine_of(Pasted, analyst, max_revisions=2).run({})
    assert len(analyst.given) < 50


async def test_going_on_from_an_unknown_stage_is_an_error() -> None:
    engine = engine_of(ResilientPipelineEngine, Scripted({"score": 1}))
    await engine._wake()
    with pytest.raises(UnknownStage, match="nowhere"):
        await engine._rollback_and_retry("nowhere", {}, "x")


class Watching(ResilientPipelineEngine):
    """Overrides only what follows a failure, and leaves it to the engine."""

    calls: list[tuple[str, list[str], str]]

    async def _rollback_and_retry(self, stage_name: str, checkpoints: dict[str, Any], feedback: Any) -> dict[str, Any]:
        self.calls.append((stage_name, sorted(checkpoints), feedback))
        return await super()._rollback_and_retry(stage_name, checkpoints, feedback)


async def test_an_overridden_rollback_is_called_and_may_leave_it_to_the_engine(store: Store | None) -> None:
    engine = engine_of(Watching, Scripted({"n": 1}, {"n": 2}, {"score": 3}), checkpoint_store=store, max_revisions=5)
    engine.calls = []
    events = await events_of(engine, {})
    assert events[-1]["result"]["status"] == "success"
    assert [(stage, places) for stage, places, _ in engine.calls] == [("analysis", ["analysis", "load"])] * 2
    assert "score: expected" in engine.calls[0][2]
    assert kinds(events, "retry") == ["retry", "retry"]
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))


class Deciding(ResilientPipelineEngine):
    """Overrides what follows a failure with something of its own."""

    async def _rollback_and_retry(self, stage_name: str, checkpoints: dict[str, Any], feedback: Any) -> dict[str, Any]:
        return {"gave_up_at": stage_name}


async def test_what_an_overridden_rollback_returns_is_the_end(store: Store | None) -> None:
    result = await engine_of(Deciding, Scripted({"n": 1}), checkpoint_store=store).run({})
    assert (result["status"], result["output"], result["results"]) == (
        "partial",
        {"gave_up_at": "analysis"},
        {"load": {"rows": 1}},
    )


async def test_the_validator_and_the_stages_may_be_replaced() -> None:
    class Verdict:
        passed = False
        feedback = "never"

    class Strict:
        async def validate(self, stage_name: str, output: dict[str, Any]) -> Verdict:
            return Verdict()

    engine = engine_of(ResilientPipelineEngine, Scripted({"score": 1}))
    engine._validator = Strict()
    assert (await engine.run({}))["reason"] == "never"

    class Own:
        name = "load"

        async def execute(self, inputs: dict[str, Any]) -> dict[str, Any]:
            return {"rows": "mine"}

    other = engine_of(ResilientPipelineEngine, Scripted({"score": 1}))
    await other._wake()
    other._stages[0].execute = Own().execute
    assert (await other.run({}))["results"]["load"] == {"rows": "mine"}


async def test_a_loop_that_returns_something_else_is_the_result() -> None:
    class Short(ResilientPipelineEngine):
        async def _execute_with_rollback(self, inputs: dict[str, Any]) -> dict[str, Any]:
            return {"short": True}

    result = await Short([StageConfig("a", len)]).run({})
    assert (result["status"], result["results"]) == ("success", {"short": True})
    assert result["run_id"].startswith("run-")
