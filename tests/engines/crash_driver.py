"""Kills a running pipeline again and again, and lets another process go on with it; sees that nothing is lost.

    python crash_driver.py STORE FOLDER {points|random} COUNT SEED

STORE is `sqlite`, or a PostgreSQL URL with `#` and a schema. `points` kills once at each of COUNT steps that the engine
takes (0: at all of them), `random` COUNT times at a random moment. Prints what it did as JSON; exits with 1 at the
first fault.

This process never opens a store: it forks one child per life of the pipeline and one to look at what is stored.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from crash_pipeline import RESULTS, Book, build

from hagane.engines import journal as journal_module
from hagane.engines import ledger as ledger_module
from hagane.engines import stage as stage_module
from hagane.errors import UnknownRun
from hagane.rollback import SqliteStore, Store


class Steps:
    """Counts the steps of the engine in this process and dies at one of them."""

    def __init__(self, fatal: int) -> None:
        self.count = 0
        self.fatal = fatal

    def step(self) -> None:
        self.count += 1
        if self.count == self.fatal:
            os.kill(os.getpid(), signal.SIGKILL)

    def around(self, owner: Any, name: str) -> None:
        inner = getattr(owner, name)
        asynchronous = asyncio.iscoroutinefunction(inner)

        async def stepping_async(*args: Any, **kwargs: Any) -> Any:
            self.step()
            result = await inner(*args, **kwargs)
            self.step()
            return result

        def stepping(*args: Any, **kwargs: Any) -> Any:
            self.step()
            result = inner(*args, **kwargs)
            self.step()
            return result

        setattr(owner, name, stepping_async if asynchronous else stepping)

    def install(self) -> None:
        self.around(journal_module.Journal, "_write")
        self.around(journal_module.Journal, "note")
        self.around(journal_module.Journal, "drain")
        self.around(ledger_module.Ledger, "_record")
        self.around(ledger_module, "call_action")
        self.around(stage_module.Stage, "execute")


def open_store(place: str) -> Store:
    if place.startswith("postgres"):
        from hagane.rollback import PostgresStore

        url, _, schema = place.rpartition("#")
        return PostgresStore(url, schema=schema)
    return SqliteStore(place)


def in_child(work: Callable[[], None]) -> int:
    """Start `work` in a process of its own and give its pid."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        work()
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def outcome(pid: int) -> int:
    """0: done; below 0: killed by that signal; else it failed."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


class Trial:
    """One run of the pipeline, with as many deaths as it takes."""

    def __init__(self, place: str, folder: Path, number: int) -> None:
        folder.mkdir()
        self.place = place if place.startswith("postgres") else str(folder / "runs.db")
        self.thread = f"t{number}"
        self.book = folder / "book"
        self.acknowledged = folder / "acknowledged"
        self.deaths = 0

    def live(self, fatal: int = 0, tell: Path | None = None) -> int:
        """Begin the run or go on with it, until it is done or dies."""

        def work() -> None:
            steps = Steps(fatal)
            store = open_store(self.place)
            engine = build(store, Book(str(self.book)))
            steps.install()
            asyncio.run(self._follow(engine))
            if tell is not None:
                tell.write_text(str(steps.count))

        return in_child(work)

    async def _follow(self, engine: Any) -> None:
        heard = Book(str(self.acknowledged))
        begun = True
        try:
            await engine._find(self.thread)
        except UnknownRun:
            begun = False
        stream = engine.resume_stream(self.thread) if begun else engine.run_stream({"in": 1}, self.thread)
        async for event in stream:
            heard.add(event["seq"], event["type"], event.get("stage"), event.get("effect"))

    def die(self, start: Callable[[], int], after: float | None = None) -> None:
        pid = start()
        if after is not None:
            time.sleep(after)
            os.kill(pid, signal.SIGKILL)
        code = outcome(pid)
        if code == -signal.SIGKILL:
            self.deaths += 1
        else:
            expect(code == 0, f"a life ended with {code}")

    def check(self) -> None:
        """Let it end, then see that everything is there, once."""
        expect(outcome(self.live()) == 0, "the last life failed")
        expect(outcome(in_child(self._look)) == 0, "what is stored is wrong")

    def _look(self) -> None:
        store = open_store(self.place)
        head = store.head(self.thread)
        expect(head.run.status == "success", f"status {head.run.status}")
        events = store.events(head.run.run_id)
        expect([seq for seq, *_ in events] == list(range(1, len(events) + 1)), "events are missing or double")
        expect(head.checkpoint is not None, "no checkpoint")
        state = store.load(head.checkpoint or 0)
        outputs = {key.removeprefix("results:"): blob.value() for key, blob in state.items() if "results:" in key}
        expect(outputs == RESULTS, f"results {outputs}")
        kinds = {seq: (kind, body.get("stage"), body.get("effect")) for seq, kind, _, body in events}
        for line in self.acknowledged.read_text().splitlines():
            seq, kind, stage, effect = line.split()
            told = tuple(str(word) for word in kinds.get(int(seq), ()))
            expect(told == (kind, stage, effect), f"acknowledged {line}, stored {told}")
        repeated(events)
        paid_once(self.book.read_text().splitlines(), events)
        store.close()


def repeated(events: list[Any]) -> None:
    """No stage starts again after its checkpoint, unless a rollback went back before it."""
    names = list(RESULTS)
    accepted: set[str] = set()
    for _, kind, _, body in events:
        stage = body.get("stage")
        if kind == "checkpoint":
            accepted.add(stage)
        elif kind == "rollback":
            accepted -= set(names[names.index(body["to_stage"]) :])
        elif kind == "stage_started":
            expect(stage not in accepted, f"{stage} was accepted and started again")


def paid_once(book: list[str], events: list[Any]) -> None:
    """Effects: every one that is recorded happened; compensated ones once more, under another key."""
    paid = {line.split()[1] for line in book if line.startswith("paid")}
    undone = {line.split()[2] for line in book if line.startswith("undone")}
    recorded = sum(kind == "effect" for _, kind, _, _ in events)
    compensated = sum(kind == "compensation_completed" for _, kind, _, _ in events)
    expect(recorded == compensated + 1 == 2, f"{recorded} effects recorded, {compensated} compensated")
    expect(len(paid) == 2 and len(undone) == 1, f"paid {paid}, undone {undone}")


def expect(fine: bool, otherwise: str) -> None:
    if not fine:
        raise AssertionError(otherwise)


def main(place: str, folder: str, mode: str, count: int, seed: int) -> None:
    root, chance, deaths = Path(folder), random.Random(seed), 0
    whole = Trial(place, root / "whole", 0)
    begun = time.monotonic()
    expect(outcome(whole.live(tell=root / "steps")) == 0, "the run fails even where nobody kills it")
    lasts, steps = time.monotonic() - begun, int((root / "steps").read_text())
    whole.check()
    points = list(range(1, steps + 1))
    if mode == "points" and count:
        points = sorted(chance.sample(points, min(count, steps)))
    for number in range(1, (len(points) if mode == "points" else count) + 1):
        trial = Trial(place, root / str(number), number)
        if mode == "points":
            trial.die(lambda trial=trial, number=number: trial.live(fatal=points[number - 1]))
        else:
            for _ in range(chance.randint(1, 3)):
                trial.die(trial.live, after=chance.uniform(0, lasts))
        trial.check()
        deaths += trial.deaths
    print(
        json.dumps(
            {"mode": mode, "steps": steps, "trials": len(points) if mode == "points" else count, "deaths": deaths}
        )
    )


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5]))
