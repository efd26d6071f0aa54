"""Runs a pipeline, or goes on with it, and writes down every stage that really starts. To be killed."""

from __future__ import annotations

import os
import sys
import time
from typing import Any

from hagane.engines import PipelineEngine
from hagane.errors import UnknownRun
from hagane.rollback import SqliteStore
from hagane.validation import QualityGate


def stage(name: str, log: str, seconds: float) -> Any:
    def work(inputs: dict[str, Any]) -> dict[str, Any]:
        with open(log, "a") as file:
            file.write(f"{name} {inputs.get('_feedback', {}).get('attempt', 0)}\n")
        time.sleep(seconds)
        return {name: len(inputs), "payload": name * 5000, "again": "_feedback" in inputs}

    return work


def build(database: str, log: str, seconds: float = 0.02) -> PipelineEngine:
    names = ["load", "analyse", "check", "report"]
    gates = [
        QualityGate("completeness", lambda r: r["again"], stages=["analyse"]),
        QualityGate("consistency", lambda r: r["again"], "rollback", stages=["check"], rollback_to="check"),
    ]
    stages: list[Any] = [{"name": name, "agent": stage(name, log, seconds)} for name in names]
    return PipelineEngine(stages, quality_gates=gates, checkpoint_store=SqliteStore(database))


def main(database: str, log: str) -> None:
    engine = build(database, log)
    print("ready", flush=True)
    try:
        result = engine.resume_sync("t")
    except UnknownRun:
        result = engine.run_sync({"x": 1}, "t")
    print(result["status"], flush=True)
    os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
