"""Kills a running pipeline again and again, and lets another process go on with it; sees that nothing is lost.

    python crash_driver.py STORE FOLDER {points|random} COUNT SEED [WORKERS]

STORE is `sqlite`, or a PostgreSQL URL with `#` and a schema. `points` kills once at each of COUNT steps that the engine
takes (0: at all of them), `random` COUNT times at random moments: after a random number of steps and a random part of
the time that a step takes, so that kills fall on the whole life of a pipeline however fast its store is. Several
workers go on side by side. Prints what it did as JSON; exits with 1 at the first fault, and says all that is known of
it.

Neither this process nor a worker ever opens a store: a worker forks one child per life of the pipeline, and keeps one
that looks at what is stored.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "rollback"))

from crash_pipeline import RESULTS, Book, build
from forked import Life, Pace, Served, side_by_side

from hagane.engines import journal as journal_module
from hagane.engines import ledger as ledger_module
from hagane.engines import stage as stage_module
from hagane.errors import UnknownRun
from hagane.rollback import PostgresStore, SqliteStore, Store

# So many runs share a file of SQLite before the next is begun.
RUNS_PER_FILE = 40


class Steps:
    """Tells the steps of the engine in this process and dies at one of them."""

    def __init__(self, told: int, fatal: int) -> None:
        self.count = 0
        self.told = told
        self.fatal = fatal

    def step(self) -> None:
        self.count += 1
        os.write(self.told, b"\1")
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
        self.around_stores()
        self.around(journal_module.Journal, "_write")
        self.around(journal_module.Journal, "note")
        self.around(journal_module.Journal, "drain")
        self.around(ledger_module.Ledger, "_record")
        self.around(ledger_module, "call_action")
        self.around(stage_module.Stage, "execute")

    def around_stores(self) -> None:
        """Step around each call that a journal makes to its store: what should be one transaction must be one call."""
        inner = journal_module.Journal.__init__

        def made(journal: Any, store: Any, *args: Any, **kwargs: Any) -> None:
            inner(journal, store, *args, **kwargs)
            journal.store = Stepping(store, self)

        journal_module.Journal.__init__ = made  # type: ignore[method-assign]


class Stepping:
    """A store that steps before and after it writes."""

    def __init__(self, store: Any, steps: Steps) -> None:
        self._store = store
        for name in ("begin", "commit"):
            setattr(self, name, getattr(store, name))
            steps.around(self, name)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


def open_store(place: str) -> Store:
    if place.startswith("postgres"):
        url, _, schema = place.rpartition("#")
        return PostgresStore(url, schema=schema)
    return SqliteStore(place)


class Trial:
    """One run of the pipeline, with as many deaths as it takes."""

    def __init__(self, place: str, folder: Path, thread: str) -> None:
        folder.mkdir(parents=True)
        self.place, self.folder, self.thread = place, folder, thread
        self.lives: list[dict[str, Any]] = []

    def live(self, fatal: int = 0) -> Life:
        """Begin the run or go on with it, until it is done or dies."""

        def work(told: int) -> None:
            steps = Steps(told, fatal)
            engine = build(open_store(self.place), Book(str(self.folder / "book")))
            steps.install()
            asyncio.run(self._follow(engine))

        return Life(work, 1)

    async def _follow(self, engine: Any) -> None:
        heard = Book(str(self.folder / "acknowledged"))
        begun = True
        try:
            await engine._find(self.thread)
        except UnknownRun:
            begun = False
        stream = engine.resume_stream(self.thread) if begun else engine.run_stream({"in": 1}, self.thread)
        async for event in stream:
            heard.add(event["seq"], event["type"], event.get("stage"), event.get("effect"))

    def ended(self, life: Life, **plan: float) -> bool:
        """Whether a life was killed; it may have ended well before."""
        code = life.end()
        self.lives.append({"pid": life.pid, **plan, "code": code, "steps": len(life.told), "seconds": life.times[-1:]})
        expect(code in (0, -signal.SIGKILL), f"a life ended with {code}")
        return code != 0

    def finish(self) -> Life:
        """Let it end."""
        life = self.live()
        expect(not self.ended(life), "the last life was killed")
        return life

    def known(self) -> dict[str, Any]:
        """All that can be said of it."""
        files = {path.name: path.read_text().splitlines() for path in sorted(self.folder.iterdir())}
        return {"place": self.place, "thread": self.thread, "lives": self.lives, **files}


class Worker:
    """Trials one after the other."""

    def __init__(self, place: str, folder: Path, name: str, steps: int, seed: str) -> None:
        self.place, self.folder, self.name, self.steps = place, folder, name, steps
        self.random, self.pace = random.Random(seed), Pace()
        self.checker = Served(Checker)
        self.deaths = self.kills = 0

    def trials(self, fatal: list[int]) -> dict[str, int]:
        """0 stands for random moments."""
        for number, step in enumerate(fatal):
            trial = self.trial(number)
            try:
                if step:
                    self.at_step(trial, step)
                else:
                    self.at_random(trial)
                self.look(trial)
            except BaseException as fault:
                raise AssertionError(json.dumps(trial.known() | {"stored": self.stored(trial)})) from fault
            shutil.rmtree(trial.folder)
        return {"trials": len(fatal), "kills": self.kills, "deaths": self.deaths}

    def trial(self, number: int) -> Trial:
        place = self.place
        if not place.startswith("postgres"):
            place = str(self.folder / f"{self.name}-{number // RUNS_PER_FILE}.db")
        return Trial(place, self.folder / f"{self.name}-{number}", f"{self.name}-{number}")

    def at_step(self, trial: Trial, step: int) -> None:
        self.kills += 1
        self.deaths += trial.ended(trial.live(fatal=step), fatal=step)

    def at_random(self, trial: Trial) -> None:
        done = 0
        for _ in range(self.random.randint(1, 3)):
            # A life that goes on with a run has the fewer steps before it, the more were taken; it takes some anew.
            steps = self.random.randrange(max(self.steps - done, 8))
            then = self.random.uniform(0, 1.25) * (self.pace.next if steps else self.pace.first)
            life = trial.live()
            life.kill(steps, then)
            self.kills += 1
            self.deaths += trial.ended(life, after_steps=steps, and_seconds=then)
            self.pace.learn(life.times)
            done += len(life.told)

    def look(self, trial: Trial) -> Life:
        """Let it end, then see that everything is there, once."""
        life = trial.finish()
        self.checker.ask("look", trial.place, trial.thread, str(trial.folder))
        return life

    def stored(self, trial: Trial) -> Any:
        try:
            return self.checker.ask("stored", trial.place, trial.thread)
        except AssertionError as error:
            return str(error)


class Checker:
    """Looks at what is stored, in a process of its own. A connection to a server is kept; a file is opened anew for
    every look, so that what a killed process left of it is recovered by those who go on with it.
    """

    def __init__(self) -> None:
        self.kept: tuple[str, Store] | None = None

    def opened(self, place: str) -> Store:
        if self.kept is None or self.kept[0] != place or not place.startswith("postgres"):
            self.kept = (place, open_store(place))
        return self.kept[1]

    def close(self) -> None:
        if self.kept is not None and not self.kept[0].startswith("postgres"):
            self.kept[1].close()

    def stored(self, place: str, thread: str) -> str:
        store = self.opened(place)
        head = store.head(thread)
        told = f"{head!r} {head.run!r} {store.events(head.run.run_id)}"
        self.close()
        return told

    def look(self, place: str, thread: str, folder: str) -> None:
        store = self.opened(place)
        head = store.head(thread)
        expect(head.run.status == "success", f"status {head.run.status}")
        events = store.events(head.run.run_id)
        expect([seq for seq, *_ in events] == list(range(1, len(events) + 1)), "events are missing or double")
        expect(head.checkpoint is not None, "no checkpoint")
        state = store.load(head.checkpoint or 0)
        outputs = {key.removeprefix("results:"): blob.value() for key, blob in state.items() if "results:" in key}
        expect(outputs == RESULTS, f"results {outputs}")
        kinds = {seq: (kind, body.get("stage"), body.get("effect")) for seq, kind, _, body in events}
        for line in Path(folder, "acknowledged").read_text().splitlines():
            seq, kind, stage, effect = line.split()
            told = tuple(str(word) for word in kinds.get(int(seq), ()))
            expect(told == (kind, stage, effect), f"acknowledged {line}, stored {told}")
        repeated(events)
        paid_once(Path(folder, "book").read_text().splitlines(), events)
        self.close()


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
    told: set[str] = set()
    for what, key in (line.split()[:2] for line in book):
        expect(what != "paid" or key not in told, f"{key} was done again although its agent had been told of it")
        if what == "told":
            told.add(key)
    paid = {line.split()[1] for line in book if line.startswith("paid")}
    undone = {line.split()[2] for line in book if line.startswith("undone")}
    recorded = sum(kind == "effect" for _, kind, _, _ in events)
    compensated = sum(kind == "compensation_completed" for _, kind, _, _ in events)
    expect(recorded == compensated + 1 == 2, f"{recorded} effects recorded, {compensated} compensated")
    expect(len(paid) == 2 and len(undone) == 1, f"paid {paid}, undone {undone}")


def expect(fine: bool, otherwise: str) -> None:
    if not fine:
        raise AssertionError(otherwise)


def main(place: str, folder: str, mode: str, count: int, seed: int, workers: int = 4) -> None:
    root = Path(folder)
    whole = Worker(place, root, "whole", 0, "")
    steps = len(whole.look(whole.trial(0)).told)
    fatal = [0] * count
    if mode == "points":
        fatal = sorted(random.Random(seed).sample(range(1, steps + 1), min(count or steps, steps)))

    def work(number: int) -> dict[str, int]:
        worker = Worker(place, root, f"w{number}", steps, f"{seed}/{number}")
        return worker.trials(fatal[number::workers])

    told = side_by_side([lambda number=number: work(number) for number in range(workers)])  # type: ignore[misc]
    total = {name: sum(one[name] for one in told) for name in told[0]}
    print(json.dumps({"mode": mode, "seed": seed, "steps": steps, **total}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], *map(int, sys.argv[4:]))
