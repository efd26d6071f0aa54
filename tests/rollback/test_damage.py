"""Bits that flip in a SQLite file: an error or what was written, never another state; and what is written again."""

from __future__ import annotations

import contextlib
import random
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from store_helpers import begin, blobs, commit, values

from hagane.errors import HaganeError, StoreCorrupt
from hagane.rollback import SqliteStore

STATES = [{"amount": number, "limit": number + 1} for number in range(1, 9, 2)]


@pytest.fixture
def written(tmp_path: Path) -> Path:
    path = tmp_path / "runs.db"
    store = SqliteStore(path)
    epoch = begin(store, **STATES[0])
    for seq, state in enumerate(STATES[1:], 2):
        commit(store, epoch, seq, **state)
    store.close()
    return path


def page_of(path: Path, table: str) -> int:
    with sqlite3.connect(path) as raw:
        (root,) = raw.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", [table]).fetchone()
    raw.close()
    return int(root)


def wrong(path: Path) -> list[Any]:
    """What a store says that is neither what was written nor an error."""
    found: list[Any] = []
    try:
        store = SqliteStore(path)
    except HaganeError:
        return []
    for number, state in enumerate(STATES, 1):
        with contextlib.suppress(HaganeError):
            found += [] if values(store, number) == state else [(number, values(store, number))]
    try:
        head = store.head("t")
        told = (head.checkpoint, head.epoch, head.run.run_id, head.run.status, head.run.pipeline, head.run.version)
        found += [] if told == (len(STATES), 1, "r", "running", "p", "v") else [told]
    except HaganeError:
        pass
    store.close()
    return found


@pytest.mark.parametrize("table", ["manifest", "checkpoints", "threads", "runs"])
def test_a_bit_that_flips_never_makes_another_state(written: Path, tmp_path: Path, table: str) -> None:
    page, whole, chance = page_of(written, table), written.read_bytes(), random.Random(table)
    used = [at for at in range((page - 1) * 4096, page * 4096) if whole[at]]
    assert wrong(written) == []
    for trial, at in enumerate(chance.sample(used, min(len(used), 120))):
        changed = bytearray(whole)
        changed[at] ^= 1 << chance.randrange(8)
        path = tmp_path / f"{trial}.db"
        path.write_bytes(changed)
        assert wrong(path) == [], f"byte {at - (page - 1) * 4096}"
        path.unlink()


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("UPDATE manifest SET key = 'amouns' WHERE key = 'amount'", "makes up checkpoint 4"),
        ("DELETE FROM manifest WHERE position = 1", "makes up checkpoint 4"),
        ("UPDATE checkpoints SET at = at + 1", "makes up checkpoint 4"),
        ("UPDATE checkpoints SET seal = NULL", "checkpoint 4 has no checksum"),
        ("UPDATE threads SET checkpoint_id = 3", "row of thread .t."),
        ("UPDATE threads SET epoch = 2", "row of thread .t."),
        ("UPDATE runs SET version = 'w'", "row of run .r."),
        ("UPDATE runs SET status = 'success'", "row of run .r."),
    ],
)
def test_a_row_that_does_not_fit_its_checksum_is_damage(written: Path, statement: str, message: str) -> None:
    change(written, statement)
    store = SqliteStore(written)
    with pytest.raises(StoreCorrupt, match=message):
        values(store, store.head("t").checkpoint)


def change(path: Path, statement: str) -> int:
    """Two libraries of SQLite in one process release each other's locks: no store may have the file open."""
    with sqlite3.connect(path) as raw:
        count = raw.execute(statement).rowcount
    raw.close()
    return count


def test_a_write_to_a_thread_whose_row_is_damaged_is_refused(written: Path) -> None:
    change(written, "UPDATE threads SET checkpoint_id = 3")
    store = SqliteStore(written)
    with pytest.raises(StoreCorrupt, match="row of thread"):
        commit(store, 1, 9, n=1)
    with pytest.raises(StoreCorrupt, match="row of thread"):
        store.adopt("t")
    assert len(store.checkpoints()) == len(STATES)


def test_a_damaged_part_is_written_anew_by_whoever_stores_the_same_value(tmp_path: Path) -> None:
    path, long = tmp_path / "runs.db", [f"part {number} " * 60 for number in range(200)]
    store = SqliteStore(path)
    begin(store, long=long)
    store.close()
    assert change(path, "UPDATE blobs SET stored = zeroblob(20)") > 10
    store = SqliteStore(path)
    with pytest.raises(StoreCorrupt):
        values(store, 1)
    begin(store, "s", "u", long=long)
    assert values(store, 2) == values(store, 1) == {"long": long}


def test_a_damaged_part_is_written_anew_for_a_document_too(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    store = SqliteStore(path)
    store.put("c", "t", "k", blobs({"x": "text " * 100})[0][1], at=1)
    store.close()
    change(path, "UPDATE blobs SET stored = zeroblob(20)")
    other = SqliteStore(path)
    other.put("c", "t", "other", blobs({"x": "text " * 100})[0][1], at=1)
    assert [one.blob.value() for one in other.documents("c")] == ["text " * 100] * 2
