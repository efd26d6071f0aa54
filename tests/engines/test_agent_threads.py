"""Agents that block: they bind neither the time limit, nor the end of the run, nor other agents."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from typing import Any

import pytest
from pipeline_helpers import Scripted, stages

from hagane.engines import EngineConfig, PipelineEngine, StageConfig
from hagane.errors import PipelineError

HANGS = """
import threading
from hagane.engines import EngineConfig, PipelineEngine, StageConfig
def agent(inputs):
    threading.Event().wait()
config = EngineConfig(timeout_seconds=0.2, max_retries=0)
print(PipelineEngine([StageConfig("a", agent)], config=config).run_sync({})["status"])
"""


def test_a_program_ends_although_an_agent_hangs_for_ever() -> None:
    done = subprocess.run([sys.executable, "-c", HANGS], capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.returncode) == ("failed\n", 0), done.stderr


async def test_agents_that_hang_leave_room_for_others() -> None:
    release = threading.Event()
    config = EngineConfig(timeout_seconds=0.05, max_retries=0)
    stuck = PipelineEngine([StageConfig("a", lambda inputs: release.wait())], config=config)
    await asyncio.gather(*(stuck.run({}) for _ in range(40)))
    result = await PipelineEngine([StageConfig("b", lambda inputs: {"b": 1})]).run({})
    release.set()
    assert result["status"] == "success"


class Slow:
    """Sets up slowly; its runs say whether that had ended."""

    calls = 0
    ready = False

    def __init__(self) -> None:
        self.begun, self.go = threading.Event(), threading.Event()

    async def initialize(self) -> None:
        self.calls += 1
        self.begun.set()
        while not self.go.is_set():
            await asyncio.sleep(0.005)
        self.ready = True

    async def run(self, inputs: dict[str, Any]) -> dict[str, Any]:
        return {"ready": self.ready}


def test_threads_wait_for_an_initialisation_that_another_began() -> None:
    agent, ended = Slow(), []
    engine = PipelineEngine([StageConfig("a", agent)])
    threads = [threading.Thread(target=lambda: ended.append(engine.run_sync({})["results"]["a"])) for _ in range(3)]
    for thread in threads:
        thread.start()
        assert agent.begun.wait(10)
    agent.go.set()
    for thread in threads:
        thread.join(10)
    assert (ended, agent.calls) == ([{"ready": True}] * 3, 1)


async def test_waiting_for_an_initialisation_that_this_call_blocks_is_an_error() -> None:
    agent = Slow()
    engine = PipelineEngine([StageConfig("a", agent)])
    first = asyncio.ensure_future(engine.run({}))
    while not agent.begun.is_set():
        await asyncio.sleep(0)
    with pytest.raises(PipelineError, match="that this call blocks"):
        engine.run_sync({})
    agent.go.set()
    assert (await first)["status"] == "success"


async def test_reports_may_be_asynchronous() -> None:
    async def report(results: dict[str, Any]) -> dict[str, Any]:
        return {"title": len(results)}

    result = await PipelineEngine(stages(a=Scripted({"x": 1})), report_generator=report).run({})
    assert result["title"] == 1


async def pieces(inputs: dict[str, Any]) -> Any:
    yield {"x": 1}


@pytest.mark.parametrize("agent", [pieces, lambda inputs: pieces(inputs)])
async def test_a_generator_is_no_agent(agent: Any) -> None:
    engine = PipelineEngine([StageConfig("a", agent)], config=EngineConfig(max_retries=0))
    try:
        told = (await engine.run({}))["reason"]
    except PipelineError as error:
        told = str(error)
    assert "is a generator" in told
