"""Work that outlives its attempt or its run changes nothing any more."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from hagane.engines import EngineConfig, PipelineEngine, StageConfig, current_stage
from hagane.errors import PipelineError
from hagane.rollback import Store

Inputs = dict[str, Any]


async def until(condition: Any) -> None:
    for _ in range(30_000):
        if condition():
            return
        await asyncio.sleep(0.001)
    raise AssertionError("nothing happened")


def in_a_thread(begun: Any, go_on: Any, done: list[str], said: list[str]) -> Any:
    """A synchronous agent, which cannot be stopped; its effect has not begun when the run ends."""

    def agent(inputs: Inputs) -> Inputs:
        begun.set()
        assert go_on.wait(30)
        try:
            current_stage().effect_sync("charge", done.append)
        except PipelineError as error:
            said.append(str(error))
        return {}

    return agent


def in_a_task(begun: Any, go_on: Any, done: list[str], said: list[str]) -> Any:
    """An agent that leaves a task behind whose effect is under way when the run ends."""

    async def charge(key: str) -> None:
        begun.set()
        await until(go_on.is_set)
        done.append(key)

    async def effect() -> None:
        try:
            await current_stage().effect("charge", charge)
        except PipelineError as error:
            said.append(str(error))

    async def agent(inputs: Inputs) -> Inputs:
        kept.append(asyncio.ensure_future(effect()))
        await asyncio.sleep(30)
        return {}

    kept: list[Any] = []
    return agent


@pytest.mark.parametrize(("late", "times", "told"), [(in_a_thread, 0, "is over"), (in_a_task, 1, "not recorded")])
async def test_what_outlives_its_run_records_no_effect(late: Any, times: int, told: str, store: Store | None) -> None:
    begun, go_on, done, said = threading.Event(), threading.Event(), [], []
    stages = [StageConfig("a", late(begun, go_on, done, said))]
    config = EngineConfig(timeout_seconds=0.2, max_retries=0)
    engine = PipelineEngine(stages, config=config, checkpoint_store=store)
    result = await engine.run({}, "t")
    assert (result["status"], begun.is_set()) == ("failed", True)
    go_on.set()
    await until(lambda: said)
    assert (len(done), told in said[0]) == (times, True)
    assert engine.history(result["run_id"])[-1]["type"] == "run_completed"
    assert store is None or store.head("t").run.status == "failed"


async def test_a_task_that_an_agent_leaves_behind_does_no_effect(store: Store | None) -> None:
    told, go_on, done = [], asyncio.Event(), []

    async def later() -> None:
        await go_on.wait()
        try:
            await current_stage().effect("charge", done.append)
        except PipelineError as error:
            told.append(str(error))

    async def leaves(inputs: Inputs) -> Inputs:
        told.append(asyncio.ensure_future(later()))
        return {}

    async def second(inputs: Inputs) -> Inputs:
        go_on.set()
        await told[0]
        return {}

    engine = PipelineEngine([StageConfig("a", leaves), StageConfig("b", second)], checkpoint_store=store)
    assert (await engine.run({}))["status"] == "success"
    assert done == []
    assert "attempt 1 of stage 'a' is over" in told[1]


async def test_an_effect_of_an_attempt_that_was_cut_off_is_not_repeated_by_the_next(store: Store | None) -> None:
    """It was under way when the stage's time was spent, and ended while the run went on."""
    done: list[str] = []
    tasks: list[Any] = []

    async def charge(key: str) -> str:
        await asyncio.sleep(0.05)
        done.append(key)
        return "charged"

    async def agent(inputs: Inputs) -> Inputs:
        if not tasks:
            tasks.append(asyncio.ensure_future(current_stage().effect("charge", charge)))
            await asyncio.sleep(0)
            raise ConnectionError("reset")
        await asyncio.wait(tasks)
        return {"receipt": await current_stage().effect("charge", charge)}

    engine = PipelineEngine([StageConfig("a", agent)], checkpoint_store=store)
    assert (await engine.run({}))["results"] == {"a": {"receipt": "charged"}}
    assert len(done) == 1
