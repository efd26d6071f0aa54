"""What may be the name of a SQLite store, and what a file may bring along."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from store_helpers import begin, commit, values

from hagane.errors import StoreCorrupt, StoreError
from hagane.rollback import SqliteStore


@pytest.mark.parametrize("name", ["", ":memory:"])
def test_a_name_that_keeps_nothing_is_refused(name: str) -> None:
    with pytest.raises(StoreError, match="gone when it is closed; name a file; MemoryStore keeps"):
        SqliteStore(name)


@pytest.mark.parametrize("name", ["file:x?mode=memory", "file::memory:", "file:a.db?nolock=1", "file:plain"])
def test_a_name_that_reads_like_an_address_is_the_name_of_a_file(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    store = SqliteStore(name)
    checkpoint = store.checkpoints()
    begin(store, n=1)
    store.close()
    assert checkpoint == []
    assert os.listdir(tmp_path) == [name]
    assert values(SqliteStore(name), 1) == {"n": 1}


@pytest.mark.parametrize(("name", "reason"), [("/dev/null", "no file"), ("a\0b", "holds a NUL"), (".", "no file")])
def test_what_is_no_file_is_said(name: str, reason: str) -> None:
    with pytest.raises(StoreError, match=reason) as refused:
        SqliteStore(name)
    assert not isinstance(refused.value, StoreCorrupt)


ENDLESS = (
    "WITH RECURSIVE r(key, value) AS (SELECT 'schema', 2 UNION ALL SELECT key || 'x', 2 FROM r) "
    "SELECT key, value FROM r WHERE value = 3"
)


@pytest.fixture
def raw(tmp_path: Path) -> sqlite3.Connection:
    """A store's file with one checkpoint, for somebody who does what he likes with it."""
    store = SqliteStore(tmp_path / "a.db")
    begin(store, amount=1)
    store.close()
    return sqlite3.connect(tmp_path / "a.db", isolation_level=None)


def test_a_view_in_place_of_a_table_is_not_asked(tmp_path: Path) -> None:
    raw = sqlite3.connect(tmp_path / "a.db")
    raw.execute(f"CREATE VIEW hagane_meta AS {ENDLESS}")
    raw.close()
    # In another process: if it asked, it would never return.
    program = "import sys; from hagane.rollback import SqliteStore; SqliteStore(sys.argv[1])"
    command = [sys.executable, "-c", program, tmp_path / "a.db"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert "StoreCorrupt" in done.stderr
    assert 'it has a view "hagane_meta" that hagane did not make' in done.stderr


@pytest.mark.parametrize(
    ("kind", "statement"),
    [
        ("trigger", "CREATE TRIGGER evil AFTER INSERT ON manifest BEGIN UPDATE manifest SET key = 'evil'; END"),
        ("view", f"CREATE VIEW other AS {ENDLESS}"),
        ("index", "CREATE INDEX evil ON runs(hex(zeroblob(length(run_id) * 100)))"),
        ("index", "CREATE INDEX evil ON runs(run_id) WHERE length(run_id) > 3"),
        ("table", "DROP TABLE counts; CREATE TABLE COUNTS(blob INTEGER PRIMARY KEY, count INTEGER CHECK (count > 0))"),
        ("table", "DROP TABLE counts; CREATE TABLE counts(blob INTEGER PRIMARY KEY, count AS (blob + 1))"),
        ("table", "DROP TABLE counts; CREATE VIRTUAL TABLE counts USING fts5(blob, count)"),
    ],
)
def test_a_schema_that_would_run_code_is_refused(
    raw: sqlite3.Connection, tmp_path: Path, kind: str, statement: str
) -> None:
    raw.executescript(statement)
    raw.close()
    before = (tmp_path / "a.db").read_bytes()
    with pytest.raises(StoreCorrupt, match=rf'it has a {kind} "\w+" that hagane did not make'):
        SqliteStore(tmp_path / "a.db")
    assert (tmp_path / "a.db").read_bytes() == before


def test_a_trigger_that_comes_later_does_not_run(raw: sqlite3.Connection, tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "a.db")
    epoch = store.adopt("t").epoch
    raw.execute("CREATE TRIGGER evil AFTER INSERT ON manifest BEGIN UPDATE manifest SET key = 'evil'; END")
    raw.close()
    checkpoint, _ = commit(store, epoch, 2, amount=2)
    assert values(store, checkpoint) == {"amount": 2}


def test_tables_of_others_and_statistics_do_no_harm(raw: sqlite3.Connection, tmp_path: Path) -> None:
    raw.execute("CREATE TABLE _backup(id INTEGER CHECK (id > 0))")
    raw.execute("CREATE INDEX _backup_id ON _backup(abs(id))")
    raw.execute("ANALYZE")
    raw.close()
    store = SqliteStore(tmp_path / "a.db")
    assert values(store, store.head("t").checkpoint) == {"amount": 1}
