"""Two runs of one thread: one is refused, waits, or takes the thread over."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from pipeline_helpers import Scripted, stages, started

from hagane.engines import EngineConfig, PipelineEngine
from hagane.errors import LeaseHeld, LeaseLost
from hagane.rollback import Store


class Gate:
    """An agent that waits inside until it is let go."""

    def __init__(self) -> None:
        self.inside = asyncio.Event()
        self.go = asyncio.Event()
        self.count = 0

    async def run(self, inputs: dict[str, Any]) -> dict[str, Any]:
        self.count += 1
        self.inside.set()
        await self.go.wait()
        return {"n": self.count}


def engine_of(agent: Any, store: Store | None, on_conflict: str) -> PipelineEngine:
    config = EngineConfig(on_conflict=on_conflict)
    return PipelineEngine(stages(a=agent, b=Scripted({})), config=config, checkpoint_store=store)


async def test_a_second_run_of_a_thread_is_refused_while_the_first_goes_on(store: Store | None) -> None:
    gate = Gate()
    engine = engine_of(gate, store, "reject")
    first = asyncio.create_task(engine.run({}, "t"))
    await gate.inside.wait()
    with pytest.raises(LeaseHeld, match="t"):
        await engine.run({}, "t")
    if store is not None:
        with pytest.raises(LeaseHeld):
            await engine.resume("t")
    gate.go.set()
    assert (await first)["status"] == "success"
    assert (await engine.run({}, "t"))["status"] == "success"
    assert gate.count == 2


async def test_a_second_run_may_wait_for_the_first(store: Store | None) -> None:
    gate = Gate()
    engine = engine_of(gate, store, "wait")
    first = asyncio.create_task(engine.run({}, "t"))
    await gate.inside.wait()
    second = asyncio.create_task(engine.run({}, "t"))
    await asyncio.sleep(0.02)
    assert (gate.count, second.done()) == (1, False)
    gate.go.set()
    results = await asyncio.gather(first, second)
    assert [result["results"]["a"]["n"] for result in results] == [1, 2]
    assert results[0]["run_id"] != results[1]["run_id"]


async def test_a_second_run_may_supersede_the_first_which_is_told(store: Store | None) -> None:
    gate, free = Gate(), Scripted({"free": 1})
    engine = engine_of(gate, store, "supersede")
    first: list[dict[str, Any]] = []

    async def listen() -> None:
        async for event in engine.run_stream({}, "t"):
            first.append(event)  # noqa: PERF401 - kept also where the stream raises

    task = asyncio.create_task(listen())
    await gate.inside.wait()
    engine._stages[0].agents[0] = free
    assert (await engine.run({}, "t"))["status"] == "success"
    gate.go.set()
    with pytest.raises(LeaseLost, match="taken over"):
        await task
    assert first[-1]["type"] == "lease_lost"
    assert started(first) == [("a", 1)]


async def test_threads_do_not_hinder_each_other(store: Store | None) -> None:
    gate = Gate()
    engine = engine_of(gate, store, "reject")
    runs = [asyncio.create_task(engine.run({}, name)) for name in ("t", "u")]
    while gate.count < 2:
        await asyncio.sleep(0.001)
    gate.go.set()
    assert [result["status"] for result in await asyncio.gather(*runs)] == ["success", "success"]


async def test_a_cancelled_run_gives_the_thread_back(store: Store | None) -> None:
    gate = Gate()
    engine = engine_of(gate, store, "reject")
    task = asyncio.create_task(engine.run({}, "t"))
    await gate.inside.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    gate.go.set()
    assert (await engine.run({}, "t"))["status"] == "success"


async def test_a_long_stage_keeps_its_lease(tmp_path: Any) -> None:
    from hagane.rollback import SqliteStore

    store = SqliteStore(tmp_path / "runs.db")
    gate = Gate()
    engine = PipelineEngine(stages(a=gate), config=EngineConfig(lease_seconds=0.6), checkpoint_store=store)
    task = asyncio.create_task(engine.run({}, "t"))
    await gate.inside.wait()
    first = store.lease("t")
    assert first is not None
    while (lease := store.lease("t")) is not None and lease.expires_at == first.expires_at:
        await asyncio.sleep(0.01)
    assert lease is not None
    assert lease.expires_at > first.expires_at
    gate.go.set()
    await task
    store.close()
