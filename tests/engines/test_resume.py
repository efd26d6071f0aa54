from __future__ import annotations

import asyncio
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from crash_child import build
from pipeline_helpers import Scripted, events_of, kinds, stages, started

from hagane._core import Blob
from hagane.engines import PipelineEngine
from hagane.errors import LeaseLost, PipelineError, UnknownRun, UnknownStage
from hagane.hitl import InterruptSignal
from hagane.rollback import MemoryStore, RollbackController, SqliteStore, Store
from hagane.validation import QualityGate

CHILD = Path(__file__).with_name("crash_child.py")
STAGES = ["load", "analyse", "check", "report"]


class Killed:
    """A run in another process that is killed again and again until it gets through."""

    def __init__(self, folder: Path) -> None:
        self.database = str(folder / "runs.db")
        self.log = folder / "log"
        self.log.touch()

    def start(self) -> subprocess.Popen[str]:
        arguments = [sys.executable, str(CHILD), self.database, str(self.log)]
        child = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        return child

    def kill_after(self, seconds: float) -> bool:
        """Whether the process died before it was done."""
        with self.start() as child:
            time.sleep(seconds)
            child.send_signal(signal.SIGKILL)
            return child.wait() != 0

    def finish(self) -> str:
        with self.start() as child:
            assert child.stdout is not None
            return child.stdout.read().strip()

    def accepted(self) -> list[str]:
        """The stages that a resume may not repeat, as the store has them."""
        store = SqliteStore(self.database)
        try:
            head = store.head("t")
            state = store.load(head.checkpoint) if head.checkpoint is not None else {}
        except UnknownRun:
            return []
        finally:
            store.close()
        return [key.removeprefix("results:") for key in state if key.startswith("results:")]

    def begun(self) -> list[str]:
        return [line.split()[0] for line in self.log.read_text().splitlines()]


@pytest.mark.parametrize("point", range(20))
def test_a_run_killed_at_a_random_point_goes_on_and_repeats_no_accepted_stage(point: int, tmp_path: Path) -> None:
    seconds = random.Random(point)
    killed = Killed(tmp_path)
    for _ in range(2):
        if not killed.kill_after(seconds.uniform(0, 0.2)):
            break
        kept, before = killed.accepted(), len(killed.begun())
        if not killed.kill_after(seconds.uniform(0, 0.2)):
            break
        repeated = set(kept) & set(killed.begun()[before:])
        # The gate of `check` rolls back to `check` itself, so nothing that was accepted before is run on purpose.
        assert not repeated
    kept, before = killed.accepted(), len(killed.begun())
    assert killed.finish() == "success"
    assert not set(kept) & set(killed.begun()[before:])
    _assert_whole(killed)


def _assert_whole(killed: Killed) -> None:
    store = SqliteStore(killed.database)
    head = store.head("t")
    sequence = [seq for seq, *_ in store.events(head.run.run_id)]
    store.close()
    assert head.run.status == "success"
    assert killed.accepted() == STAGES
    assert sequence == list(range(1, len(sequence) + 1))


def test_the_child_runs_every_stage_when_nobody_kills_it(tmp_path: Path) -> None:
    killed = Killed(tmp_path)
    assert killed.finish() == "success"
    assert killed.begun() == ["load", "analyse", "analyse", "check", "check", "report"]
    assert killed.finish() == "success"
    assert len(killed.begun()) == 6


def test_two_processes_share_one_file(tmp_path: Path) -> None:
    database = str(tmp_path / "runs.db")
    first = Killed(tmp_path)
    with first.start() as child:
        engine = build(database, str(tmp_path / "other"))
        for number in range(5):
            assert engine.run_sync({"x": number}, f"mine-{number}")["status"] == "success"
        assert child.stdout is not None
        assert child.stdout.read().strip() == "success"
    store = SqliteStore(database)
    assert {run.status for run in store.runs()} == {"success"}
    assert len(store.runs()) == 6
    store.close()


@pytest.fixture(params=["memory", "sqlite"])
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return MemoryStore() if request.param == "memory" else SqliteStore(tmp_path / "runs.db")


async def test_a_failed_run_resumes_at_the_stage_that_failed(kept: Store) -> None:
    first, second = Scripted({"x": 1}), Scripted(ValueError("1"), ValueError("1"), {"y": 2})
    engine = PipelineEngine(stages(a=first, b=second), checkpoint_store=kept)
    assert (await engine.run({"in": 1}, "t"))["status"] == "failed"
    resumed = [event async for event in engine.resume_stream("t")]
    assert kinds(resumed)[0] == "resumed"
    assert started(resumed) == [("b", 3)]
    assert resumed[-1]["result"]["results"] == {"a": {"x": 1}, "b": {"y": 2}}
    assert (len(first.given), second.given[2]["in"]) == (1, 1)


async def test_sequence_numbers_go_on_over_a_resume(kept: Store) -> None:
    agent = Scripted(ValueError("1"), ValueError("1"), {"y": 2})
    engine = PipelineEngine(stages(a=agent), checkpoint_store=kept)
    result = await engine.run({}, "t")
    await engine.resume("t")
    sequence = [event["seq"] for event in engine.history(result["run_id"])]
    assert sequence == list(range(1, len(sequence) + 1))


async def test_a_run_that_ended_gives_its_result_again_and_runs_nothing(kept: Store) -> None:
    agent = Scripted({"x": 1})
    engine = PipelineEngine(
        stages(a=agent), checkpoint_store=kept, report_generator=lambda results: {"n": len(results)}
    )
    result = await engine.run({}, "t")
    assert await engine.resume("t") == result
    assert len(agent.given) == 1


async def test_a_rejected_run_stays_rejected(kept: Store) -> None:
    gate = QualityGate("g", lambda r: False, "abort")
    engine = PipelineEngine(stages(a=lambda i: {}), quality_gates=[gate], checkpoint_store=kept)
    result = await engine.run({}, "t")
    again = await engine.resume("t")
    assert again == result
    assert again["status"] == "rejected"


async def test_an_escalated_run_shows_its_request_instead_of_going_on(kept: Store) -> None:
    gate = QualityGate("accuracy", lambda r: r["accuracy"] >= 75, "escalate")
    agent = Scripted({"accuracy": 10}, {"accuracy": 90})
    engine = PipelineEngine(stages(a=agent), quality_gates=[gate], checkpoint_store=kept)
    with pytest.raises(InterruptSignal):
        await engine.run({}, "t")
    with pytest.raises(PipelineError, match="awaits a human's decision: stage 'a', gate 'accuracy'"):
        await engine.resume("t")
    RollbackController(engine, "t").retry_with_feedback("use the 2024 figures")
    result = await engine.resume("t")
    assert result["status"] == "success"
    assert (agent.given[1]["_feedback"]["source"], agent.given[1]["_feedback"]["message"]) == (
        "human",
        "use the 2024 figures",
    )


async def test_rollback_to_drops_later_outputs_and_is_idempotent(kept: Store) -> None:
    agents = {name: Scripted({name: 1}) for name in "abc"}
    engine = PipelineEngine(stages(**agents), checkpoint_store=kept)
    result = await engine.run({}, "t")
    controller = RollbackController(engine, "t")
    controller.rollback_to("b", {"wrong": "sums"})
    controller.rollback_to("b", {"wrong": "sums"})
    resumed = [event async for event in engine.resume_stream("t")]
    assert started(resumed) == [("b", 2), ("c", 2)]
    assert agents["b"].given[1]["_feedback"]["previous_output"] == {"wrong": "sums"}
    assert "c" not in agents["b"].given[1]
    history = engine.history(result["run_id"])
    assert kinds(history, "rollback", "run_completed") == ["run_completed", "rollback", "rollback", "run_completed"]


async def test_an_engine_that_never_ran_can_send_a_stored_run_back(kept: Store) -> None:
    await PipelineEngine(stages(a=Scripted({}), b=Scripted({})), checkpoint_store=kept).run({}, "t")
    other = PipelineEngine(stages(a=Scripted({}), b=Scripted({})), checkpoint_store=kept)
    RollbackController(other, "t").rollback_to("b")
    assert started([event async for event in other.resume_stream("t")]) == [("b", 2)]


async def test_rollback_to_a_stage_that_has_not_run_is_an_error(kept: Store) -> None:
    engine = PipelineEngine(stages(a=Scripted(ValueError("x")), b=lambda i: {}), checkpoint_store=kept)
    await engine.run({}, "t")
    controller = RollbackController(engine, "t")
    for name in ("b", "nowhere"):
        with pytest.raises(UnknownStage, match=name):
            controller.rollback_to(name)
    with pytest.raises(UnknownRun):
        RollbackController(engine, "other").rollback_to("a")


async def test_another_pipeline_cannot_go_on_with_the_run(kept: Store) -> None:
    await PipelineEngine(stages(a=Scripted(ValueError("x"))), checkpoint_store=kept).run({}, "t")
    other = PipelineEngine(stages(z=lambda i: {}), checkpoint_store=kept)
    with pytest.raises(PipelineError, match="other stages or gates"):
        await other.resume("t")


async def test_resume_needs_a_store_a_known_thread_and_no_needless_command(kept: Store) -> None:
    with pytest.raises(PipelineError, match="checkpoint store"):
        await PipelineEngine(stages(a=len)).resume("t")
    engine = PipelineEngine(stages(a=len), checkpoint_store=kept)
    with pytest.raises(UnknownRun, match="nobody"):
        await engine.resume("nobody")
    await PipelineEngine(stages(a=Scripted(ValueError("x"))), checkpoint_store=kept).run({}, "t")
    with pytest.raises(PipelineError, match="awaits no decision"):
        await PipelineEngine(stages(a=len), checkpoint_store=kept).resume("t", "approve")


async def test_a_run_that_was_taken_over_writes_nothing_more(kept: Store) -> None:
    engine = PipelineEngine(stages(a=lambda i: {}, b=lambda i: {}), checkpoint_store=kept)

    async def steal(inputs: dict[str, Any]) -> dict[str, Any]:
        kept.adopt("t")
        return {}

    stolen = PipelineEngine(stages(a=steal, b=lambda i: {}), checkpoint_store=kept)
    with pytest.raises(LeaseLost, match="taken over"):
        await stolen.run({}, "t")
    events = [event async for event in engine.resume_stream("t")]
    assert started(events) == [("a", 2), ("b", 1)]


async def test_a_dead_process_whose_last_write_comes_late_does_not_hinder_a_resume(kept: Store) -> None:
    async def steal(inputs: dict[str, Any]) -> dict[str, Any]:
        kept.adopt("t")
        return {}

    with pytest.raises(LeaseLost):
        await PipelineEngine(stages(a=steal, b=lambda i: {}), checkpoint_store=kept).run({}, "t")
    engine = PipelineEngine(stages(a=lambda i: {}, b=lambda i: {}), checkpoint_store=kept)
    before = await engine._find("t")
    head = kept.adopt("t")
    assert head.checkpoint is not None
    late = (head.last_seq + 1, "checkpoint", 1, Blob({"stage": "z"}))
    names = {"thread_id": "t", "run_id": head.run.run_id, "label": "late"}
    kept.commit(
        **names, epoch=head.epoch, status="running", at=1, events=[late], state=list(kept.load(head.checkpoint).items())
    )

    async def looked_too_early(thread_id: str) -> Any:
        return before

    engine._find = looked_too_early  # type: ignore[method-assign]
    assert (await engine.resume("t"))["status"] == "success"
    with pytest.raises(PipelineError, match="by somebody else"):
        await engine.resume("t")
    assert kept.lease("t") is None
    sequence = [event["seq"] for event in engine.history(head.run.run_id)]
    assert sequence == list(range(1, len(sequence) + 1))


async def test_what_a_listener_hears_is_stored_before(sqlite: SqliteStore) -> None:
    engine = PipelineEngine(stages(a=lambda i: {}, b=lambda i: {}), checkpoint_store=sqlite)
    async for event in engine.run_stream({}, "t"):
        assert event["seq"] <= sqlite.head("t").last_seq


async def test_checkpoints_share_what_did_not_change(sqlite: SqliteStore) -> None:
    big = {"x": list(range(1000))}
    engine = PipelineEngine(stages(a=lambda i: big, b=lambda i: {}, c=lambda i: {}), checkpoint_store=sqlite)
    await events_of(engine, {}, "t")
    checkpoint = sqlite.head("t").checkpoint
    assert checkpoint is not None
    first, last = sqlite.load(checkpoint - 1), sqlite.load(checkpoint)
    assert first["results:a"].address == last["results:a"].address


@pytest.mark.parametrize("turns", range(0, 60, 4))
async def test_a_run_cancelled_at_any_moment_can_be_resumed(turns: int, tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "runs.db")
    agents = {name: Scripted({name: 1}) for name in "abc"}
    engine = PipelineEngine(stages(**agents), checkpoint_store=store)
    task = asyncio.create_task(engine.run({}, "t"))
    for _ in range(turns):
        await asyncio.sleep(0.0005)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    try:
        result = await engine.resume("t")
    except UnknownRun:
        assert not any(agent.given for agent in agents.values())
        return
    assert result["status"] == "success"
    events = engine.history(result["run_id"])
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    checkpoints = [event["stage"] for event in events if event["type"] == "checkpoint"]
    assert checkpoints == ["a", "b", "c"]
    store.close()


def test_control_c_is_recorded_and_the_run_goes_on_later(tmp_path: Path) -> None:
    killed = Killed(tmp_path)
    with killed.start() as child:
        while not killed.begun():
            time.sleep(0.002)
        child.send_signal(signal.SIGINT)
        assert child.wait() != 0
    store = SqliteStore(killed.database)
    assert store.head("t").run.status == "cancelled"
    store.close()
    assert killed.finish() == "success"
    _assert_whole(killed)
