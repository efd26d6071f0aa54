"""Several writers at once: no update is lost, and whoever loses is told.

`make crash` lets 1,000 pairs collide; a test run makes do with 100.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
from pathlib import Path

from store_helpers import Opener, begin, commit, values

from hagane.errors import LeaseHeld, LeaseLost
from hagane.rollback import Claim, Store

INTERLEAVINGS = int(os.environ.get("HAGANE_INTERLEAVINGS", "100"))


class Writer:
    """Takes a thread over, adds one to its number, commits; again and again until it is fenced off."""

    def __init__(self, store: Store, name: str, thread: str, schedule: random.Random) -> None:
        self.store, self.name, self.thread = store, name, thread
        self.pauses = [schedule.random() * 0.004 for _ in range(6)]
        self.acknowledged: list[int] = []
        self.ending = ""

    def run(self, together: threading.Barrier) -> None:
        together.wait()
        try:
            self._write()
        except LeaseLost:
            self.ending = "lost"
        except LeaseHeld:
            self.ending = "held"
        else:
            self.ending = "done"

    def _write(self) -> None:
        pauses = iter(self.pauses)
        threading.Event().wait(next(pauses))
        head = self.store.adopt(self.thread, Claim(self.name, 60.0, "supersede"))
        seq, number = head.last_seq, values(self.store, head.checkpoint)["n"]
        for pause in pauses:
            seq, number = seq + 1, number + 1
            threading.Event().wait(pause)
            commit(self.store, head.epoch, seq, run=self.thread, thread=self.thread, n=number, by=self.name)
            self.acknowledged.append(number)


def test_two_writers_on_one_thread_lose_no_update(opened: Opener) -> None:
    stores = [opened(), opened()]
    schedule = random.Random(4)
    endings = []
    for number in range(INTERLEAVINGS):
        thread = f"t{number}"
        begin(stores[0], thread, thread, n=0)
        writers = [Writer(store, name, thread, schedule) for store, name in zip(stores, "ab", strict=True)]
        together = threading.Barrier(2)
        running = [threading.Thread(target=writer.run, args=(together,)) for writer in writers]
        [one.start() for one in running]  # type: ignore[func-returns-value]
        [one.join() for one in running]  # type: ignore[func-returns-value]
        endings.append({writer.ending for writer in writers})
        head = stores[0].head(thread)
        acknowledged = sorted(one for writer in writers for one in writer.acknowledged)
        # Each number was acknowledged once: nobody built on a state that another had overwritten.
        assert acknowledged == list(range(1, len(acknowledged) + 1))
        assert values(stores[1], head.checkpoint)["n"] == len(acknowledged)
        assert head.last_seq == len(acknowledged) + 1
        assert all(writer.ending == "done" or len(writer.acknowledged) < 5 for writer in writers)
        assert "" not in endings[-1]
    # Had they never met, this would have shown nothing.
    assert {"done", "lost"} in endings


PROCESS = """
import sys, time
sys.path.insert(0, sys.argv[3])
from hagane.rollback import SqliteStore
from store_helpers import begin, commit, values
store, name = SqliteStore(sys.argv[1]), sys.argv[2]
shared = [f"entry {number} " * 50 for number in range(100)]
epoch = begin(store, name, name, shared=shared, n=0)
longest = 0.0
for number in range(1, 26):
    begun = time.perf_counter()
    commit(store, epoch, number + 1, run=name, thread=name, shared=[*shared, str(number)], n=number, by=name)
    longest = max(longest, time.perf_counter() - begun)
print(values(store, store.head(name).checkpoint)["n"], longest)
"""


def test_eight_processes_share_one_file(tmp_path: Path, sqlite_opener: Opener) -> None:
    command = [sys.executable, "-c", PROCESS, str(tmp_path / "runs.db")]
    names = [f"p{number}" for number in range(8)]
    children = [
        subprocess.Popen([*command, name, str(Path(__file__).parent)], stdout=subprocess.PIPE, text=True)
        for name in names
    ]
    ends = [(child.communicate(timeout=120)[0].split()[:1], child.returncode) for child in children]
    assert ends == [(["25"], 0)] * 8
    store = sqlite_opener()
    assert {run.thread_id for run in store.runs()} == set(names)
    for name in names:
        found = values(store, store.head(name).checkpoint)
        assert (found["by"], found["n"], found["shared"][-1]) == (name, 25, "25")
    # The entries that all of them have are there once.
    assert store.usage().blobs < 8 * 26 * 4
    store.close()
