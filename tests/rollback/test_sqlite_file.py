"""A SQLite file that is old, damaged or on a full disk."""

from __future__ import annotations

import hashlib
import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from store_helpers import begin, commit, values

from hagane.errors import StoreCorrupt, StoreVersionError
from hagane.rollback import SqliteStore

# Written by the version before this one: run "r" of thread "t", two checkpoints, one of them with what it stored twice.
FORMAT_1 = Path(__file__).parent / "data" / "format-1.sql"


# The version between, which sealed no rows: the same run, two checkpoints and a document.
FORMAT_2 = FORMAT_1.with_name("format-2.sql")


def test_a_file_of_the_second_format_is_brought_up_to_date(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    with sqlite3.connect(path) as raw:
        raw.executescript(FORMAT_2.read_text())
    raw.close()
    store = SqliteStore(path)
    assert values(store, store.head("t").checkpoint) == {"inputs": {"x": (1, 2)}, "a": "long " * 200}
    assert [one.blob.value() for one in store.documents("c")] == [{"kept": 1}]
    commit(store, store.adopt("t").epoch, 3, inputs={"x": (1, 3)})
    store.close()
    with sqlite3.connect(path) as raw:
        assert raw.execute("SELECT checkpoint_id, seal IS NULL FROM checkpoints").fetchall() == [(1, 1), (2, 1), (3, 0)]
    raw.close()
    assert values(SqliteStore(path), 3) == {"inputs": {"x": (1, 3)}}


@pytest.fixture
def old_file(tmp_path: Path) -> Path:
    path = tmp_path / "old.db"
    with sqlite3.connect(path) as raw:
        raw.executescript(FORMAT_1.read_text())
    raw.close()
    return path


def test_a_file_of_the_format_before_is_brought_up_to_date(old_file: Path) -> None:
    store = SqliteStore(old_file)
    head = store.head("t")
    assert (head.run.run_id, head.run.status, head.epoch, head.last_seq) == ("r", "escalated", 3, 2)
    assert values(store, head.checkpoint) == {"inputs": {"x": (1, 2)}, "plan": b"\x93\x01", "a": "long " * 200}
    assert values(store, 1) == {"inputs": {"x": (1, 2)}}
    assert [kind for _, kind, _, _ in store.events("r")] == ["run_started", "escalated"]
    assert [one.label for one in store.checkpoints("t")] == ["before b", "before a"]
    epoch = store.adopt("t").epoch
    commit(store, epoch, 3, inputs={"x": (1, 2)}, a="long " * 200)
    store.prune(at=0, keep=1, max_age_seconds=None)
    assert values(store, store.head("t").checkpoint)["a"] == "long " * 200
    assert store.usage().blobs == 2
    store.close()
    assert values(SqliteStore(old_file), 3)["inputs"] == {"x": (1, 2)}


def test_two_that_open_an_old_file_together_upgrade_it_once(old_file: Path) -> None:
    program = "import sys; from hagane.rollback import SqliteStore; print(len(SqliteStore(sys.argv[1]).checkpoints()))"
    children = [
        subprocess.Popen([sys.executable, "-c", program, str(old_file)], stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    assert [child.communicate(timeout=60)[0] for child in children] == ["2\n"] * 4


def filled(path: Path) -> int:
    """A closed store with a state of many pages; returns the checkpoint."""
    store = SqliteStore(path)
    epoch = begin(store, n=0)
    checkpoint, _ = commit(store, epoch, 2, log=[f"{number} {os.urandom(300).hex()}" for number in range(500)])
    store.close()
    assert checkpoint is not None
    return checkpoint


def test_a_corrupt_page_is_a_clear_error_and_the_file_is_left_alone(tmp_path: Path) -> None:
    whole = tmp_path / "whole.db"
    checkpoint = filled(whole)
    expected, said = values(SqliteStore(whole), checkpoint), []
    pages = whole.stat().st_size // 4096
    for page in range(1, pages, pages // 25):
        path = tmp_path / f"{page}.db"
        content = bytearray(whole.read_bytes())
        content[page * 4096 : (page + 1) * 4096] = os.urandom(4096)
        path.write_bytes(content)
        try:
            # A page of something else may be the broken one; then the state must be right.
            assert values(SqliteStore(path), checkpoint) == expected
        except StoreCorrupt as error:
            said.append(str(error))
        assert hashlib.sha256(path.read_bytes()).digest() == hashlib.sha256(content).digest()
    assert len(said) > 15
    assert all("damaged" in one for one in said)


def test_rows_of_a_newer_format_are_refused_and_others_read(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    checkpoint = filled(path)
    with sqlite3.connect(path) as raw:
        raw.execute("UPDATE checkpoints SET format = 4 WHERE checkpoint_id = ?", [checkpoint])
    raw.close()
    store = SqliteStore(path)
    with pytest.raises(StoreVersionError, match="format 4"):
        store.load(checkpoint)
    assert values(store, 1) == {"n": 0}
    with sqlite3.connect(path) as raw:
        raw.execute("UPDATE runs SET format = 4")
    raw.close()
    with pytest.raises(StoreVersionError, match="upgrade hagane"):
        store.head("t")


FULL = """
import sys
sys.path.insert(0, sys.argv[2])
import os
from hagane.errors import StoreError
from hagane.rollback import SqliteStore
from store_helpers import begin, commit, values
path = sys.argv[1] + "/runs.db"
store = SqliteStore(path)
epoch, done = begin(store, n=0), 1
try:
    while True:
        commit(store, epoch, done + 1, n=done, noise=os.urandom(20_000))
        done += 1
except StoreError as error:
    print(error)
head = store.head("t")
found = values(store, head.checkpoint)
print(found["n"] == done - 1, head.last_seq == done, done > 3)
for checkpoint in store.checkpoints("t")[1:]:
    values(store, checkpoint.checkpoint)
os.system("mount -o remount,size=20m none " + sys.argv[1])
commit(store, epoch, done + 1, n=done)
store.close()
again = SqliteStore(path)
print(values(again, again.head("t").checkpoint)["n"] == done)
"""


@pytest.mark.skipif(shutil.which("unshare") is None, reason="needs unshare (util-linux)")
def test_a_full_disk_is_a_clear_error_and_nothing_is_half_written(tmp_path: Path) -> None:
    script = 'mount -t tmpfs -o size=700k none "$1" && exec "$0" -c "$2" "$1" "$3"'
    spaces = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--user", "--map-root-user", "--mount"]
    command = [*spaces, "sh", "-c", script, sys.executable, str(tmp_path), FULL, str(Path(__file__).parent)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.stderr == ""
    message, *checks = done.stdout.splitlines()
    assert "database or disk is full; free space on the disk" in message
    assert checks == ["True True True", "True"]
