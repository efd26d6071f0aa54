"""Promises that no other test would miss: each test here fails if the one line that keeps it is taken away."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from pipeline_helpers import Scripted, events_of, kinds, stages

from hagane.cli import main
from hagane.engines import EngineConfig, PipelineEngine, StageConfig
from hagane.engines.journal import Journal
from hagane.hitl import InterruptSignal, MemoryCheckpointer, interrupt, set_checkpointer
from hagane.rollback import RollbackController, SqliteStore, Store
from hagane.validation import QualityGate

# --- what a review stage is given ---


async def test_for_a_review_stage_the_inputs_win_over_outputs(store: Store | None) -> None:
    reviewer, editor = Scripted({"verdict": "PASS"}), Scripted({})
    writer = Scripted({"topic": "what the writer made of it", "text": "draft"})
    configs = [StageConfig("write", writer), StageConfig("review", reviewer, review=True), StageConfig("edit", editor)]
    engine = PipelineEngine(configs, checkpoint_store=store)
    assert (await engine.run({"topic": "what was asked for"}))["status"] == "success"
    [seen], [later] = reviewer.given, editor.given
    assert seen["topic"] == "what was asked for"
    assert seen["text"] == "draft"
    assert seen["write_result"]["topic"] == "what the writer made of it"
    assert later["topic"] == "what the writer made of it", "for other stages outputs win"


# --- checkpoints that a rollback left behind ---


def going_back(store: Store) -> PipelineEngine:
    checker = Scripted({"good": False}, {"good": True})
    gate = QualityGate("good", lambda r: r["good"], "rollback", stages=["c"], rollback_to="b")
    agents = stages(a=lambda i: {"a": 1}, b=lambda i: {"b": 1}, c=checker)
    return PipelineEngine(agents, quality_gates=[gate], checkpoint_store=store)


def superseded(store: Store) -> list[tuple[str, bool]]:
    return [(one.label, one.superseded) for one in reversed(store.checkpoints("t"))]


async def test_after_a_rollback_later_checkpoints_stay_as_superseded(stored: Store) -> None:
    assert (await going_back(stored).run({}, "t"))["status"] == "success"
    listed = superseded(stored)
    turn = listed.index(("before b, attempt 2", False))
    assert listed[:turn] == [
        ("before a, attempt 1", False),
        ("before b, attempt 1", False),
        ("before c, attempt 1", True),
    ]
    assert not any(left_behind for _, left_behind in listed[turn:])
    newest = stored.head("t").checkpoint
    assert newest == stored.checkpoints("t")[0].checkpoint


async def test_going_back_by_hand_leaves_later_checkpoints_as_superseded(stored: Store) -> None:
    engine = PipelineEngine(stages(**{name: Scripted({name: 1}) for name in "abc"}), checkpoint_store=stored)
    await engine.run({}, "t")
    RollbackController(engine, "t").rollback_to("b")
    await engine.resume("t")
    listed = superseded(stored)
    turn = listed.index(("before b, by hand", False))
    assert [label for label, left_behind in listed[:turn] if not left_behind] == [
        "before a, attempt 1",
        "before b, attempt 1",
    ]
    assert not any(left_behind for _, left_behind in listed[turn:])


async def test_the_command_shows_which_checkpoints_were_left_behind(
    sqlite: SqliteStore, capsys: pytest.CaptureFixture[str]
) -> None:
    await going_back(sqlite).run({}, "t")
    assert main(["checkpoints", "ls", "--db", str(sqlite.path)]) == 0
    marked = [line for line in capsys.readouterr().out.splitlines() if line.endswith("(superseded)")]
    assert len(marked) == 1
    assert "before c, attempt 1" in marked[0]


# --- an interrupt where something is undone ---


async def test_an_interrupt_in_a_compensation_is_no_failure_of_it(store: Store | None) -> None:
    calls: list[str] = []

    async def undo(record: dict[str, Any]) -> None:
        calls.append(record["idempotency_key"])
        if len(calls) == 1:
            set_checkpointer(MemoryCheckpointer())  # the engine keeps questions of agents, not those of compensations
            await interrupt("may the payment be returned?")

    gate = QualityGate("good", lambda r: r["good"], "rollback", stages=["check"], rollback_to="pay")
    checker = Scripted({"good": False}, {"good": True})
    engine = PipelineEngine(
        [StageConfig("pay", Scripted({"paid": 1}), compensate=undo), StageConfig("check", checker)],
        quality_gates=[gate],
        checkpoint_store=store,
        config=EngineConfig(max_retries=3, backoff_seconds=0),
    )
    with pytest.raises(InterruptSignal, match="may the payment be returned"):
        await engine.run({}, "t")
    assert len(calls) == 1, "what waits for a person is not tried again at once"
    if store is None:
        return
    events = engine.history(store.head("t").run.run_id)
    assert kinds(events, "compensation_failed", "compensation_completed") == []
    assert (await engine.resume("t"))["status"] == "success"
    assert len(calls) == 2
    assert len(set(calls)) == 1
    events = engine.history(store.head("t").run.run_id)
    assert kinds(events, "compensation_failed", "compensation_completed") == ["compensation_completed"]


# --- a write that the run's cancellation overtakes ---


class HeldWrite:
    """Holds one write of a journal after it is done, until somebody lets it go."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
        self.written, self.go_on, self.count = threading.Event(), threading.Event(), 0
        inner = Journal._write

        def held(journal: Journal, *args: Any) -> None:
            self.count += 1
            mine = self.count == number
            inner(journal, *args)
            if mine:
                self.written.set()
                assert self.go_on.wait(60)

        monkeypatch.setattr(Journal, "_write", held)


@pytest.mark.parametrize("number", [1, 2, 3])
async def test_a_write_that_ended_although_the_run_was_cancelled_counts(
    sqlite: SqliteStore, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    write = HeldWrite(monkeypatch, number)
    engine = PipelineEngine(
        stages(a=lambda i: {"a": 1}, b=lambda i: {"b": 1}, c=lambda i: {"c": 1}), checkpoint_store=sqlite
    )
    task = asyncio.ensure_future(engine.run({}, "t"))
    assert await asyncio.to_thread(write.written.wait, 60)
    task.cancel()
    for _ in range(5):  # the cancellation is there before the write returns
        await asyncio.sleep(0)
    write.go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    run = sqlite.head("t").run
    events = engine.history(run.run_id)
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert (run.status, kinds(events)[-1]) == ("cancelled", "run_completed")
    assert len(kinds(events, "stage_started")) == number, "nothing is there twice"
    result = await engine.resume("t")
    assert (result["status"], list(result["results"])) == ("success", ["a", "b", "c"])
    events = engine.history(run.run_id)
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))


async def test_a_stream_that_is_cancelled_during_a_write_tells_nothing_that_was_not_stored(
    sqlite: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = HeldWrite(monkeypatch, 2)
    engine = PipelineEngine(stages(a=lambda i: {}, b=lambda i: {}), checkpoint_store=sqlite)
    told: list[dict[str, Any]] = []

    async def listen() -> None:
        async for event in engine.run_stream({}, "t"):
            told.append(event)  # noqa: PERF401  (what was told before the cancellation must be there)

    task = asyncio.ensure_future(listen())
    assert await asyncio.to_thread(write.written.wait, 60)
    stored_by_now = engine.history(sqlite.head("t").run.run_id)
    task.cancel()
    write.go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert 0 < len(told) < len(stored_by_now)
    kept = [(event["seq"], event["type"]) for event in engine.history(sqlite.head("t").run.run_id)]
    assert [(event["seq"], event["type"]) for event in told] == kept[: len(told)]
    assert [seq for seq, _ in kept] == list(range(1, len(kept) + 1))


async def test_events_are_in_the_history_in_the_order_in_which_they_are_told(stored: Store) -> None:
    engine = going_back(stored)
    told = await events_of(engine, {}, "t")
    kept = engine.history(told[0]["run_id"])
    assert [(one["seq"], one["type"]) for one in told] == [(one["seq"], one["type"]) for one in kept]
