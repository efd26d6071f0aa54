"""What an engine adds to its stages: no store, stages that do nothing, beside AgentFlow's PipelineEngine."""

from __future__ import annotations

import asyncio
import importlib
import statistics
import sys
import time
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hagane.engines import PipelineEngine

from .clock import ROUNDS, Row

STAGES = 10


class Giving:
    name = "giving"

    def __init__(self, output: dict[str, Any]) -> None:
        self.output = output

    async def run(self, inputs: dict[str, Any]) -> dict[str, Any]:
        return self.output


def messages(count: int) -> list[dict[str, Any]]:
    return [{"id": number, "role": "user", "text": "x" * 60, "meta": {"tags": ["a", "b"]}} for number in range(count)]


def rows(agentflow: str | None) -> list[Row]:
    theirs = _engine(agentflow) if agentflow else None
    small, flat = {"topic": "steel"}, {"text": [f"line {number} of the document" for number in range(4000)]}
    nested = {"messages": messages(800)}
    return [
        _row("no-op stage, small inputs, per stage", small, theirs, 100, least=1.0, most=50.0),
        _row("no-op stage, 100 KB inputs (a list of lines), per stage", flat, theirs, 5, least=20.0),
        _row("no-op stage, 100 KB inputs (messages), per stage", nested, theirs, 3),
        _row("stage that gives 10 KB of messages, kept by all ten, per stage", small, theirs, 3, output=messages(80)),
    ]


def _engine(checkout: str) -> Callable[[Any], Any]:
    """AgentFlow's class from a checkout, without the packages that its `__init__` files ask for."""
    for name in ("agentflow", "agentflow.engines"):
        package = types.ModuleType(name)
        package.__path__ = [str(Path(checkout, *name.split(".")))]
        sys.modules[name] = package
    engine: Callable[[Any], Any] = importlib.import_module("agentflow.engines.pipeline_engine").PipelineEngine
    return engine


def _row(
    what: str,
    inputs: dict[str, Any],
    theirs: Callable[[Any], Any] | None,
    runs: int,
    least: float | None = None,
    most: float | None = None,
    output: list[Any] | None = None,
) -> Row:
    makers: list[Callable[[Any], Any]] = [PipelineEngine, *([theirs] if theirs else [])]
    figures = asyncio.run(_measured(makers, inputs, runs, output))
    rival = figures[1] if theirs else None
    return Row(what, figures[0], rival, "AgentFlow's", unit="us", least=least if theirs else None, most=most)


async def _measured(
    makers: list[Callable[[Any], Any]], inputs: dict[str, Any], runs: int, output: list[Any] | None
) -> list[float]:
    """Microseconds of CPU time per stage, the engines in turns."""
    given = [{} if output is None else {f"field_{number}": output} for number in range(STAGES)]
    stages = [{"name": f"s{number}", "agent": Giving(fields)} for number, fields in enumerate(given)]
    engines = [make([dict(stage) for stage in stages]) for make in makers]
    found: list[list[float]] = [[] for _ in engines]
    for engine in engines:
        await engine.run(inputs)
    for _ in range(ROUNDS):
        for engine, figures in zip(engines, found, strict=True):
            begun = time.process_time()
            for _ in range(runs):
                await engine.run(inputs)
            figures.append((time.process_time() - begun) / runs / STAGES * 1e6)
    return [statistics.median(figures) for figures in found]
