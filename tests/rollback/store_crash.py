"""Kills writers of a store (SIGKILL) and looks at what is left: a program, so that it can fork often and cheaply.

Each trial forks a writer that goes on with one thread's run, kills it at a random moment or at a failpoint, and
compares the store with what the writer had been told was written. Prints a JSON summary.
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

from store_helpers import begin, commit, values

from hagane import _core
from hagane.errors import LeaseLost, UnknownRun
from hagane.rollback import Claim, PostgresStore, SqliteStore, Store

KEEP = 4


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


def write(place: str, told: int, failpoint: str | None, hits: int) -> None:
    """Goes on for ever; tells every number that was acknowledged."""
    store = open_store(place)
    try:
        head = store.adopt("t", Claim("writer", 3600.0))
        epoch, seq = head.epoch, head.last_seq
        number = values(store, head.checkpoint)["n"]
    except UnknownRun:
        epoch, seq, number = begin(store, n=0), 1, 0
    if failpoint is not None:
        _core._arm_failpoint(failpoint, hits)
        if failpoint == "begin.started":
            begin(store, f"r{number}-{time.time_ns()}", "u", n=0)
    while True:
        number, seq = number + 1, seq + 1
        commit(store, epoch, seq, **state(number))
        os.write(told, number.to_bytes(8, "big"))


def trial(place: str, random_: random.Random, failpoint: str | None) -> tuple[int, bool]:
    """One writer's life. Returns the last number it was told, and whether it died by itself."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        with contextlib.suppress(BaseException):
            signal.alarm(60)
            # A run begins once.
            write(place, writing, failpoint, 1 if failpoint == "begin.started" else random_.randint(1, 3))
        os._exit(1)
    os.close(writing)
    by_itself = False
    if failpoint is None:
        # From before the store is open to some commits later.
        time.sleep(random_.uniform(0, 0.15))
        os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    if failpoint is not None:
        by_itself = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
        if not by_itself:
            raise Fault(f"the writer did not die at {failpoint}: status {status}")
    elif not os.WIFSIGNALED(status):
        raise Fault(f"the writer failed before it was killed: status {status}")
    with open(reading, "rb") as told:
        numbers = told.read()
    return int.from_bytes(numbers[-8:], "big") if numbers else -1, by_itself


def check(place: str, acknowledged: int, before: int) -> int:
    """Compares; returns the number that is stored now. The state must be that of one step, whole."""
    store = open_store(place)
    try:
        return _check(store, acknowledged, before)
    finally:
        store.close()


def _check(store: Store, acknowledged: int, before: int) -> int:
    try:
        head = store.head("t")
    except UnknownRun:
        if max(acknowledged, before) >= 0:
            raise Fault(f"nothing is stored, {max(acknowledged, before)} was acknowledged") from None
        return -1
    found = values(store, head.checkpoint)
    number = found["n"]
    least = max(acknowledged, before)
    if not least <= number <= least + 1:
        raise Fault(f"stored is {number}, acknowledged was {least}")
    if number and found != state(number):
        raise Fault(f"the state of {number} is torn")
    events = store.events("r")
    if [seq for seq, *_ in events] != list(range(1, number + 2)):
        raise Fault(f"the events of {number} have gaps")
    for record in store.checkpoints("t"):
        values(store, record.checkpoint)
    return int(number)


def found(place: str) -> int:
    """What an earlier round left; -1 if nothing."""
    store = open_store(place)
    try:
        return int(values(store, store.head("t").checkpoint)["n"])
    except UnknownRun:
        return -1
    finally:
        store.close()


def fenced(place: str) -> None:
    """Whoever was killed can write no more, and what nothing names is freed."""
    store = open_store(place)
    epoch = store.head("t").epoch
    store.adopt("t")
    try:
        commit(store, epoch, 10**9)
    except LeaseLost:
        pass
    else:
        raise Fault("a stale writer wrote")
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


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("place", help="a file, or URL|schema")
    parser.add_argument("--trials", type=int, default=100, help="kills at random moments")
    parser.add_argument("--each", type=int, default=1, help="kills at each failpoint")
    parser.add_argument("--seed", type=int, default=time.time_ns())
    options = parser.parse_args()
    random_ = random.Random(options.seed)
    failpoints = _core._failpoints() if hasattr(_core, "_failpoints") else []
    plan = [None] * options.trials + failpoints * options.each
    random_.shuffle(plan)
    stored, at_failpoints = found(options.place), 0
    for failpoint in plan:
        told, by_itself = trial(options.place, random_, failpoint)
        at_failpoints += by_itself
        try:
            stored = check(options.place, told, stored)
        except Exception as error:
            print(json.dumps({"seed": options.seed, "failpoint": failpoint, "fault": repr(error)}))
            sys.exit(1)
    fenced(options.place)
    print(json.dumps({"seed": options.seed, "kills": len(plan), "at failpoints": at_failpoints, "stored": stored}))


if __name__ == "__main__":
    main()
