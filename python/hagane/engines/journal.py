"""A run's events and checkpoints: what happened goes to the store first and to whoever listens after that."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache, partial
from typing import Any

from hagane import _core
from hagane.engines.environment import Environment
from hagane.engines.events import Event, Note, event_of, is_small, row_of
from hagane.engines.feedback import bounded
from hagane.engines.lease import abandon, patiently, taking
from hagane.engines.progress import Progress
from hagane.errors import PipelineError, StoreError
from hagane.observability import standard

_log = logging.getLogger("hagane.engines")

Prepared = tuple[str, "list[tuple[str, _core.Blob]]", str]


__all__ = ["Journal"]


class Journal:
    """Records the events of one run, and its state beside them.

    Events that `note` takes are unsaved until the next `commit`, which writes them and the state in one transaction.
    `drain` then gives them out, so nobody hears of something that a crash can undo. Without a store they are only kept
    in memory.
    """

    def __init__(
        self,
        store: _core.Store | None,
        environment: Environment,
        *,
        thread_id: str,
        run_id: str,
        pipeline: str,
        version: str,
    ) -> None:
        self.store = store
        self.thread_id = thread_id
        self.run_id = run_id
        self._environment = environment
        self._clock = environment.clock
        self._pipeline = pipeline
        self._version = version
        self._epoch: int | None = None
        # The number of the last event before those that are here.
        self._before = 0
        # All events, of which so many are saved and so many were told: most are never looked at again.
        self._notes: list[Note] = []
        self._saved = 0
        self._told = 0
        self._blobs: dict[str, tuple[Any, _core.Blob]] = {}
        self._turn: asyncio.Lock | None = None
        self._status = "running"
        self._writing = threading.Lock()
        # Called before every commit; raises where the thread is no longer this run's.
        self.fence: Callable[[], None] | None = None
        # With what right the thread is taken at the first commit, and what happens where it is held.
        self.claim: _core.Claim | None = None
        self.on_conflict = "reject"
        # The checkpoint of the last commit; the next commit marks later ones than `supersede_after` as superseded.
        self.checkpoint: int | None = None
        self.supersede_after: int | None = None

    def continue_from(self, last_seq: int, epoch: int | None) -> None:
        """Go on with a run that was adopted, after its last event."""
        self._epoch = epoch
        self._before = last_seq - len(self._notes)

    def take_over(self, former: Journal) -> None:
        """Keep the events of a journal of the same run that wrote before this one; they are not told again."""
        self._notes = former._notes
        self._saved = self._told = len(self._notes)

    @property
    def status(self) -> str:
        """The status that was committed last, "running" before."""
        return self._status

    @property
    def may_wait(self) -> bool:
        """Whether the next commit may wait for another run of the thread to end."""
        return self.on_conflict == "wait" and self.store is not None and self._epoch is None

    @property
    def last_seq(self) -> int:
        """The number of the last event."""
        return self._before + len(self._notes)

    @property
    def history(self) -> list[Event]:
        """Every event of the run that was noted in this process, for somebody who may change it."""
        return self._events(0, len(self._notes))

    def note(self, kind: str, **body: Any) -> None:
        """Take an event down. `body` is cut to what can be stored."""
        self._notes.append((kind, self._clock(), body if is_small(body) else bounded(body), False))

    def note_small(self, kind: str, body: dict[str, Any]) -> None:
        """Do the same for a body that nobody changes and that holds little; it is cut when somebody asks for it."""
        self._notes.append((kind, self._clock(), body, True))

    def note_passed(self, stage: str, attempt: int, seconds: float, fields: tuple[str, ...]) -> None:
        """Take down an output that nobody checks, and that it is valid: two events at one time."""
        at, took = self._clock(), seconds * 1000
        given = {"stage": stage, "attempt": attempt, "duration_ms": took, "verdict": "ok", "fields": fields}
        passed = {"stage": stage, "attempt": attempt, "verdict": "passed", "score": None, "issues": ()}
        self._notes += (("stage_output", at, given, True), ("validation", at, passed, True))

    def _events(self, first: int, end: int) -> list[Event]:
        names = {"run_id": self.run_id, "thread_id": self.thread_id}
        notes = enumerate(self._notes[first:end], self._before + first + 1)
        return [event_of(seq, note, names) for seq, note in notes]

    def unstored(self, kind: str, **body: Any) -> Event:
        """Make an event that is told but stored nowhere: whoever lost the thread may not write."""
        names = {"run_id": self.run_id, "thread_id": self.thread_id}
        return {"seq": self.last_seq + 1, "type": kind, "at": self._environment.clock(), **bounded(body), **names}

    def drain(self) -> list[Event]:
        """Give out saved events that nobody was given yet."""
        first, self._told = self._told, self._saved
        return self._events(first, self._saved)

    def blob(self, key: str, value: Any) -> _core.Blob:
        """Encode a part of the state. The same object under the same key is encoded once.

        Raises:
            SnapshotError: the value cannot be stored without loss; the message gives its path.
        """
        known = self._blobs.get(key)
        if known is None or known[0] is not value:
            known = self._blobs[key] = (value, _core.Blob(value, key.replace(":", ".", 1)))
        return known[1]

    def remember(self, progress: Progress, blobs: Mapping[str, _core.Blob]) -> None:
        """Take the parts of `progress` for encoded that were read from `blobs` and are replaced, never changed."""
        for key, value in progress.lasting():
            if key in blobs:
                self._blobs[key] = (value, blobs[key])

    async def commit(self, status: str, progress: Progress, plan: _core.Plan, label: str) -> None:
        """Write unsaved events and the state. Commits of one run, such as those of parallel agents, take turns.

        Raises:
            SnapshotError: something in the state cannot be stored.
            StoreError: the store failed; nothing was written.
            LeaseLost: another run took the thread over; nothing was written.
        """
        if self.store is None:
            self.commit_now(status, progress, plan, label)
        elif self._epoch is not None or self.on_conflict != "wait":
            await self._commit(status, progress, plan, label)
        else:
            await patiently(lambda: self._commit(status, progress, plan, label), self._environment, "wait")

    async def _commit(self, status: str, progress: Progress, plan: _core.Plan, label: str) -> None:
        assert self.store is not None
        if self.store.kind == "memory":
            self.commit_now(status, progress, plan, label)
            return
        self._turn = self._turn or asyncio.Lock()
        async with self._turn:
            await self._commit_in_thread(status, progress, plan, label)

    def let_go(self) -> None:
        """Give the thread's lease back, if the last commit did not: the run stopped without a word. Never raises."""
        if self.store is not None and self._epoch is not None and self._status == "running":
            try:
                self.store.release(self.thread_id, self._epoch)
            except StoreError as error:
                _log.warning("the lease of thread %r was not given back: %s", self.thread_id, error)
                self.abandon()

    def abandon(self) -> None:
        """Leave the lease behind: the store does not answer, and this process will know that nobody drives by it."""
        if self.claim is not None and self._status == "running":
            abandon(self.claim)

    async def renew(self) -> None:
        """Say that the run is alive; nothing before its first commit.

        Raises:
            LeaseLost: another run has the thread.
        """
        if self.store is not None and self._epoch is not None:
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(_writer(os.getpid()), self.store.renew, self.thread_id, self._epoch)

    async def _commit_in_thread(self, status: str, progress: Progress, plan: _core.Plan, label: str) -> None:
        if self.fence is not None:
            self.fence()
        prepared, upto = self._prepare(status, progress, plan, label), len(self._notes)
        loop = asyncio.get_running_loop()
        writing = loop.run_in_executor(_writer(os.getpid()), partial(self._write, prepared, self._saved, upto))
        try:
            await asyncio.shield(writing)
        except asyncio.CancelledError:
            # The write goes on in its thread; whether it succeeded must be known before anything else is written.
            await _outlast(writing)
            if not writing.cancelled() and writing.exception() is None:
                self._saved = upto
            raise
        self._saved = upto

    def commit_now(self, status: str, progress: Progress, plan: _core.Plan, label: str) -> None:
        """Do the same without an event loop: for a run that is being cancelled or closed."""
        if self.fence is not None:
            self.fence()
        upto = len(self._notes)
        if self.store is not None:
            self._write(self._prepare(status, progress, plan, label), self._saved, upto)
        self._saved = upto

    def _prepare(self, status: str, progress: Progress, plan: _core.Plan, label: str) -> Prepared:
        return status, [(key, self.blob(key, value)) for key, value in progress.state(plan)], label

    def _write(self, prepared: Prepared, first: int, end: int) -> None:
        if self.store is None:
            return
        with self._writing:
            # What outlived its run, such as an agent that did not stop when it was told to, must not bring it back.
            if self._status != "running":
                raise PipelineError(f"run {self.run_id!r} has stopped ({self._status}); nothing was written")
            self._write_rows(self.store, prepared, first, end)

    def _write_rows(self, store: _core.Store, prepared: Prepared, first: int, end: int) -> None:
        status, state, label = prepared
        begun = self._environment.monotonic()
        rows = [row_of(event) for event in self._events(first, end)]
        if self._epoch is None:
            written = self._begin(rows, state, label)
            if status != "running":  # which is how every run begins
                written += self._append(prepared, [])
        else:
            written = self._append(prepared, rows)
        self._status = status
        standard.checkpoint_saved(store.kind, written, self._environment.monotonic() - begun)

    def _begin(self, rows: list[tuple[int, str, int, _core.Blob]], state: Any, label: str) -> int:
        assert self.store is not None
        take = partial(
            self.store.begin,
            thread_id=self.thread_id,
            run_id=self.run_id,
            pipeline=self._pipeline,
            version=self._version,
            at=self._now(),
            events=rows,
            state=state,
            label=label,
            claim=self.claim,
        )
        self._epoch, self.checkpoint, written = taking(self.store, self.thread_id, take)
        return written

    def _append(self, prepared: Prepared, rows: list[tuple[int, str, int, _core.Blob]]) -> int:
        assert self.store is not None
        assert self._epoch is not None
        status, state, label = prepared
        self.checkpoint, written = self.store.commit(
            thread_id=self.thread_id,
            run_id=self.run_id,
            epoch=self._epoch,
            status=status,
            at=self._now(),
            events=rows,
            state=state,
            label=label,
            supersede_after=self.supersede_after,
        )
        self.supersede_after = None
        return written

    def _now(self) -> int:
        return int(self._environment.clock() * 1_000_000)


@cache
def _writer(pid: int) -> ThreadPoolExecutor:
    """One thread for all writes of this process (`pid`: a fork's child has none of its parent's threads).

    Not the loop's own pool, which agents that block may fill up.
    """
    return ThreadPoolExecutor(1, thread_name_prefix=f"hagane-store-{pid}")


async def _outlast(writing: asyncio.Future[None]) -> None:
    while not writing.done():
        with suppress(asyncio.CancelledError):
            await asyncio.wait([writing])
