"""A pipeline with everything that a crash can tear: retries, a rollback, effects, compensations, parallel agents."""

from __future__ import annotations

import os
from typing import Any

from hagane.engines import EngineConfig, PipelineEngine, StageConfig, current_stage
from hagane.rollback import Store
from hagane.validation import QualityGate

RESULTS = {
    "load": {"rows": 3, "receipt": "paid", "told": True},
    "analyse": {"analysed": 2},
    "pair": {"pair_0": {"n": 0}, "pair_1": {"n": 1}},
    "report": {"text": "done", "payload": "x" * 3000},
}


class Book:
    """Writes down what really happened outside; a line is there whole or not at all."""

    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)

    def add(self, *words: object) -> None:
        os.write(self._file, (" ".join(map(str, words)) + "\n").encode())


def build(store: Store, book: Book) -> PipelineEngine:
    async def load(inputs: dict[str, Any]) -> dict[str, Any]:
        def pay(key: str) -> str:
            book.add("paid", key)
            return key

        # From here on it is recorded: whatever happens, it is not done again.
        key = await current_stage().effect("pay", pay)
        book.add("told", key)
        return {"rows": 3, "receipt": "paid", "told": "_feedback" in inputs}

    async def analyse(inputs: dict[str, Any]) -> dict[str, Any]:
        # Good only at the second start; a crash may be what makes it start again.
        return {"analysed": 2 if current_stage().attempt >= 2 else 1}

    def numbered(number: int) -> Any:
        async def agent(inputs: dict[str, Any]) -> dict[str, Any]:
            return {"n": number}

        return agent

    async def report(inputs: dict[str, Any]) -> dict[str, Any]:
        # Good only after a rollback to `load`.
        return {"text": "done" if inputs["told"] else "draft", "payload": "x" * 3000}

    def undo(record: dict[str, Any]) -> None:
        book.add("undone", record["stage"], record["idempotency_key"])

    return PipelineEngine(
        [
            StageConfig("load", load, compensate=undo),
            StageConfig("analyse", analyse),
            StageConfig("pair", agents=[numbered(0), numbered(1)], parallel=True),
            StageConfig("report", report),
        ],
        quality_gates=[
            QualityGate("twice", lambda r: r["analysed"] == 2, stages=["analyse"]),
            QualityGate("final", lambda r: r["text"] == "done", "rollback", rollback_to="load", max_rollbacks=3),
        ],
        config=EngineConfig(name="crash", lease_seconds=30, backoff_seconds=0),
        checkpoint_store=store,
    )
