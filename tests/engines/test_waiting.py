"""`run_sync` inside a running loop, as in a notebook's cell: interrupts, context, tracebacks."""

from __future__ import annotations

import asyncio
import os
import signal
import traceback
from contextvars import ContextVar
from typing import Any

import pytest
from pipeline_helpers import stages

from hagane.engines import PipelineEngine
from hagane.errors import PipelineError, UnknownRun
from hagane.hitl import InterruptSignal
from hagane.rollback import MemoryStore
from hagane.validation import QualityGate

request_id: ContextVar[str] = ContextVar("request_id", default="none")


def in_a_cell(work: Any) -> Any:
    """Call `work` in a running loop that does not handle SIGINT itself, as a kernel does."""

    async def cell() -> Any:
        return work()

    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(cell())
    finally:
        loop.close()


@pytest.mark.parametrize("called", [in_a_cell, lambda work: work()], ids=["in a cell", "in a script"])
def test_an_interrupt_stops_the_run_and_leaves_a_record_to_resume(called: Any) -> None:
    done: list[str] = []

    def stage(name: str) -> Any:
        async def agent(inputs: dict[str, Any]) -> dict[str, Any]:
            if name == "b" and not done[1:]:
                done.append("interrupted")
                os.kill(os.getpid(), signal.SIGINT)
                await asyncio.sleep(60)
            done.append(name)
            return {name: 1}

        return agent

    engine = PipelineEngine(stages(a=stage("a"), b=stage("b"), c=stage("c")), checkpoint_store=MemoryStore())
    with pytest.raises(KeyboardInterrupt):
        called(lambda: engine.run_sync({}, "t"))
    assert done == ["a", "interrupted"]
    assert engine.history(engine._flow_id or "")[-1]["status"] == "cancelled"
    assert called(lambda: engine.resume_sync("t"))["status"] == "success"
    assert done == ["a", "interrupted", "b", "c"]


def test_the_callers_context_reaches_the_agents_from_a_cell() -> None:
    async def agent(inputs: dict[str, Any]) -> dict[str, Any]:
        return {"seen": request_id.get()}

    def work() -> Any:
        request_id.set("r-1")
        return PipelineEngine(stages(a=agent)).run_sync({})

    assert in_a_cell(work)["results"]["a"] == {"seen": "r-1"}


@pytest.mark.parametrize("called", [in_a_cell, lambda work: work()], ids=["in a cell", "in a script"])
def test_an_error_is_the_only_one_in_its_traceback(called: Any) -> None:
    with pytest.raises((PipelineError, UnknownRun)) as failed:
        called(lambda: PipelineEngine(stages(a=lambda inputs: {})).resume_sync("t"))
    text = "".join(traceback.format_exception(failed.value))
    assert "During handling" not in text
    assert "no running event loop" not in text


def test_an_uncaught_interrupt_says_what_is_asked_and_how_to_go_on() -> None:
    gate = QualityGate("accuracy", lambda results: False)
    with pytest.raises(InterruptSignal, match=r"stage 'a' waits for a person: accuracy: .*resume\('t', Command\.appr"):
        PipelineEngine(stages(a=lambda inputs: {"n": 1}), quality_gates=[gate]).run_sync({}, "t")
