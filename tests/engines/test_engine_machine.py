"""A machine that starts, kills, resumes, decides and rolls back runs at will; time is virtual.

The agents' outputs are drawn by the machine. A model beside it holds what the engine promises: nothing that was
accepted is run again unless the run went back, effects happen once per key, what is undone was done, a success has
everything.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from virtual_time import VirtualLoop, environment_of

from hagane.engines import EngineConfig, HITLEngineConfig, PipelineEngine, StageConfig, current_stage
from hagane.hitl import Command, InterruptSignal
from hagane.rollback import MemoryStore, RollbackController
from hagane.validation import QualityGate

NAMES = ["first", "second", "third"]
ENDED = ("success", "partial", "rejected")
BEHAVIOURS = ["good", "good", "good", "poor", "bad", "raise", "lost", "hang", "ask"]


class Lost(ConnectionError):
    pass


class EngineMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.loop = VirtualLoop()
        self.store = MemoryStore()
        self.environment = environment_of(self.loop)
        self.plans: dict[str, list[str]] = {name: [] for name in NAMES}
        self.done: Counter[str] = Counter()
        self.undone: Counter[str] = Counter()
        self.threads = 0
        self.thread = ""
        self.status = "none"
        self.task: asyncio.Task[Any] | None = None

    # --- the pipeline ---

    def engine(self) -> PipelineEngine:
        gates = [
            QualityGate("quality", lambda r: r["quality"] != "poor", stages=NAMES, on_exhausted="escalate"),
            QualityGate("back", lambda r: r["quality"] != "bad", "rollback", stages=["second", "third"]),
        ]
        return PipelineEngine(
            [self.stage(name) for name in NAMES],
            quality_gates=gates,
            max_revisions=2,
            config=EngineConfig(timeout_seconds=100, hitl=HITLEngineConfig(on_expiry="accept")),
            checkpoint_store=self.store,
            environment=self.environment,
        )

    def stage(self, name: str) -> StageConfig:
        async def agent(inputs: dict[str, Any]) -> dict[str, Any]:
            await current_stage().effect("do", lambda key: self.done.update([key]))
            await asyncio.sleep(1)
            behaviour = self.plans[name].pop(0) if self.plans[name] else "good"
            if behaviour == "raise":
                raise ValueError(f"{name} broke at attempt {current_stage().attempt}")
            if behaviour == "lost":
                raise Lost(name)
            if behaviour == "hang":
                await asyncio.sleep(1000)
            if behaviour == "ask":
                from hagane.hitl import interrupt

                await interrupt(f"may {name}?")
            return {"quality": behaviour, "attempt": current_stage().attempt}

        def undo(record: dict[str, Any]) -> None:
            key = record["idempotency_key"].removesuffix(":undo") + ":do"
            assert self.done[key] == 1, f"{key} was undone but not done"
            self.undone.update([key])

        asking = name == "second"
        return StageConfig(name, agent, compensate=None if name == "first" else async_of(undo), interrupt_after=asking)

    # --- driving it ---

    def drive(self, work: Any, seconds: float | None) -> None:
        """Let `work` run; after `seconds` of its time the process is gone, as far as the store can tell."""
        begun = self.loop.time()
        self.task = self.loop.create_task(work)
        if seconds is None:
            self.loop.run_until_complete(asyncio.wait([self.task]))
        else:
            self.loop.run_until_complete(asyncio.wait([self.task], timeout=seconds))
            self.task.cancel()
            self.loop.run_until_complete(asyncio.wait([self.task]))
        error = None if self.task.cancelled() else self.task.exception()
        assert error is None or isinstance(error, InterruptSignal), error
        assert self.loop.time() - begun <= 100 + 5 + 1, "the run outlasted its time"
        self.status = self.store.head(self.thread).run.status
        if error is None and not self.task.cancelled():
            self.settled(self.task.result())

    def settled(self, result: dict[str, Any]) -> None:
        assert result["status"] == self.status
        if self.status == "success":
            assert list(result["results"]) == NAMES
        if self.status == "cancelled":
            alive = self.done - self.undone
            assert not [key for key in alive if key.split(":")[1] != "first" and key.startswith(result["run_id"])]

    outcomes = st.lists(st.sampled_from(BEHAVIOURS), max_size=4)
    lifetimes = st.one_of(st.none(), st.floats(0, 8))

    @precondition(lambda self: self.status in ("none", *ENDED, "over"))
    @rule(first=outcomes, second=outcomes, third=outcomes, seconds=lifetimes)
    def start(self, first: list[str], second: list[str], third: list[str], seconds: float | None) -> None:
        self.plans = {"first": first, "second": second, "third": third}
        self.threads += 1
        self.thread = f"t{self.threads}"
        self.drive(self.engine().run({"in": 1}, self.thread), seconds)

    @precondition(lambda self: self.status in ("failed", "cancelled", "running"))
    @rule(seconds=lifetimes)
    def resume(self, seconds: float | None) -> None:
        self.drive(self.engine().resume(self.thread), seconds)

    commands = st.sampled_from(
        [
            Command.approve(),
            Command.update({"quality": "good"}),
            Command.update({"quality": "poor"}),
            Command.retry("again"),
            Command.reject("no"),
            Command.cancel(),
        ]
    )

    @precondition(lambda self: self.status == "escalated")
    @rule(command=commands, seconds=lifetimes)
    def decide(self, command: Command, seconds: float | None) -> None:
        self.drive(self.engine().resume(self.thread, command), seconds)
        if command.type == "cancel" and self.status == "cancelled":
            self.status = "over"

    @precondition(lambda self: self.status in ("success", "partial", "failed", "escalated", "rejected"))
    @rule(stage=st.sampled_from(NAMES), twice=st.booleans())
    def go_back(self, stage: str, twice: bool) -> None:
        started = [e["stage"] for e in self.history() if e["type"] == "stage_started"]
        if stage not in started:
            return
        for _ in range(1 + twice):
            RollbackController(self.engine(), self.thread).rollback_to(stage, "by hand")
        self.status = "running"

    def history(self) -> list[dict[str, Any]]:
        return self.engine().history(self.store.head(self.thread).run.run_id)

    # --- what always holds ---

    @invariant()
    def effects_happen_once_per_key_and_are_undone_at_most_once(self) -> None:
        assert all(count == 1 for count in self.done.values()), self.done
        assert set(self.undone) <= set(self.done)

    @invariant()
    def every_undoing_is_recorded_once_and_in_reverse(self) -> None:
        """Doing it may be repeated where the process goes before recording, so keys are counted, not calls."""
        if not self.thread:
            return
        run = self.store.head(self.thread).run.run_id
        keys = Counter(key.split(":")[1] for key in self.undone if key.startswith(f"{run}:"))
        recorded: Counter[str] = Counter()
        batch: list[int] = []
        for event in self.history():
            if event["type"] == "compensation_completed":
                recorded[event["stage"]] += 1
                assert not batch or NAMES.index(event["stage"]) < batch[-1], "not in reverse"
                batch.append(NAMES.index(event["stage"]))
            elif event["type"] in ("stage_started", "rollback"):
                batch = []
        assert all(recorded[stage] <= keys[stage] for stage in NAMES), (recorded, keys)

    @invariant()
    def the_history_is_whole_and_repeats_nothing_that_was_accepted(self) -> None:
        if not self.thread:
            return
        events = self.history()
        assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
        accepted: set[str] = set()
        for event in events:
            if event["type"] == "checkpoint":
                accepted.add(event["stage"])
            elif event["type"] in ("rollback", "retry") and event.get("to_stage"):
                accepted -= set(NAMES[NAMES.index(event["to_stage"]) :])
            elif event["type"] == "stage_started":
                assert event["stage"] not in accepted

    def teardown(self) -> None:
        self.loop.close()


def async_of(function: Any) -> Any:
    """A thread would wait in real time."""

    async def asynchronous(record: dict[str, Any]) -> None:
        function(record)

    return asynchronous


TestEngineMachine = EngineMachine.TestCase
TestEngineMachine.settings = settings(
    max_examples=60, stateful_step_count=12, deadline=None, suppress_health_check=list(HealthCheck)
)
