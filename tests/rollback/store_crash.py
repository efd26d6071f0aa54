"""Kills writers of a store (SIGKILL) and looks at what is left: a program, so that it can fork often and cheaply.

Each trial forks a writer that goes on with one thread's run, kills it at a random moment or at a failpoint, and
compares the store with what the writer had been told was written. A random moment is a random number of acknowledged
commits and a random part of the next step after it, so that kills fall on the whole life of a writer however fast the
store is. Several workers go on side by side, each with a thread of its own (SQLite: a file of its own, so that nobody
but the killed writer has it open and the next one has to recover it). Prints a JSON summary.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import signal
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from forked import Life, Pace, Served, side_by_side
from store_helpers import begin, commit, values

from hagane import _core
from hagane.errors import LeaseLost, UnknownRun
from hagane.rollback import Claim, PostgresStore, SqliteStore, Store

KEEP = 4
# On PostgreSQL a commit is one call of a function: the others are passed within the server.
SERVER_SIDE = {"commit.held", "commit.events", "commit.blobs", "commit.manifest"}


class Fault(Exception):
    """Something that was promised does not hold."""


def open_store(place: str) -> Store:
    if "|" in place:
        url, schema = place.split("|")
        return PostgresStore(url, schema=schema, keep=KEEP)
    return SqliteStore(place, keep=KEEP)


def state(number: int) -> dict[str, Any]:
    """A state of the step `number`: long enough to be cut into parts, and mostly that of the step before."""
    log = [f"entry {entry} " * 40 for entry in range(number - number % 60, number + 1)]
    return {"n": number, "log": log, "whole": {"log": [*log, "end"], "n": number}}


def write(place: str, thread: str, told: int, failpoint: str | None, hits: int) -> None:
    """Goes on for ever; tells what it found and then every number that was acknowledged."""
    store, run = open_store(place), f"run of {thread}"
    try:
        head = store.adopt(thread, Claim("writer", 3600.0))
        epoch, seq = head.epoch, head.last_seq
        number = values(store, head.checkpoint)["n"]
    except UnknownRun:
        epoch, seq, number = begin(store, run, thread, n=0), 1, 0
    os.write(told, number.to_bytes(8, "big"))
    if failpoint is not None:
        _core._arm_failpoint(failpoint, hits)
        if failpoint == "begin.started":
            begin(store, f"{thread} {number} {time.time_ns()}", f"{thread} began", n=0)
    while True:
        number, seq = number + 1, seq + 1
        commit(store, epoch, seq, run=run, thread=thread, **state(number))
        os.write(told, number.to_bytes(8, "big"))
        if failpoint == "prune.removed":
            store.prune(at=0, keep=2, max_age_seconds=None, thread_id=thread)


class Worker:
    """One thread's run through many writers' deaths."""

    def __init__(self, place: str, number: int, seed: int) -> None:
        self.place, self.thread = place_of(place, number), f"t{number}"
        self.seed = f"{seed}/{number}"
        self.random, self.pace = random.Random(self.seed), Pace()
        self.checker = Served(lambda: Checker(self.place, self.thread))
        self.stored: int = self.checker.ask("found")
        self.counts = {"random": 0, "working": 0, "at failpoints": 0}

    def trials(self, plan: list[str | None]) -> dict[str, int]:
        for number, failpoint in enumerate(plan):
            story: dict[str, Any] = {"seed": self.seed, "trial": number, "failpoint": failpoint}
            story["stored before"] = self.stored
            try:
                told = self.at(failpoint, story) if failpoint else self.at_random(story)
                self.stored = self.checker.ask("check", told, self.stored)
            except Exception as error:
                raise Fault(json.dumps(story)) from error
        self.checker.ask("fenced")
        return {**self.counts, "stored": self.stored}

    def live(self, failpoint: str | None = None, hits: int = 0) -> Life:
        return Life(lambda told: write(self.place, self.thread, told, failpoint, hits), 8)

    def at_random(self, story: dict[str, Any]) -> list[int]:
        words = self.random.choice((0, 0, 1, 1, 1, 2, 2, 3, 4))
        then = self.random.uniform(0, 1.25) * (self.pace.next if words else self.pace.first)
        life = self.live()
        story |= {"pid": life.pid, "killed after words": words, "and seconds": then}
        life.kill(words, then)
        story |= {"code": life.end(), "told": life.told, "times": life.times}
        if story["code"] != -signal.SIGKILL:
            raise Fault("the writer failed before it was killed")
        self.pace.learn(life.times)
        self.counts["random"] += 1
        self.counts["working"] += bool(life.told)
        return life.told

    def at(self, failpoint: str, story: dict[str, Any]) -> list[int]:
        # A run begins once.
        hits = 1 if failpoint == "begin.started" else self.random.randint(1, 3)
        life = self.live(failpoint, hits)
        story |= {"pid": life.pid, "hits": hits}
        story |= {"code": life.end(), "told": life.told, "times": life.times}
        if story["code"] != -signal.SIGKILL:
            raise Fault(f"the writer did not die at {failpoint}")
        self.counts["at failpoints"] += 1
        return life.told


class Checker:
    """Looks at what is stored, in a process of its own. A connection to a server is kept; a file is opened anew for
    every look, so that what a killed writer left of it is recovered every time.
    """

    def __init__(self, place: str, thread: str) -> None:
        self.place, self.thread = place, thread
        self.kept = open_store(place) if "|" in place else None

    @contextlib.contextmanager
    def opened(self) -> Any:
        store = self.kept or open_store(self.place)
        try:
            yield store
        finally:
            if store is not self.kept:
                store.close()

    def found(self) -> int:
        """What an earlier round left; -1 if nothing."""
        with self.opened() as store:
            try:
                return int(values(store, store.head(self.thread).checkpoint)["n"])
            except UnknownRun:
                return -1

    def check(self, told: list[int], before: int) -> int:
        """Compares; returns the number that is stored now. The state must be that of one step, whole.

        The first number that a writer told is what it found. A server may still end what the writer before was killed
        in, after that was looked at; so it is what was stored then or one more.
        """
        if told and not before <= told[0] <= before + 1:
            raise Fault(f"stored was {before}, a writer found {told[0]}")
        if told and told != list(range(told[0], told[0] + len(told))):
            raise Fault(f"the writer told {told}")
        with self.opened() as store:
            return self._check(store, max([before, *told]))

    def _check(self, store: Store, least: int) -> int:
        stored = self.stored(store)
        if stored is None:
            if least >= 0:
                raise Fault(f"nothing is stored, {least} was acknowledged")
            return -1
        number = int(stored["found"]["n"])
        if not least <= number <= least + 1:
            raise Fault(f"stored is {number}, acknowledged was {least}")
        if number and stored["found"] != state(number):
            raise Fault(f"the state of {number} is torn")
        if stored["seqs"] != list(range(1, number + 2)):
            raise Fault(f"the events of {number} have gaps: {stored['seqs']}")
        older = stored["older"]
        if not 1 <= len(older) <= KEEP or older != list(range(number, number - len(older), -1)):
            raise Fault(f"checkpoints of {older} are kept")
        return number

    def stored(self, store: Store) -> dict[str, Any] | None:
        """All there is of the thread at one time: read again if a server has ended a dead writer's commit meanwhile."""
        before = self.head(store)
        while before is not None:
            run, checkpoint, *_ = before
            with contextlib.suppress(UnknownRun):
                seqs = [seq for seq, *_ in store.events(run)]
                older = [values(store, record.checkpoint)["n"] for record in store.checkpoints(self.thread)]
                found = {"found": values(store, checkpoint), "seqs": seqs, "older": older}
                if self.head(store) == before:
                    return found
            after = self.head(store)
            if after == before:
                raise Fault(f"{before} is the head, and what it names is not there")
            before = after
        return None

    def head(self, store: Store) -> tuple[str, int | None, int] | None:
        try:
            head = store.head(self.thread)
        except UnknownRun:
            return None
        return head.run.run_id, head.checkpoint, head.last_seq

    def fenced(self) -> None:
        """Whoever was killed can write no more."""
        with self.opened() as store:
            epoch = store.head(self.thread).epoch
            store.adopt(self.thread)
            try:
                commit(store, epoch, 10**9, run=f"run of {self.thread}", thread=self.thread)
            except LeaseLost:
                return
            raise Fault("a stale writer wrote")


def nothing_left(place: str) -> None:
    """What nothing names is freed."""
    store = open_store(place)
    store.prune(at=0, keep=1, max_age_seconds=None)
    kept, named = store.usage().blobs, parts_named(store)
    store.close()
    if kept != named:
        raise Fault(f"{kept} parts are kept, {named} are named")


def parts_named(store: Store) -> int:
    """How many parts the checkpoints need, found by storing the same states elsewhere."""
    twin = _core.MemoryStore(keep=None)
    for number, record in enumerate(store.checkpoints(limit=10**6)):
        begin(twin, str(number), str(number), **values(store, record.checkpoint))
    return twin.usage().blobs


def place_of(place: str, worker: int) -> str:
    return place if "|" in place or not worker else f"{place}.{worker}"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("place", help="a file, or URL|schema")
    parser.add_argument("--trials", type=int, default=100, help="kills at random moments")
    parser.add_argument("--each", type=int, default=1, help="kills at each failpoint")
    parser.add_argument("--workers", type=int, default=4, help="how many writers live at a time")
    parser.add_argument("--seed", type=int, default=time.time_ns())
    options = parser.parse_args()
    failpoints = _core._failpoints() if hasattr(_core, "_failpoints") else []
    if "|" in options.place:
        failpoints = [name for name in failpoints if name not in SERVER_SIDE]
    plan = [None] * options.trials + failpoints * options.each
    random.Random(options.seed).shuffle(plan)
    numbers = range(min(options.workers, len(plan)))

    def work(number: int) -> dict[str, int]:
        return Worker(options.place, number, options.seed).trials(plan[number :: len(numbers)])

    told = side_by_side([lambda number=number: work(number) for number in numbers])  # type: ignore[misc]
    for place in {place_of(options.place, number) for number in numbers}:
        nothing_left(place)
    total = {name: sum(one[name] for one in told) for name in told[0]}
    print(json.dumps({"seed": options.seed, "kills": len(plan), **total}))


if __name__ == "__main__":
    main()
