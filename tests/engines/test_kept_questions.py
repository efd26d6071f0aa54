"""What a person is asked stays asked, with what it is about, however the listening or the deciding ends."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import Any

import pytest
from pipeline_helpers import Scripted

from hagane.engines import PipelineEngine, StageConfig
from hagane.hitl import Command, InterruptSignal, interrupt
from hagane.rollback import MemoryStore, SqliteStore, Store
from hagane.validation import QualityGate

WORK = {"text": "precious work"}


async def ask(inputs: dict[str, Any]) -> dict[str, Any]:
    return {"sold": (await interrupt("sell the house?")).approved}


def escalating(where: str) -> list[StageConfig]:
    gate = QualityGate("g", lambda output: False, "escalate")
    return [StageConfig("a", Scripted(WORK), gates=[gate] if where == "output" else [])]


def engine_of(where: str, store: Store | None) -> PipelineEngine:
    if where == "agent":
        return PipelineEngine([StageConfig("a", ask)], checkpoint_store=store)
    final = [QualityGate("g", lambda output: False, "escalate")] if where == "results" else []
    return PipelineEngine(escalating(where), quality_gates=final, checkpoint_store=store)


@pytest.mark.parametrize("where", ["output", "results", "agent"])
async def test_leaving_the_stream_at_the_question_leaves_it_open(where: str, store: Store | None) -> None:
    engine = engine_of(where, store)
    async with aclosing(engine.run_stream({}, "t")) as events:
        async for event in events:
            if event["type"] == "escalated":
                break
    assert store is None or store.head("t").run.status == "escalated"
    result = await engine.resume("t", "approve")
    assert result["status"] == "success"
    assert result["results"] == {"a": {"sold": True} if where == "agent" else WORK}


@pytest.mark.parametrize("moment", range(12))
@pytest.mark.parametrize("where", ["output", "results", "agent"])
async def test_a_cancellation_around_the_question_loses_neither_it_nor_the_work(
    where: str, moment: int, sqlite: SqliteStore
) -> None:
    engine = engine_of(where, sqlite)
    task = asyncio.ensure_future(engine.run({}, "t"))
    while not (heads := sqlite.runs()) or not heads[0].status:
        await asyncio.sleep(0)
    for _ in range(moment * 3):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises((asyncio.CancelledError, InterruptSignal)):
        await task
    if sqlite.head("t").run.status != "escalated":
        with pytest.raises(InterruptSignal) as stopped:
            await engine.resume("t")
        assert stopped.value.payload.prompt == ("sell the house?" if where == "agent" else "g: the check gave False")
    result = await engine.resume("t", "approve")
    assert result["results"] == {"a": {"sold": True} if where == "agent" else WORK}


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
async def test_a_decision_whose_judgement_is_cancelled_can_be_given_again(kind: str, sqlite: SqliteStore) -> None:
    looking, agent = asyncio.Event(), Scripted({"q": 1})

    async def slow(output: dict[str, Any]) -> bool:
        if output["q"] > 5 and not looking.is_set():
            looking.set()
            await asyncio.sleep(60)
        return bool(output["q"] > 5)

    store: Store = MemoryStore() if kind == "memory" else sqlite
    stages = [StageConfig("a", agent, gates=[QualityGate("g", slow, "escalate")])]
    engine = PipelineEngine(stages, checkpoint_store=store)
    with pytest.raises(InterruptSignal):
        await engine.run({}, "t")
    task = asyncio.ensure_future(engine.resume("t", Command.update({"q": 9})))
    await looking.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert store.head("t").run.status == "escalated"
    result = await engine.resume("t", Command.update({"q": 9}))
    assert (result["results"], len(agent.given)) == ({"a": {"q": 9}}, 1)
