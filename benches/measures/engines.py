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


class Nothing:
    name = "nothing"

    async def run(self, inputs: dict[str, Any]) -> dict[str, Any]:
        return {}


def rows(agentflow: str | None) -> list[Row]:
    theirs = _engine(agentflow) if agentflow else None
    small, big = {"topic": "steel"}, {"text": [f"line {number} of the document" for number in range(4000)]}
    return [
        _row("no-op stage, small inputs, per stage", small, theirs, 100, least=1.0, most=50.0),
        _row("no-op stage, 100 KB inputs, per stage", big, theirs, 5, least=20.0),
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
    least: float,
    most: float | None = None,
) -> Row:
    makers: list[Callable[[Any], Any]] = [PipelineEngine, *([theirs] if theirs else [])]
    figures = asyncio.run(_measured(makers, inputs, runs))
    rival = figures[1] if theirs else None
    return Row(what, figures[0], rival, "AgentFlow's", unit="us", least=least if theirs else None, most=most)


async def _measured(makers: list[Callable[[Any], Any]], inputs: dict[str, Any], runs: int) -> list[float]:
    """Microseconds of CPU time per stage, the engines in turns."""
    engines = [make([{"name": f"s{number}", "agent": Nothing()} for number in range(STAGES)]) for make in makers]
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
