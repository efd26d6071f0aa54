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


def engine_of(where: str, store: Store | None) -> PipelineEngine:
    gate = QualityGate("g", lambda output: False, "escalate", stages=["a"] if where == "output" else None)
    stages = [StageConfig("a", ask if where == "agent" else Scripted(WORK))]
    return PipelineEngine(stages, quality_gates=[] if where == "agent" else [gate], checkpoint_store=store)


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


@pytest.mark.parametrize("where", ["output", "results", "agent"])
async def test_a_cancellation_while_the_question_is_stored_loses_neither_it_nor_the_work(
    where: str, sqlite: SqliteStore
) -> None:
    cancelled: list[Any] = []

    def cancel() -> bool:
        """Come into effect at the next moment at which the run waits: while the question is written."""
        if not cancelled:
            cancelled.append(1)
            asyncio.get_running_loop().call_soon(task.cancel)
        return False

    async def asking(inputs: dict[str, Any]) -> dict[str, Any]:
        cancel()
        return await ask(inputs)

    gate = QualityGate("g", lambda output: cancel(), "escalate", stages=["a"] if where == "output" else None)
    gates = [] if where == "agent" else [gate]
    stages = [StageConfig("a", asking if where == "agent" else Scripted(WORK))]
    engine = PipelineEngine(stages, quality_gates=gates, checkpoint_store=sqlite)
    task = asyncio.ensure_future(engine.run({}, "t"))
    with pytest.raises(asyncio.CancelledError):
        await task
    assert sqlite.head("t").run.status == "escalated"
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
