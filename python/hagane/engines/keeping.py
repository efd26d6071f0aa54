"""Making, taking up and keeping an engine's runs: everything around the loop that drives one."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from typing import Any

from hagane import _core
from hagane.engines.baselines import load_baselines, save_baselines
from hagane.engines.checkpointers import load_from, save_to
from hagane.engines.deadline import Deadline
from hagane.engines.decisions import apply
from hagane.engines.ending import finished
from hagane.engines.events import Event, read_history
from hagane.engines.interrupts import Decision
from hagane.engines.journal import Journal
from hagane.engines.lease import Heartbeat, abandon, claim_of, patiently, taking
from hagane.engines.parts import EngineParts
from hagane.engines.pipeline import Pipeline
from hagane.engines.progress import Progress
from hagane.engines.run import Hook, Run
from hagane.engines.stored import Stored, awaiting, restore
from hagane.engines.threads import Turn
from hagane.errors import LeaseHeld, PipelineError, StoreError, UnknownRun
from hagane.observability import standard

__all__ = ["RunKeeping"]

REMEMBERED_RUNS = 16


class RunKeeping(EngineParts):
    """The parts of an engine that concern single runs; `PipelineEngine` drives them."""

    def _journal(self, thread_id: str, run_id: str) -> Journal:
        names = {"thread_id": thread_id, "run_id": run_id}
        # Not `_pipeline()`: going back by hand needs no agents, and an engine that never ran has none yet.
        version = self._version() if self._flow is None else self._flow.version
        journal = Journal(self._store, self._environment, **names, pipeline=self._config.name, version=version)
        if self._store is None:
            known = self._recent.pop(run_id, None)
            if known is not None:
                journal.take_over(known)
            self._recent[run_id] = journal
            while len(self._recent) > REMEMBERED_RUNS:
                self._recent.popitem(last=False)
        return journal

    def _new_run(self, pipeline: Pipeline, plan: _core.Plan, progress: Progress, journal: Journal) -> Run:
        deadline = Deadline(self._environment, self._config.timeout_seconds)
        return Run(pipeline, plan, progress, journal, deadline, self._validator, self._hook())

    def _hook(self) -> Hook | None:
        """What is called instead of a retry or a rollback, if a subclass overrode it."""
        return None

    @asynccontextmanager
    async def _driving(self, run: Run) -> AsyncGenerator[None, None]:
        """What goes on around a run while it is driven: its lease is renewed, its question kept, its lessons stored."""
        thread_id, pipeline = run.journal.thread_id, run.pipeline
        self._waiting.pop(thread_id, None)
        if self._store is None:
            try:
                yield
            except BaseException:
                if run.progress.question:
                    await self._keep_waiting(run)
                raise
            return
        heartbeat = Heartbeat(run.journal.renew, self._config.lease_seconds, self._environment)
        heartbeat.start()
        load_baselines(self._store, pipeline.name, pipeline.names, self._validator)
        try:
            yield
        finally:
            await heartbeat.stop()
            save_baselines(self._store, pipeline.name, self._validator, self._environment.clock())

    async def _completed(self, run: Run) -> dict[str, Any]:
        """Drive a run to its end without a store: `_driving` for the commonest case."""
        self._waiting.pop(run.journal.thread_id, None)
        try:
            return await run.complete()
        except BaseException:
            if run.progress.question:
                await self._keep_waiting(run)
            raise

    async def _keep_waiting(self, run: Run) -> None:
        """Remember a run that waits for a person and that no store keeps."""
        thread_id, journal = run.journal.thread_id, run.journal
        stored = Stored(thread_id, journal.run_id, "escalated", run.plan, run.progress, journal.last_seq)
        self._waiting[thread_id] = stored
        if self._config.hitl.checkpointer is not None:
            await save_to(self._config.hitl.checkpointer, stored, run.pipeline.version)

    # --- stored runs ---

    def _need_store(self, what: str) -> _core.Store:
        if self._store is None:
            raise PipelineError(
                f"{what} needs a checkpoint store; build the engine with checkpoint_store=SqliteStore(path)"
            )
        return self._store

    async def _find(self, thread_id: str) -> Stored:
        if self._store is not None:
            return restore(self, self._store, self._store.head(thread_id))
        if thread_id in self._waiting:
            return self._waiting[thread_id]
        checkpointer = self._config.hitl.checkpointer
        if checkpointer is None:
            self._need_store("resume")
        return await load_from(self, checkpointer, thread_id)

    def _keep_a_waiting_run(self, thread_id: str) -> None:
        """See that a new run does not take the place of one that waits for a person, unless it is to supersede.

        Raises:
            PipelineError: the thread's newest run waits; the message shows its request.
        """
        stored = self._waiting.get(thread_id)
        if self._store is not None:
            with suppress(UnknownRun):
                head = self._store.head(thread_id)
                if head.run.status == "escalated" and head.run.version == self._version():
                    stored = restore(self, self._store, head)
        if stored is None or stored.status != "escalated":
            return
        if self._config.on_conflict != "supersede":
            told = awaiting(thread_id, stored.progress.question)
            raise PipelineError(
                f"{told}; or start the new run under another thread_id, or with on_conflict='supersede'"
            )
        standard.pipeline_waiting(self._config.name, -1)

    async def _take_turn(self, thread_id: str) -> Turn | None:
        """Keep other runs of this engine from the thread; in a store, leases do that."""
        return await self._threads.take(thread_id, self._config.on_conflict) if self._store is None else None

    def _claim(self) -> _core.Claim | None:
        return None if self._store is None else self._new_claim()

    def _new_claim(self) -> _core.Claim:
        return claim_of(self._environment, self._config.lease_seconds, self._config.on_conflict)

    async def _take_up(self, pipeline: Pipeline, stored: Stored) -> Run:
        """Make the run to go on with; in a store nobody else can write it from now on.

        Raises:
            PipelineError: somebody else went on with it meanwhile.
        """
        journal = self._journal(stored.thread_id, stored.run_id)
        epoch = None
        if self._store is not None:
            journal.claim = claim = self._new_claim()
            head = await self._adopt(self._store, stored.thread_id, claim)
            stored = self._as_adopted(self._store, stored, head)
            epoch = head.epoch
        journal.continue_from(stored.last_seq, epoch)
        journal.remember(stored.progress, stored.blobs)
        stored.progress.ending = {}
        return self._new_run(pipeline, stored.plan, stored.progress, journal)

    def _as_adopted(self, store: _core.Store, stored: Stored, head: _core.Head) -> Stored:
        """Read the run again if it was written between a look at it and its adoption.

        So writes a process that died meanwhile and whose last write came late; from now on nobody else does.
        """
        former = stored.standing
        if former == (head.run.run_id, head.checkpoint, head.run.status):
            return stored
        if former is None or (former[0], former[2]) != (head.run.run_id, "running") or head.run.status != "running":
            store.release(stored.thread_id, head.epoch)
            raise PipelineError(f"thread {stored.thread_id!r} was gone on with by somebody else at the same time")
        return restore(self, store, head)

    async def _adopt(self, store: _core.Store, thread_id: str, claim: _core.Claim) -> _core.Head:
        async def adopt() -> _core.Head:
            return taking(store, thread_id, lambda: store.adopt(thread_id, claim))

        try:
            return await patiently(adopt, self._environment, self._config.on_conflict)
        except LeaseHeld:
            raise
        except StoreError:
            abandon(claim)  # it may have been written before the answer was lost
            raise

    def _apply(self, run: Run, decision: Decision | None) -> _core.Action | None:
        try:
            return apply(run, decision, run.pipeline.name) if decision else None
        except Exception:
            run.journal.let_go()
            raise

    async def _replay(self, stored: Stored, pipeline: Pipeline) -> Event:
        """Give the last event of a run that ended once more."""
        store = self._need_store("resume")
        journal = self._journal(stored.thread_id, stored.run_id)
        told = stored.status in ("success", "partial")
        report = await self._reporter.build(stored.progress) if told else None
        last = read_history(store, stored.run_id)[-1]
        result = finished(pipeline, stored.progress, journal, stored.plan, report)
        return {**last, "replayed": True, "result": result}
