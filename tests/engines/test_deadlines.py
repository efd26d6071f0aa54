"""What stops a stage, and what does not: time limits, cancellations, and stages that do not listen."""

from __future__ import annotations

import asyncio
import sys
from contextvars import ContextVar
from typing import Any

import pytest
from pipeline_helpers import Scripted, stages
from virtual_time import run_virtually

from hagane.engines import EngineConfig, PipelineEngine, StageConfig

newer = pytest.mark.skipif(sys.version_info < (3, 11), reason="Python 3.10 does not tell whose a cancellation is")
where: ContextVar[str] = ContextVar("where", default="nowhere")


class Deaf:
    """Goes on for `rounds` seconds whatever it is told, or for ever."""

    def __init__(self, rounds: int = sys.maxsize) -> None:
        self.rounds, self.told, self.ended = rounds, 0, False

    async def run(self, inputs: dict[str, Any]) -> dict[str, Any]:
        for _ in range(self.rounds):
            try:
                await asyncio.sleep(1)
            except asyncio.CancelledError:
                self.told += 1
        self.ended = True
        return {"deaf": True}


def test_a_stage_that_does_not_listen_is_left_alone_when_the_run_is_out_of_time() -> None:
    async def work(environment: Any) -> None:
        deaf, loop = Deaf(60), asyncio.get_running_loop()
        config = EngineConfig(timeout_seconds=10)
        engine = PipelineEngine(stages(a=deaf, b=Scripted({})), config=config, environment=environment)
        begun = loop.time()
        result = await engine.run({})
        assert (result["status"], result["timeout"], result["attempts"]["b"]) == ("failed", True, 0)
        assert loop.time() - begun == pytest.approx(15)
        assert deaf.told > 0
        await asyncio.sleep(100)
        assert deaf.ended

    run_virtually(work)


def test_a_stage_that_ends_in_spite_of_its_limit_is_late_all_the_same() -> None:
    async def work(environment: Any) -> None:
        stage = StageConfig("a", Deaf(3), timeout_seconds=1)
        result = await PipelineEngine([stage], environment=environment).run({})
        assert (result["status"], "deaf" in result["results"].get("a", {})) == ("failed", False)
        assert asyncio.current_task().cancelling() == 0 if sys.version_info >= (3, 11) else True  # type: ignore[union-attr]

    run_virtually(work)


@newer
def test_a_cancelled_run_does_not_wait_for_a_stage_that_does_not_listen() -> None:
    async def work(environment: Any) -> None:
        deaf, loop = Deaf(60), asyncio.get_running_loop()
        engine = PipelineEngine(stages(a=deaf), config=EngineConfig(timeout_seconds=None), environment=environment)
        task = asyncio.ensure_future(engine.run({}))
        await asyncio.sleep(2)
        task.cancel()
        begun = loop.time()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert loop.time() - begun == pytest.approx(5)
        await asyncio.sleep(100)
        assert deaf.ended

    run_virtually(work)


@newer
@pytest.mark.parametrize("ends", ["gives an output", "raises"])
def test_a_cancellation_that_a_stage_swallows_is_raised_when_it_ends(ends: str) -> None:
    async def swallow(inputs: dict[str, Any]) -> dict[str, Any]:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            if ends == "raises":
                raise ValueError("instead") from None
        return {}

    async def work(environment: Any) -> None:
        after = Scripted({})
        task = asyncio.ensure_future(PipelineEngine(stages(a=swallow, b=after), environment=environment).run({}))
        await asyncio.sleep(1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert after.given == []

    run_virtually(work)


@newer
def test_a_timeout_of_the_agents_own_is_its_own() -> None:
    async def patient(inputs: dict[str, Any]) -> dict[str, Any]:
        try:
            async with asyncio.timeout(1):  # type: ignore[attr-defined]
                await asyncio.Event().wait()
        except TimeoutError:
            await asyncio.sleep(20)  # longer than anything that was told to stop may take
        return {"tried": 2}

    async def work(environment: Any) -> None:
        result = await PipelineEngine(stages(a=patient, b=Scripted({})), environment=environment).run({})
        assert (result["status"], result["results"]["a"]) == ("success", {"tried": 2})

    run_virtually(work)


@newer
def test_a_timeout_around_a_run_ends_it() -> None:
    async def work(environment: Any) -> None:
        engine = PipelineEngine(stages(a=lambda i: None, b=_endless), environment=environment)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(3):  # type: ignore[attr-defined]
                await engine.run({})

    run_virtually(work)


def test_wait_for_inside_a_stage_and_around_a_run() -> None:
    async def agent(inputs: dict[str, Any]) -> dict[str, Any]:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(asyncio.Event().wait(), 1)
        return {}

    async def work(environment: Any) -> None:
        engine = PipelineEngine(stages(a=agent), environment=environment)
        assert (await asyncio.wait_for(engine.run({}), 5))["status"] == "success"
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(PipelineEngine(stages(a=_endless), environment=environment).run({}), 5)

    run_virtually(work)


def test_a_run_within_a_stage_has_its_own_limit() -> None:
    async def outer(inputs: dict[str, Any]) -> dict[str, Any]:
        inner = PipelineEngine(stages(x=_endless), config=EngineConfig(timeout_seconds=2))
        return {"inner": (await inner.run({}))["status"]}

    async def work(environment: Any) -> None:
        config = EngineConfig(timeout_seconds=30)
        result = await PipelineEngine(stages(a=outer), config=config, environment=environment).run({})
        assert (result["status"], result["results"]["a"]) == ("success", {"inner": "failed"})

    run_virtually(work)


@pytest.mark.parametrize("waits", [False, True])
async def test_a_stage_has_a_context_of_its_own(waits: bool) -> None:
    seen: list[str] = []

    async def agent(inputs: dict[str, Any]) -> dict[str, Any]:
        seen.append(where.get())
        if waits:
            await asyncio.sleep(0)
        where.set("in a stage")
        if waits:
            await asyncio.sleep(0)
        seen.append(where.get())
        return {}

    where.set("outside")
    await PipelineEngine(stages(a=agent, b=agent)).run({})
    assert seen == ["outside", "in a stage"] * 2
    assert where.get() == "outside"


async def test_an_agent_runs_in_one_task_from_its_first_step_to_its_last() -> None:
    tasks: list[Any] = []

    async def agent(inputs: dict[str, Any]) -> dict[str, Any]:
        tasks.append(asyncio.current_task())
        await asyncio.sleep(0)
        tasks.append(asyncio.current_task())
        return {}

    await PipelineEngine(stages(a=agent)).run({})
    assert tasks == [asyncio.current_task()] * 2


async def _endless(inputs: dict[str, Any]) -> None:
    await asyncio.Event().wait()
