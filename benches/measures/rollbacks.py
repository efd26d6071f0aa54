"""Checkpoints of a program's own state and the circuit breaker, beside AgentFlow's (or what AgentFlow's is made of)."""

from __future__ import annotations

import copy
import importlib.util
import sys
from collections.abc import Coroutine, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from hagane.core import CircuitBreaker, RollbackManager
from hagane.engines import PipelineEngine, StageConfig
from hagane.rollback import MemoryStore, RollbackController

from .clock import Row, alternately
from .states import conversation


def rows(agentflow: str | None) -> list[Row]:
    theirs = _module(agentflow, "rollback_manager") if agentflow else None
    found = [row for size in (100, 10_000) for row in _checkpoints(size, theirs)]
    if agentflow:
        found.append(_breaker(_module(agentflow, "circuit_breaker")))
    return found


def _module(checkout: str, name: str) -> ModuleType:
    """One module of a checkout by itself; these need nothing but the standard library."""
    spec = importlib.util.spec_from_file_location(
        f"agentflow_{name}", Path(checkout, "agentflow", "core", f"{name}.py")
    )
    if spec is None or spec.loader is None:
        raise SystemExit(f"{checkout} is no checkout of AgentFlow: agentflow/core/{name}.py is not there")
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _state(kilobytes: int) -> dict[str, Any]:
    """About so many kilobytes of what agents keep: messages, numbers, small dictionaries."""
    message = {"role": "assistant", "content": "The quarterly figures rose by four per cent. " * 4, "tokens": 57}
    return {"messages": [dict(message, id=number, score=number / 7) for number in range(kilobytes * 4)], "step": 3}


def drive(coroutine: Coroutine[Any, Any, Any]) -> Any:
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    raise AssertionError("it waits")


def _checkpoints(kilobytes: int, theirs: ModuleType | None) -> list[Row]:
    state, times = _state(kilobytes), max(1, 2000 // kilobytes)
    names: dict[str, Any] = {"drive": drive, "state": state, "copy": copy, "ours": RollbackManager(max_checkpoints=5)}
    rival, take, back = "copy.deepcopy", "copy.deepcopy(state)", "copy.deepcopy(state)"
    names["id"] = drive(names["ours"].create_checkpoint(state))
    if theirs is not None:
        names["theirs"] = theirs.RollbackManager(max_checkpoints=5)
        names["their_id"] = drive(names["theirs"].create_checkpoint(state))
        rival, take = "AgentFlow's", "drive(theirs.create_checkpoint(state))"
        back = "drive(theirs.rollback(their_id))"
    went, theirs_went = alternately("drive(ours.rollback(id))", back, names, times)
    taken, theirs_taken = alternately("drive(ours.create_checkpoint(state))", take, names, times)
    what = f"of a state of {kilobytes} KB"
    return [
        Row(f"RollbackManager: checkpoint {what}", taken * 1e6, theirs_taken * 1e6, rival, "us"),
        Row(f"RollbackManager: rollback {what}", went * 1e6, theirs_went * 1e6, rival, "us"),
    ]


def controller() -> Iterator[Row]:
    """`RollbackController.rollback_to` over a store in memory, less the decoding of the state that it reads."""
    for size, name in ((100_000, "100 KB"), (10_000_000, "10 MB")):
        state, store = {"messages": conversation(size)}, MemoryStore()
        stages = [StageConfig(f"s{number}", agent=lambda inputs: {"done": True}) for number in range(50)]
        engine = PipelineEngine(stages, checkpoint_store=store)
        engine.run_sync(state, thread_id="t")
        back, head = RollbackController(engine, "t"), store.head("t")
        names = {"back": back, "store": store, "number": head.checkpoint}
        read = "for blob in store.load(number).values(): blob.value()"
        whole, decoding = alternately("back.rollback_to('s1')", read, names, 3)
        what = f"rollback_to in memory, state of {name}, 100 checkpoints: beyond the decoding ({decoding * 1e3:.2f} ms)"
        yield Row(what, max(whole - decoding, 0.0) * 1e3, None, "", "ms", most=1.0)


async def _enter(breaker: Any) -> None:
    async with breaker:
        pass


def _breaker(theirs: ModuleType) -> Row:
    names = {"drive": drive, "enter": _enter, "ours": CircuitBreaker(), "theirs": theirs.CircuitBreaker()}
    ours, rival = alternately("drive(enter(ours))", "drive(enter(theirs))", names, 30_000)
    return Row("CircuitBreaker: one call through it", ours * 1e9, rival * 1e9, "AgentFlow's", "ns")
