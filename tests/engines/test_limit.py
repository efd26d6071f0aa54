"""The limit on agent runs at once, and the queue that the gauge shows."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from hagane.engines import EngineConfig, PipelineEngine, StageConfig
from hagane.errors import PipelineError
from hagane.observability import get_metrics


def depth(agent: str) -> float:
    return get_metrics().gauge("agent_queue_depth").get({"agent": agent})


class Held:
    """An agent whose runs end when the test lets them."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.release = asyncio.Event()
        self.running = self.most = 0

    async def run(self, inputs: dict[str, Any]) -> dict[str, Any]:
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            await self.release.wait()
        finally:
            self.running -= 1
        return {}


def engine_of(agent: Any, places: int | None, **stage: Any) -> PipelineEngine:
    config = EngineConfig(max_concurrent_agents=places)
    return PipelineEngine([StageConfig("only", agent=agent, **stage)], config=config)


async def until(condition: Any) -> None:
    while not condition():
        await asyncio.sleep(0)


async def test_runs_beyond_the_limit_wait_and_the_gauge_counts_them() -> None:
    agent = Held("held")
    engine = engine_of(agent, 2)
    runs = [asyncio.ensure_future(engine.run({})) for _ in range(5)]
    await until(lambda: depth("held") == 3)
    assert agent.running == 2
    agent.release.set()
    results = await asyncio.gather(*runs)
    assert [result["status"] for result in results] == ["success"] * 5
    assert (agent.most, depth("held")) == (2, 0)


async def test_without_a_limit_nobody_waits() -> None:
    agent = Held("free")
    engine = engine_of(agent, None)
    runs = [asyncio.ensure_future(engine.run({})) for _ in range(5)]
    await until(lambda: agent.running == 5)
    assert depth("free") == 0
    agent.release.set()
    await asyncio.gather(*runs)


async def test_a_cancelled_run_leaves_the_queue_and_a_failed_one_gives_its_place_back() -> None:
    agent = Held("left")
    engine = engine_of(agent, 1)
    first, second = (asyncio.ensure_future(engine.run({})) for _ in range(2))
    await until(lambda: depth("left") == 1)
    second.cancel()
    await asyncio.gather(second, return_exceptions=True)
    assert depth("left") == 0
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    agent.release.set()
    assert (await engine.run({}))["status"] == "success"

    failing = engine_of(lambda inputs: 1 / 0, 1)
    assert [(await failing.run({}))["status"] for _ in range(2)] == ["failed"] * 2


async def test_parallel_agents_of_one_stage_share_the_places() -> None:
    agents = [Held(f"parallel-{number}") for number in range(3)]
    engine = engine_of(None, 1, agents=agents, parallel=True)
    run = asyncio.ensure_future(engine.run({}))
    await until(lambda: sum(depth(agent.name) for agent in agents) == 2)
    assert sum(agent.running for agent in agents) == 1
    for agent in agents:
        agent.release.set()
    assert (await run)["status"] == "success"


def test_the_limit_serves_one_event_loop_after_the_other() -> None:
    async def two() -> list[str]:
        return [result["status"] for result in await asyncio.gather(engine.run({}), engine.run({}))]

    async def agent(inputs: dict[str, Any]) -> None:
        await asyncio.sleep(0)

    engine = engine_of(agent, 1)
    assert [asyncio.run(two()) for _ in range(2)] == [["success"] * 2] * 2


@pytest.mark.parametrize("places", [0, -1, 1.5, "2"])
def test_a_limit_that_is_no_number_of_places_is_refused(places: Any) -> None:
    with pytest.raises(PipelineError, match="max_concurrent_agents is"):
        engine_of(lambda inputs: None, places)
