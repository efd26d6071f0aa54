"""A machine that starts, kills, resumes, decides and rolls back runs at will; time is virtual.

The agents' outputs are drawn by the machine, which calls the engine for a result or listens to a stream and leaves it
at any event. A model beside it holds what the engine promises: nothing that was accepted is run again unless the run
went back, effects happen once per key, what is undone was done, a success has everything, and each output in it was
made of the very outputs that are beside it.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import aclosing
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
        self.serial = 0
        self.done: Counter[str] = Counter()
        self.undone: Counter[str] = Counter()
        self.threads = 0
        self.thread = ""
        self.status = "none"
        self.approved = False
        self.task: asyncio.Task[Any] | None = None

    # --- the pipeline ---

    def engine(self) -> PipelineEngine:
        async def slowly(output: dict[str, Any]) -> bool:
            await asyncio.sleep(0.5)  # so that the end of a process also falls into a gate
            return bool(output["quality"] != "poor")

        gates = [
            QualityGate("quality", slowly, stages=NAMES, on_exhausted="escalate"),
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
            self.serial += 1
            made_of = {before: inputs[f"{before}_result"]["serial"] for before in NAMES if f"{before}_result" in inputs}
            texts = [inputs[f"{before}_result"]["text"] for before in made_of]
            text = f"{name}({', '.join([str(inputs['in']), *texts])})"
            return {"quality": behaviour, "serial": self.serial, "made_of": made_of, "text": text}

        def undo(record: dict[str, Any]) -> None:
            key = record["idempotency_key"].removesuffix(":undo") + ":do"
            assert self.done[key] == 1, f"{key} was undone but not done"
            self.undone.update([key])

        asking = name == "second"
        return StageConfig(name, agent, compensate=None if name == "first" else async_of(undo), interrupt_after=asking)

    # --- driving it ---

    def drive(self, call: str, *arguments: Any, seconds: float | None, leave: int | str | None) -> None:
        """Let the engine do `call`; after `seconds` of its time the process is gone, as far as the store can tell.

        `leave`: listen to the stream instead, and leave it at that event: its number from 1 (0: never) or its type.
        """
        engine, begun = self.engine(), self.loop.time()
        work = getattr(engine, call)(*arguments) if leave is None else self.listen(engine, call, arguments, leave)
        self.task = self.loop.create_task(work)
        self.loop.run_until_complete(asyncio.wait([self.task], timeout=seconds))
        if not self.task.done():
            self.task.cancel()
            self.loop.run_until_complete(asyncio.wait([self.task]))
        error = None if self.task.cancelled() else self.task.exception()
        assert error is None or (isinstance(error, InterruptSignal) and leave is None), error
        assert self.loop.time() - begun <= 100 + 5 + 1, "the run outlasted its time"
        self.status = self.store.head(self.thread).run.status
        result = self.task.result() if error is None and not self.task.cancelled() else None
        if result is not None:
            self.settled(result)

    async def listen(
        self, engine: PipelineEngine, call: str, arguments: Any, leave: int | str
    ) -> dict[str, Any] | None:
        """Hear a stream, and check that all that was told is stored, in this order and without a gap."""
        told: list[tuple[int, str]] = []
        result, left = None, False
        async with aclosing(getattr(engine, f"{call}_stream")(*arguments)) as events:
            async for event in events:
                told.append((event["seq"], event["type"]))
                assert event["seq"] <= self.store.head(self.thread).last_seq, "something was told that is not stored"
                result = event.get("result")
                left = leave in (len(told), event["type"])
                if left:
                    break
        if told[-1][1] == "escalated":
            assert self.store.head(self.thread).run.status == "escalated", "who hears of a question does not undo it"
        kept = [(one["seq"], one["type"]) for one in self.history()]
        assert told == kept[told[0][0] - 1 :][: len(told)], "what was told is not what is stored"
        assert result is not None or told[-1][1] == "escalated" or left, "the stream ended in silence"
        return result

    def settled(self, result: dict[str, Any]) -> None:
        assert result["status"] == self.status
        if self.status == "success":
            assert list(result["results"]) == NAMES
            outputs = result["results"]
            for place, name in enumerate(NAMES):
                wanted = {before: outputs[before]["serial"] for before in NAMES[:place]}
                assert outputs[name]["made_of"] == wanted, f"{name} was made of what is not in the results"
                refused = ("poor",) if name == "first" else ("poor", "bad")
                assert outputs[name]["quality"] not in refused or self.approved
            # What a run gives that nobody disturbs.
            texts = {name: output["text"] for name, output in outputs.items()}
            assert texts == {
                "first": "first(1)",
                "second": "second(1, first(1))",
                "third": "third(1, first(1), second(1, first(1)))",
            }
        if self.status == "cancelled":
            alive = self.done - self.undone
            assert not [key for key in alive if key.split(":")[1] != "first" and key.startswith(result["run_id"])]

    outcomes = st.lists(st.sampled_from(BEHAVIOURS), max_size=4)
    lifetimes = st.one_of(st.none(), st.floats(0, 8))
    # None: no listener.
    leavings = st.one_of(
        st.none(), st.integers(0, 25), st.sampled_from(["escalated", "effect", "checkpoint", "rollback"])
    )

    @precondition(lambda self: self.status in ("none", *ENDED, "over"))
    @rule(first=outcomes, second=outcomes, third=outcomes, seconds=lifetimes, leave=leavings)
    def start(
        self, first: list[str], second: list[str], third: list[str], seconds: float | None, leave: int | str | None
    ) -> None:
        self.plans = {"first": first, "second": second, "third": third}
        self.threads += 1
        self.thread = f"t{self.threads}"
        self.approved = False
        self.drive("run", {"in": 1}, self.thread, seconds=seconds, leave=leave)

    @precondition(lambda self: self.status in ("failed", "cancelled", "running"))
    @rule(seconds=lifetimes, leave=leavings)
    def resume(self, seconds: float | None, leave: int | str | None) -> None:
        self.drive("resume", self.thread, seconds=seconds, leave=leave)

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
    @rule(command=commands, seconds=lifetimes, leave=leavings)
    def decide(self, command: Command, seconds: float | None, leave: int | str | None) -> None:
        self.approved = self.approved or command.type == "approve"
        self.drive("resume", self.thread, command, seconds=seconds, leave=leave)
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
