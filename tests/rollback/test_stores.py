from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from store_helpers import begin, commit

from hagane._core import Blob, Plan
from hagane.errors import (
    ForkError,
    LeaseLost,
    PipelineError,
    StoreCorrupt,
    StoreError,
    StoreVersionError,
    UnknownRun,
    UnknownStage,
)
from hagane.rollback import SqliteStore, Store


def test_what_was_committed_comes_back(store: Store) -> None:
    epoch = begin(store, inputs={"x": 1})
    checkpoint, size = commit(store, epoch, inputs={"x": 1}, a=(1, 2))
    head = store.head("t")
    assert (head.checkpoint, head.last_seq, head.epoch, head.run.status) == (checkpoint, 2, epoch, "running")
    assert checkpoint is not None
    assert {key: blob.value() for key, blob in store.load(checkpoint).items()} == {"inputs": {"x": 1}, "a": (1, 2)}
    assert size == Blob((1, 2)).size
    assert store.events("r") == [(1, "run_started", 1, {}), (2, "gate", 2, {"gate": "g"})]


def test_runs_are_listed_newest_first(store: Store) -> None:
    begin(store, "r", "t")
    begin(store, "s", "u")
    assert [(run.run_id, run.thread_id, run.status) for run in store.runs()] == [
        ("s", "u", "running"),
        ("r", "t", "running"),
    ]
    assert len(store.runs(1)) == 1
    assert "run_id" in repr(store.runs()[0])


def test_a_stale_writer_gets_lease_lost_and_writes_nothing(store: Store) -> None:
    stale = begin(store)
    fresh = store.adopt("t").epoch
    with pytest.raises(LeaseLost, match="taken over"):
        commit(store, stale, a=1)
    assert store.head("t").last_seq == 1
    commit(store, fresh, a=1)


def test_unknown_names_are_errors(store: Store) -> None:
    for ask in (lambda: store.head("x"), lambda: store.adopt("x"), lambda: store.events("x"), lambda: store.load(99)):
        with pytest.raises(UnknownRun):
            ask()
    epoch = begin(store)
    with pytest.raises(ValueError, match="no status"):
        commit(store, epoch, status="glorious")


def test_a_run_id_is_used_once(store: Store) -> None:
    begin(store)
    with pytest.raises(StoreError, match="r"):
        begin(store)


@pytest.mark.parametrize("content", [b"not a database at all " * 100, b"SQLite format 3\x00" + b"\xff" * 4000])
def test_a_corrupt_file_is_refused_and_left_as_it_is(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "runs.db"
    path.write_bytes(content)
    with pytest.raises(StoreCorrupt, match="left as it is"):
        SqliteStore(path)
    assert path.read_bytes() == content
    assert os.listdir(tmp_path) == ["runs.db"]


def _closed_database(path: Path) -> None:
    store = SqliteStore(path)
    begin(store, inputs="x" * 1000)
    store.close()


def test_a_truncated_file_is_corrupt(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    _closed_database(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 3])
    with pytest.raises(StoreCorrupt):
        SqliteStore(path).head("t")


def test_a_forged_blob_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    _closed_database(path)
    with sqlite3.connect(path) as raw:
        raw.execute("UPDATE blobs SET stored = x'020000a3616263'")
    raw.close()
    store = SqliteStore(path)
    checkpoint = store.head("t").checkpoint
    assert checkpoint is not None
    with pytest.raises(StoreCorrupt, match="does not match its address"):
        store.load(checkpoint)["inputs"].value()


def test_a_blob_of_a_newer_format_says_so(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    _closed_database(path)
    with sqlite3.connect(path) as raw:
        raw.execute("UPDATE blobs SET stored = x'0900c0'")
    raw.close()
    store = SqliteStore(path)
    checkpoint = store.head("t").checkpoint
    assert checkpoint is not None
    with pytest.raises(StoreVersionError, match="upgrade hagane"):
        store.load(checkpoint)["inputs"].value()


def test_a_newer_store_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    _closed_database(path)
    with sqlite3.connect(path) as raw:
        raw.execute("UPDATE hagane_meta SET value = 7")
    raw.close()
    before = path.read_bytes()
    with pytest.raises(StoreVersionError, match="format 7"):
        SqliteStore(path)
    assert path.read_bytes() == before


def test_another_programs_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "notes.db"
    with sqlite3.connect(path) as raw:
        raw.execute("CREATE TABLE notes(x)")
    raw.close()
    with pytest.raises(StoreError, match="another program"):
        SqliteStore(path)


@pytest.mark.parametrize("where", ["missing/runs.db", "."])
def test_a_path_that_cannot_be_written_comes_with_a_remedy(tmp_path: Path, where: str) -> None:
    with pytest.raises(StoreError, match="create its folder, or name a file"):
        SqliteStore(tmp_path / where)


def test_a_closed_store_says_so(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "runs.db")
    store.close()
    store.close()
    with pytest.raises(StoreError, match="closed"):
        store.runs()
    assert repr(store).startswith("SqliteStore(")


FORK = """
import os, sys
from hagane.errors import ForkError
from hagane.rollback import SqliteStore
store = SqliteStore(sys.argv[1])
pid = os.fork()
if pid == 0:
    try:
        store.runs()
    except ForkError as error:
        print(error, flush=True)
    del store
    os._exit(0)
os.waitpid(pid, 0)
print(store.runs())
"""


def test_a_store_does_not_cross_a_fork(tmp_path: Path) -> None:
    command = [sys.executable, "-c", FORK, str(tmp_path / "runs.db")]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert "open it again after the fork" in lines[0]
    assert lines[1] == "[]"
    assert issubclass(ForkError, RuntimeError)


def plan(**changes: Any) -> Plan:
    check = ("gate", ["retry", "escalate"], None, 1, 0)
    return Plan(**{"stages": ["a", "b"], "checks": [check], "final_checks": False, "max_starts": 9, **changes})


def test_the_plan_goes_from_start_to_end() -> None:
    steps = plan()
    assert (steps.begin().kind, steps.position, steps.attempts) == ("run", 0, [1, 0])
    assert steps.judged([]).kind == "accept"
    assert (steps.accepted().stage, steps.judged([0]).kind) == (1, "retry")
    restored = plan(state=bytes(steps.state()))
    assert (restored.begin().attempt, restored.judged([0]).kind, restored.awaiting) == (3, "ask", "output")


def test_faults_of_the_driver_are_errors() -> None:
    with pytest.raises(PipelineError, match="drives the plan"):
        plan().accepted()
    started = plan()
    started.begin()
    with pytest.raises(PipelineError, match="no check number"):
        started.judged([7])
    with pytest.raises(PipelineError, match="at least one stage"):
        plan(stages=[])
    with pytest.raises(PipelineError, match="does not fit"):
        plan(state=b"garbage")
    with pytest.raises(UnknownStage, match="stages are a, b"):
        plan().rollback_to("a")
    with pytest.raises(ValueError, match="explode"):
        plan(checks=[("gate", ["explode"], None, 0, 0)])
