"""AgentFlow's base class, and its interface as it was recorded."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from hagane.engines.base import BaseEngine, EngineConfig, HITLEngineConfig
from hagane.errors import PipelineError

DATA = Path(__file__).parents[1] / "data"


class Doubling(BaseEngine):
    prepared = 0

    async def _initialize(self) -> None:
        self.prepared += 1

    async def _execute(self, inputs: dict[str, Any]) -> dict[str, Any]:
        await asyncio.sleep(0)
        if inputs["n"] < 0:
            raise ValueError("negative")
        return {"n": inputs["n"] * 2, "thread": self.thread_id}


async def test_a_subclass_needs_initialize_and_execute() -> None:
    engine = Doubling()
    results = await asyncio.gather(*(engine.run({"n": number}, thread_id=f"t{number}") for number in range(3)))
    assert results == [{"n": number * 2, "thread": f"t{number}"} for number in range(3)]
    assert engine.prepared == 1
    with pytest.raises(TypeError):
        BaseEngine()  # type: ignore[abstract]


def test_run_sync_is_there_for_every_engine() -> None:
    assert Doubling().run_sync({"n": 2})["n"] == 4


async def test_its_stream_begins_once_and_ends_once() -> None:
    events = [event async for event in Doubling().run_stream({"n": 1}, thread_id="t")]
    assert [event["type"] for event in events] == ["run_started", "result", "run_completed"]
    assert [event["seq"] for event in events] == [1, 2, 3]
    assert events[-1]["result"] == {"n": 2, "thread": "t"}


async def test_its_stream_ends_with_the_failure() -> None:
    stream = Doubling().run_stream({"n": -1})
    assert [(await anext(stream))["type"] for _ in range(2)] == ["run_started", "run_failed"]
    with pytest.raises(ValueError, match="negative"):
        await anext(stream)


async def test_what_keeps_nothing_resumes_nothing() -> None:
    with pytest.raises(PipelineError, match="keeps no checkpoints"):
        await Doubling().resume("t", "approve")


def test_configuration_is_agentflows() -> None:
    engine = Doubling(EngineConfig(name="x", hitl=HITLEngineConfig(enabled=True)))
    assert engine.configure(max_retries=7, colour="red") is engine
    assert (engine.config.max_retries, engine.config.extra) == (7, {"colour": "red"})
    assert (engine.is_hitl_enabled, engine.progress_emitter, engine.thread_id) == (True, None, None)


@pytest.mark.parametrize("module", ["base", "pipeline_engine"])
def test_agentflows_facts_hold(module: str) -> None:
    only = rf"^engines\.{module}$"
    checked = subprocess.run(
        [sys.executable, DATA / "check_api.py", DATA / "agentflow-api-0130.json", "hagane", "--only", only],
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout
