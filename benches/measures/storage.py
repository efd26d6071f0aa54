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
        ours, theirs, everything = (Path(folder) / name for name in ("ours", "theirs", "everything"))
        stores = SqliteStore(ours), SqliteStore(everything, keep=None, max_age_seconds=None)
        saver = sqlite_saver(theirs)
        steps = (*map(store_steps, stores), saver_steps(saver))
        reader = SqliteStore(ours)
        messages = conversation(1_000_000)
        for _ in range(STEPS):
            messages.append(message(len(messages)))
            for step in steps:
                step(messages)
            # Somebody who looks at each checkpoint, as a page of runs does.
            reader.load(reader.checkpoints(limit=1)[0].checkpoint)
        for store in (*stores, reader):
            store.close()
        saver.conn.close()
        kept, all_of_them, rival = (path.stat().st_size / 1e6 for path in (ours, everything, theirs))
        what = "1 MB state, 100 steps of +0.6 KB"
        yield Row(f"{what}, the last 50 kept, a reader", kept, None, "", "MB", most=1.4)
        yield Row(f"{what}, all kept", all_of_them, rival, "SqliteSaver", "MB", most=1.4)
        yield eight_processes(folder)


PROCESS = """
import sys, time
sys.path.insert(0, sys.argv[2])
from hagane.rollback import SqliteStore
from measures.commits import store_steps
from measures.states import conversation, message
step, messages = store_steps(SqliteStore(sys.argv[1])), conversation(100_000)
step(messages)
print("ready", flush=True)
sys.stdin.readline()
for number in range(60):
    messages.append(message(len(messages)))
    begun = time.perf_counter()
    step(messages)
    print(time.perf_counter() - begun)
"""


def eight_processes(folder: str) -> Row:
    command = [sys.executable, "-c", PROCESS, str(Path(folder) / "shared"), str(Path(__file__).parents[1])]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    children = [subprocess.Popen(command, **pipes) for _ in range(8)]
    # All eight are at it at the same time.
    for child in children:
        child.stdout.readline()
    for child in children:
        child.stdin.write("go\n")
        child.stdin.flush()
    waits: list[float] = []
    for child in children:
        waits += map(float, child.communicate()[0].split())
        if child.returncode:
            raise SystemExit(f"one of eight processes on one file failed with status {child.returncode}")
    slowest = statistics.quantiles(waits, n=100)[98]
    return Row("8 processes on one SQLite file, slowest 1 % of commits", slowest * 1e3, None, "", "ms", most=100.0)
