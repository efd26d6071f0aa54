"""One run of a pipeline: what it has, and the loop that asks the plan what to do until there is nothing more to do.

An action of the plan is prepared (`prepare.py`: notes, a commit) and then done (`doing.py`); stages are run by
`attempt.py` and judged by `judge.py`.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

from hagane import _core
from hagane.engines.backoff import retry_after
from hagane.engines.deadline import Deadline, OutOfTime
from hagane.engines.doing import perform, run_stage, stopped
from hagane.engines.effects import forget, make_known
from hagane.engines.ending import finished
from hagane.engines.events import Event
from hagane.engines.isolate import isolate
from hagane.engines.journal import Journal
from hagane.engines.judge import Judge
from hagane.engines.ledger import Ledger
from hagane.engines.pipeline import Pipeline
from hagane.engines.prepare import STARTS, committed, prepare, start
from hagane.engines.progress import Progress
from hagane.engines.stage import Stage
from hagane.engines.traces import log_failure
from hagane.engines.trouble import told
from hagane.errors import LeaseHeld, LeaseLost, StoreError
from hagane.observability import tracing

__all__ = ["Hook", "Run"]

_log = logging.getLogger("hagane.engines")

Hook = Callable[["Run", _core.Action], Awaitable[Any]]


class Run:
    """One run. `events()` drives it; `result` is there when it has ended.

    Args:
        hook: called instead of a retry or a rollback, if somebody overrode what happens then.

    Attributes:
        attempt: of the stage where the run stands, from 1.
        output: the output that is being judged.
        complaint: what was wrong with it.
        repeated: whether that is what was wrong the time before, by `fingerprint`.
        failure: what the stage raised instead of giving an output.
        asked: what its agent asked a person.
        asker: which of its several agents.
        decided: whether it goes on with a person's decision.
        seconds: how long its agents took.
        broken: why a fallback could not be made.
        learn: what is told accepted outputs, by stage and output.
        span: the run's span, if somebody traces.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        plan: _core.Plan,
        progress: Progress,
        journal: Journal,
        deadline: Deadline,
        validator: Any,
        hook: Hook | None = None,
    ) -> None:
        self.pipeline = pipeline
        self.plan = plan
        self.progress = progress
        self.journal = journal
        self.deadline = deadline
        self.hook = hook
        self.ledger = Ledger(pipeline.places, plan, progress, journal)
        self.judge = Judge(pipeline, validator, journal, deadline)
        self.learn: Callable[[str, Any], Any] | None = self.judge.learner
        self.result: dict[str, Any] | None = None
        # A resumed run may judge the whole before it starts anything itself.
        self.attempt = plan.attempts[-1]
        self.output: dict[str, Any] = {}
        self.complaint: dict[str, Any] = {}
        # Whether that is what was wrong the time before.
        self.repeated = False
        self.fingerprint: str | None = None
        self.failure: Exception | None = None
        self.asked: Any = None
        self.asker: str | None = None
        self.decided = False
        self.seconds = 0.0
        self.broken: str | None = None
        self.span = tracing.NO_SPAN
        self.monotonic = pipeline.environment.monotonic
        self._begun = self.monotonic()

    # --- driving ---

    async def events(self, first: _core.Action | None = None) -> AsyncGenerator[Event, None]:
        """Drive the run from the action `first` to its end and yield what happens, each event after it was stored.

        A cancellation, a closed stream or an interrupt is recorded and raised again; so is a failure of the store.
        """
        # Not made current here: between two events this context is the caller's.
        self._enter()
        try:
            following: _core.Action | None = self.plan.begin() if first is None else first
            while following is not None:
                kind = following.kind
                commit = prepare(self, following, kind)
                if commit is not None:
                    await self.commit(*commit)
                    committed(self, following, kind)
                    # Not where nothing was written: whoever leaves must not do so between an output that is taken
                    # over and the plan that knows of it.
                    for event in self.journal.drain():
                        yield self._told(event)
                following = await perform(self, following, kind)
            for event in self.journal.drain():
                yield self._told(event)
        except BaseException as error:
            if isinstance(error, LeaseLost):
                yield self.journal.unstored("lease_lost", reason=str(error))
            self._stopped_by(error)
            raise
        finally:
            self.span.end()

    def _told(self, event: Event) -> Event:
        """Add what is told to listeners and not kept: the result, and an accepted output that was not taken back."""
        if event["type"] == "run_completed":
            return {**event, "result": self.result}
        if event["type"] != "checkpoint" or event["stage"] not in self.progress.outputs:
            return event
        return {**event, "output": isolate(self.progress.outputs[event["stage"]])}

    async def complete(self, first: _core.Action | None = None) -> dict[str, Any]:
        """Do the same for somebody who wants the result and no events."""
        self._enter()
        known = make_known()
        try:
            await self.drive(self.plan.begin() if first is None else first)
        except BaseException as error:
            self._stopped_by(error)
            raise
        finally:
            forget(known)
            self.span.end()
        return self.result or {}

    async def drive(self, action: _core.Action | None) -> None:
        """Do what `events` does, for somebody who is called in the middle of it: the events are yielded there later."""
        # Where nobody stores, traces or overrides anything, most of what is below would only find that out.
        plain = self.journal.store is None and self.hook is None and self.span is tracing.NO_SPAN
        while action is not None:
            kind = action.kind
            if plain and kind in STARTS:
                start(self, action, kind)
                if self.journal.fence is not None:
                    self.journal.fence()
                try:
                    action = await run_stage(self, action, kind, self.span)
                except OutOfTime as error:
                    await stopped(self, action, error)
                    return
                continue
            commit = prepare(self, action, kind)
            if commit is not None:
                await self.commit(*commit)
                committed(self, action, kind)
            action = await perform(self, action, kind)

    def stands_at(self, attempt: int, complaint: dict[str, Any]) -> None:
        """Take up where a run stood that waited for a person: the attempt, and what is to be said about it."""
        self.attempt, self.complaint = attempt, complaint

    # --- its beginning and its end ---

    def _enter(self) -> None:
        self.span = tracing.workflow_span(self.pipeline.name, self.journal.run_id)
        self.ledger.opened()

    async def end(self, status: str, **ending: Any) -> None:
        """End the run with this status: make its result and its last event, and commit."""
        self.ledger.close()
        report = None
        if status in ("success", "partial"):
            try:
                report = await self.pipeline.reporter.build(self.progress)
            except Exception as error:
                log_failure("the report", error)
                status, ending = "failed", {"reason": f"the report failed: {told(error)}"}
        self.progress.ending = {"status": status, **ending}
        self.result = finished(self.pipeline, self.progress, self.journal, self.plan, report)
        self.span.set({"hagane.run.status": status})
        if status not in ("success", "partial"):
            self.span.fail(status)
        seconds = self.monotonic() - self._begun
        ended = {"status": status, "reason": ending.get("reason"), "duration_ms": seconds * 1000}
        self.journal.note_small("run_completed", ended)
        if self.journal.store is None:
            self.journal.commit_now(status, self.progress, self.plan, "")
        else:
            await self.commit(status, f"ended: {status}")

    def _stopped_by(self, error: BaseException) -> None:
        """Record what stopped the run, where it can be recorded; a failed store stands as it was last committed."""
        self.ledger.close()
        if isinstance(error, StoreError):
            if not isinstance(error, (LeaseHeld, LeaseLost)):
                self.journal.abandon()
        elif self.progress.question:
            self._keep_question()
        elif self.decided and self.journal.store is not None and self.journal.checkpoint is None:
            # Nothing came of the decision yet: the run waits for it as before.
            self.journal.let_go()
        else:
            self._interrupted(error)
        self.span.fail(error if isinstance(error, Exception) else "cancelled")

    def _keep_question(self) -> None:
        """See that what a person is asked is stored, however the run was stopped while it asked."""
        if self.journal.status == "escalated":
            return
        try:
            self.journal.commit_now("escalated", self.progress, self.plan, "waiting for a decision")
        except Exception as failure:
            _log.warning("run %s could not record its question: %s", self.journal.run_id, failure)
            self.journal.let_go()

    def _interrupted(self, error: BaseException) -> None:
        """Leave a record that the run can go on from. A store that fails here must not hide why the run stopped."""
        status = "failed" if isinstance(error, Exception) else "cancelled"
        if self.result is not None:
            return
        try:
            self.journal.note("run_completed", status=status, reason=told(error))
            self.progress.ending = {"status": status, "reason": type(error).__name__}
            self.journal.commit_now(status, self.progress, self.plan, f"ended: {status}")
        except Exception as failure:
            _log.warning("run %s could not record why it stopped: %s", self.journal.run_id, failure)
            self.journal.let_go()

    # --- small helpers ---

    def stage(self, action: _core.Action) -> Stage:
        """Find the stage that an action is about."""
        return self.pipeline.stages[action.stage or 0]

    def check_storable(self, key: str, value: Any) -> None:
        """Refuse what the store cannot keep; SnapshotError, with the path."""
        if self.journal.store is not None:
            self.journal.blob(key, value)

    async def commit(self, status: str, label: str) -> None:
        """Write what happened."""
        if not self.journal.may_wait:
            await self.journal.commit(status, self.progress, self.plan, label)
            return
        begun = self.monotonic()
        await self.journal.commit(status, self.progress, self.plan, label)
        self.deadline.extend(self.monotonic() - begun)  # another run's time is not this one's

    async def pause(self, retry: int, error: Exception) -> None:
        """Wait before retry number `retry` of something that raised `error`."""
        config, environment = self.pipeline.config, self.pipeline.environment
        asked = retry_after(error, environment.clock())
        draw = environment.random()
        drawn = _core.backoff(max(retry, 1), config.backoff_seconds, config.backoff_cap_seconds, draw)
        seconds, left = max(drawn, asked or 0.0), self.deadline.left()
        if asked is not None and left is not None and asked >= left:
            raise OutOfTime  # asking again earlier than the service wants makes things worse
        await self.deadline.bound(_slept(environment.sleep(seconds)))


async def _slept(sleep: Awaitable[None]) -> None:
    await sleep
