"""A database that somebody else holds: waited for, then a clear error, and nothing half-written."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from hagane._core import Blob
from hagane.errors import StoreError
from hagane.rollback import SqliteStore

# In a process of its own: locks on a file are a process's.
HOLDER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.read()
"""


def test_a_database_that_is_held_for_too_long_is_told_and_works_again_afterwards(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    store = SqliteStore(path)
    names = {"thread_id": "t", "run_id": "r", "pipeline": "p", "version": "v"}
    command = [sys.executable, "-c", HOLDER, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        # It is waited for as long as a user's store waits: 30 seconds.
        with pytest.raises(StoreError, match="another process has held it for more than 30 seconds; end that process"):
            store.begin(**names, at=1, events=[], state=[("x", Blob(1))])
        holder.communicate()
    assert store.runs() == []
    store.begin(**names, at=1, events=[], state=[("x", Blob(1))])
    assert [run.run_id for run in store.runs()] == ["r"]
