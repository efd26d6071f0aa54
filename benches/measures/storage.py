"""How much a run of many checkpoints takes on disk, and how long eight processes wait for one file."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from hagane.rollback import SqliteStore

from .clock import Row
from .commits import saver_steps, sqlite_saver, store_steps
from .states import conversation, message

STEPS = 100


def rows() -> Iterator[Row]:
    with tempfile.TemporaryDirectory() as folder:
        ours, theirs = Path(folder) / "ours", Path(folder) / "theirs"
        store, saver = SqliteStore(ours), sqlite_saver(theirs)
        steps = (store_steps(store), saver_steps(saver))
        messages = conversation(1_000_000)
        for _ in range(STEPS):
            messages.append(message(len(messages)))
            for step in steps:
                step(messages)
        store.close()
        saver.conn.close()
        sizes = [path.stat().st_size / 1e6 for path in (ours, theirs)]
        yield Row("1 MB state, 100 steps of +0.6 KB", sizes[0], sizes[1], "SqliteSaver", "MB", most=1.4)
        yield eight_processes(folder)


PROCESS = """
import sys, time
sys.path.insert(0, sys.argv[2])
from hagane.rollback import SqliteStore
from measures.commits import store_steps
from measures.states import conversation, message
step, messages = store_steps(SqliteStore(sys.argv[1])), conversation(100_000)
for number in range(60):
    messages.append(message(len(messages)))
    begun = time.perf_counter()
    step(messages)
    print(time.perf_counter() - begun)
"""


def eight_processes(folder: str) -> Row:
    command = [sys.executable, "-c", PROCESS, str(Path(folder) / "shared"), str(Path(__file__).parents[1])]
    children = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(8)]
    waits: list[float] = []
    for child in children:
        waits += map(float, child.communicate()[0].split())
        if child.returncode:
            raise SystemExit(f"one of eight processes on one file failed with status {child.returncode}")
    slowest = statistics.quantiles(waits, n=100)[98]
    return Row("8 processes on one SQLite file, slowest 1 % of commits", slowest * 1e3, None, "", "ms", most=100.0)
