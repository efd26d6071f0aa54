"""A program whose pipelines do a known amount of everything that the dashboard's row of pipelines shows.

    python known_pipelines.py PORT DATABASE GO

Serves /metrics with every series at 0, waits for the file GO, works, and prints `done: ` and as JSON how many bytes it
stored.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any

from hagane.engines import EngineConfig, PipelineEngine, StageConfig
from hagane.hitl import InterruptSignal
from hagane.observability import serve_metrics
from hagane.rollback import SqliteStore
from hagane.validation import QualityGate

RUNS = 3
# What the panels must show of it, by the labels that a panel tells apart.
RETRIES = {("known", "draft"): 2.0 * RUNS, ("known", "check"): 0.0, ("waits", "ask"): 0.0}
ROLLBACKS = {("known", "draft"): 1.0 * RUNS, ("known", "check"): 0.0, ("waits", "ask"): 0.0}
VERDICTS = {
    ("known", "complete", "passed"): 2.0 * RUNS,
    ("known", "complete", "failed"): 2.0 * RUNS,
    ("known", "complete", "error"): 0.0,
    ("known", "true", "passed"): 1.0 * RUNS,
    ("known", "true", "failed"): 1.0 * RUNS,
    ("known", "true", "error"): 0.0,
    ("waits", "person", "failed"): 4.0,
    ("waits", "person", "passed"): 0.0,
    ("waits", "person", "error"): 0.0,
}
# Four ask, one is decided.
WAITING = {("waits",): 3.0}


def known(store: SqliteStore) -> PipelineEngine:
    """Each run: `draft` is refused twice, then `check` once, which goes back to `draft`."""
    seen: dict[str, int] = {}

    async def count(inputs: dict[str, Any], name: str) -> int:
        place = f"{inputs['run']} {name}"
        seen[place] = seen.get(place, 0) + 1
        return seen[place]

    async def draft(inputs: dict[str, Any]) -> dict[str, Any]:
        return {"drafts": await count(inputs, "draft"), "text": f"run {inputs['run']} " * 200}

    async def check(inputs: dict[str, Any]) -> dict[str, Any]:
        return {"checks": await count(inputs, "check")}

    gates = [
        QualityGate("complete", lambda r: r["drafts"] >= 3, stages=["draft"]),
        QualityGate("true", lambda r: r["checks"] >= 2, "rollback", stages=["check"]),
    ]
    stages = [StageConfig("draft", draft), StageConfig("check", check)]
    return PipelineEngine(stages, quality_gates=gates, config=EngineConfig(name="known"), checkpoint_store=store)


def waiting(store: SqliteStore) -> PipelineEngine:
    gate = QualityGate("person", lambda r: False, "escalate", stages=["ask"])
    stages = [StageConfig("ask", lambda inputs: {"asked": True})]
    return PipelineEngine(stages, quality_gates=[gate], config=EngineConfig(name="waits"), checkpoint_store=store)


async def work(done: PipelineEngine, asks: PipelineEngine) -> None:
    for number in range(RUNS):
        assert (await done.run({"run": number}, f"known {number}"))["status"] == "success"
    for number in range(4):
        try:
            await asks.run({}, f"waits {number}")
        except InterruptSignal:
            continue
    assert (await asks.resume("waits 0", "approve"))["status"] == "success"


def main(port: int, database: str, go: str) -> None:
    store = SqliteStore(database)
    done, asks = known(store), waiting(store)
    with serve_metrics(port, "127.0.0.1") as server:
        print(f"metrics: {server.url}", flush=True)
        while not Path(go).exists():
            time.sleep(0.1)
        asyncio.run(work(done, asks))
        print(f"done: {json.dumps({'blob_bytes': store.usage().blob_bytes})}", flush=True)
        time.sleep(3600)


if __name__ == "__main__":
    main(int(sys.argv[1]), *sys.argv[2:])
