from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from pipeline_helpers import Scripted, events_of, kinds, stages, started

from hagane.engines import EngineConfig, PipelineEngine, ResilientPipelineEngine, StageConfig
from hagane.errors import PipelineError, SnapshotError, UnknownRun, UnknownStage
from hagane.rollback import MemoryStore, Store
from hagane.validation import QualityGate, ValidationConfig


class Greeter:
    def invoke(self, inputs: dict[str, Any]) -> dict[str, Any]:
        return {"greeting": f"hello {inputs['who']}"}


class Model:
    def model_dump(self) -> dict[str, Any]:
        return {"dumped": True}


class Processor:
    async def process(self, inputs: dict[str, Any]) -> Model:
        return Model()


async def test_agents_of_every_form_run(store: Store | None) -> None:
    engine = PipelineEngine(
        stages(greet=Greeter, process=Processor(), plain=lambda i: None, number=lambda i: 7), checkpoint_store=store
    )
    result = await engine.run({"who": "you"})
    assert result["results"] == {
        "greet": {"greeting": "hello you"},
        "process": {"dumped": True},
        "plain": {},
        "number": {"result": 7},
    }
    assert result["status"] == "success"


async def test_the_callers_inputs_are_never_changed(store: Store | None) -> None:
    def vandal(inputs: dict[str, Any]) -> dict[str, Any]:
        inputs["list"].append("mine")
        inputs["new"] = 1
        return {"list": inputs["list"]}

    seen = Scripted({})
    inputs = {"list": [1]}
    await PipelineEngine(stages(a=vandal, b=seen), checkpoint_store=store).run(inputs)
    assert inputs == {"list": [1]}
    assert seen.given[0]["list"] == [1, "mine"]


async def test_an_agent_that_keeps_its_output_cannot_change_it_later() -> None:
    kept: dict[str, Any] = {"n": 1}

    def late(inputs: dict[str, Any]) -> dict[str, Any]:
        kept["n"] = 2
        return {}

    result = await PipelineEngine(stages(a=lambda i: kept, b=late)).run({})
    assert result["results"]["a"] == {"n": 1}


async def test_events_are_numbered_and_tell_the_whole_run(store: Store | None) -> None:
    engine = PipelineEngine(stages(a=lambda i: {}), checkpoint_store=store)
    events = await events_of(engine, {})
    expected = ["run_started", "stage_started", "stage_output", "validation", "checkpoint", "run_completed"]
    assert kinds(events) == expected
    assert [event["seq"] for event in events] == [1, 2, 3, 4, 5, 6]
    assert events[2]["duration_ms"] >= 0
    history = engine.history(events[0]["run_id"])
    result = events[-1].pop("result")
    assert [event["type"] for event in history] == expected
    assert history[1] == {**events[1], "at": pytest.approx(events[1]["at"], abs=1e-5)}
    assert result["thread_id"] == events[0]["thread_id"] == history[0]["thread_id"]


async def test_a_stage_that_raises_is_failed_never_success(store: Store | None) -> None:
    broken = Scripted(ValueError("bad column"))
    engine = PipelineEngine(stages(a=lambda i: {"x": 1}, b=broken), checkpoint_store=store)
    result = await engine.run({})
    assert (result["status"], result["stage"]) == ("failed", "b")
    assert result["reason"].startswith("ValueError: bad column")
    assert result["results"] == {"a": {"x": 1}}


@pytest.mark.parametrize("retries", [0, 3])
async def test_max_retries_is_honoured(retries: int) -> None:
    flaky = Scripted(*(ConnectionError(f"try {number}") for number in range(9)))
    result = await PipelineEngine(stages(a=flaky), config=EngineConfig(max_retries=retries)).run({})
    assert (result["status"], len(flaky.given)) == ("failed", retries + 1)


async def test_an_exception_comes_back_as_feedback() -> None:
    agent = Scripted(ValueError("no column 'mas'"), {"ok": True})
    result = await PipelineEngine(stages(a=agent)).run({})
    assert result["status"] == "success"
    assert agent.given[1]["_feedback"]["message"] == "ValueError: no column 'mas'"


async def test_timeout_seconds_bounds_the_run(store: Store | None) -> None:
    async def endless(inputs: dict[str, Any]) -> None:
        await asyncio.Event().wait()

    config = EngineConfig(timeout_seconds=0.05)
    engine = PipelineEngine(stages(a=lambda i: {}, b=endless), config=config, checkpoint_store=store)
    result = await engine.run({})
    assert (result["status"], result["stage"], result["timeout"]) == ("failed", "b", True)


async def test_a_blocking_agent_does_not_stop_the_clock() -> None:
    release = threading.Event()
    config = EngineConfig(timeout_seconds=0.05)
    try:
        result = await PipelineEngine(stages(a=lambda i: release.wait(10)), config=config).run({})
    finally:
        release.set()
    assert result["status"] == "failed"


async def test_cancellation_is_recorded_and_raised_again() -> None:
    store, reached = MemoryStore(), asyncio.Event()
    first = Scripted({"x": 1})

    async def wait_once(inputs: dict[str, Any]) -> dict[str, Any]:
        if not reached.is_set():
            reached.set()
            await asyncio.Event().wait()
        return {"y": inputs["x"]}

    engine = PipelineEngine(stages(a=first, b=wait_once), checkpoint_store=store)
    task = asyncio.create_task(engine.run({}, "t"))
    await reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert store.head("t").run.status == "cancelled"
    result = await engine.resume("t")
    assert (result["status"], result["results"]["b"], len(first.given)) == ("success", {"y": 1}, 1)


async def test_a_stream_that_is_left_can_be_resumed() -> None:
    store = MemoryStore()
    engine = PipelineEngine(stages(a=lambda i: {}, b=lambda i: {}), checkpoint_store=store)
    stream = engine.run_stream({}, "t")
    async for event in stream:
        if event["type"] == "stage_started" and event["stage"] == "b":
            break
    await stream.aclose()
    assert store.head("t").run.status == "cancelled"
    resumed = [event async for event in engine.resume_stream("t")]
    assert started(resumed) == [("b", 2)]


async def test_interrupts_are_never_failures() -> None:
    class Interrupt(BaseException):
        pass

    store = MemoryStore()
    engine = PipelineEngine(stages(a=Scripted(Interrupt())), checkpoint_store=store)
    with pytest.raises(Interrupt):
        await engine.run({}, "t")
    assert store.head("t").run.status == "cancelled"


async def test_parallel_agents_run_together_and_a_failed_one_is_visible() -> None:
    barrier = [asyncio.Event(), asyncio.Event()]

    def meet(mine: int) -> Any:
        async def agent(inputs: dict[str, Any]) -> dict[str, Any]:
            barrier[mine].set()
            await barrier[1 - mine].wait()
            return {"me": mine}

        return agent

    together = StageConfig("p", agents=[meet(0), meet(1)], parallel=True)
    result = await PipelineEngine([together]).run({})
    assert result["results"]["p"] == {"p_0": {"me": 0}, "p_1": {"me": 1}}
    broken = StageConfig("p", agents=[lambda i: {}, Scripted(ValueError("x"))], parallel=True)
    assert (await PipelineEngine([broken]).run({}))["status"] == "failed"


async def test_agents_in_turn_see_each_other_and_the_next_stage_sees_them() -> None:
    second, after = Scripted({"y": 2}, name="second"), Scripted({})
    both = StageConfig("pair", agents=[Scripted({"x": 1}, name="first"), second])
    await PipelineEngine([both, StageConfig("after", after)]).run({})
    assert second.given[0]["x"] == 1
    assert after.given[0]["pair_result"] == {"first": {"x": 1}, "second": {"y": 2}}


async def test_a_gate_stage_that_refuses_rejects_the_run() -> None:
    gate = StageConfig("gate", lambda i: {"passed": False, "reason": "off topic"}, gate=True)
    later = Scripted({})
    result = await PipelineEngine([gate, StageConfig("later", later)]).run({})
    assert (result["status"], result["stage"], result["reason"]) == ("rejected", "gate", "off topic")
    assert later.given == []


@pytest.mark.parametrize("key", ["verdict", "overall_verdict"])
async def test_a_review_sends_work_back_with_its_feedback(key: str) -> None:
    writer = Scripted({"text": "v1"}, {"text": "v2"})
    review = StageConfig("review", Scripted({key: "REVISE", "reason": "thin"}, {key: "PASS"}), review=True)
    engine = PipelineEngine([*stages(plan=lambda i: {}, write=writer), review])
    review.retry_from = "write"
    result = await PipelineEngine(engine._stage_configs).run({})
    assert (result["status"], result["attempts"]) == ("success", {"plan": 1, "write": 2, "review": 2})
    assert writer.given[1]["_feedback"]["message"] == "thin"


@pytest.mark.parametrize("verdicts", [["REJECT"], ["MAYBE"], [None], ["REVISE", "revise", "ReviewVerdict.REVISE"]])
async def test_a_review_that_does_not_pass_is_never_success(verdicts: list[Any]) -> None:
    outputs = [{"verdict": verdict, "n": number} for number, verdict in enumerate(verdicts)]
    result = await PipelineEngine([StageConfig("review", Scripted(*outputs), review=True)]).run({})
    assert (result["status"], result["attempts"]["review"]) == ("rejected", len(verdicts))


async def test_a_failed_validation_is_rejected_when_retries_are_spent() -> None:
    agent = Scripted(*({"n": number} for number in range(9)))
    config = ValidationConfig(required_fields={"a": ["score"]})
    result = await PipelineEngine(stages(a=agent), validation_config=config).run({})
    assert (result["status"], len(agent.given)) == ("rejected", 3)
    assert "score" in result["reason"]


async def test_the_resilient_engine_goes_back_a_stage_when_retries_do_not_help(store: Store | None) -> None:
    loader, analyst = Scripted({"v": 1}, {"v": 2}), Scripted({}, {}, {"score": 1})
    engine = ResilientPipelineEngine(
        stages(load=loader, analysis=analyst),
        validation_config=ValidationConfig(required_fields={"analysis": ["score"]}),
        max_revisions=3,
        checkpoint_store=store,
    )
    events = await events_of(engine, {})
    assert kinds(events, "retry", "rollback") == ["retry", "rollback"]
    assert loader.given[1]["_feedback"]["source"] == "validation"
    assert events[-1]["status"] == "success"


async def test_the_resilient_engine_rolls_back_on_exceptions() -> None:
    loader = Scripted({"v": 1}, {"v": 2})
    broken = Scripted(ConnectionError("1"), ConnectionError("2"), {"ok": 1})
    engine = ResilientPipelineEngine(stages(load=loader, use=broken), config=EngineConfig(max_retries=1))
    events = await events_of(engine, {})
    assert kinds(events, "retry", "rollback") == ["retry", "rollback"]
    assert events[-1]["status"] == "success"
    assert loader.given[1]["_feedback"]["source"] == "error"


async def test_reports_are_made_of_successful_runs_only() -> None:
    class Builder:
        def build(self, results: dict[str, Any], inputs: dict[str, Any]) -> dict[str, Any]:
            return {"title": inputs["t"], "rows": results["a"]["x"]}

    agents = stages(a=lambda i: {"x": 1})
    assert (await PipelineEngine(agents, report_builder=Builder()).run({"t": "T"}))["title"] == "T"
    generated = await PipelineEngine(agents, report_generator=lambda results: {"n": len(results)}).run({})
    assert (generated["n"], generated["status"]) == (1, "success")
    assert (await PipelineEngine(agents, report_generator=lambda results: "text").run({}))["report"] == "text"
    broken = await PipelineEngine(agents, report_builder=Builder()).run({})
    assert (broken["status"], "KeyError" in broken["reason"]) == ("failed", True)


def test_run_sync_works_outside_a_loop() -> None:
    assert PipelineEngine(stages(a=lambda i: {"x": 1})).run_sync({})["status"] == "success"


async def test_run_sync_works_inside_a_loop() -> None:
    assert PipelineEngine(stages(a=lambda i: {"x": 1})).run_sync({})["status"] == "success"


async def test_concurrent_runs_do_not_mix() -> None:
    async def echo(inputs: dict[str, Any]) -> dict[str, Any]:
        await asyncio.sleep(0)
        return {"n": inputs["n"]}

    class Once:
        count = 0

        async def initialize(self) -> None:
            self.count += 1
            await asyncio.sleep(0)

        async def run(self, inputs: dict[str, Any]) -> dict[str, Any]:
            return {}

    once = Once()
    engine = PipelineEngine(stages(once=once, echo=echo))
    results = await asyncio.gather(*(engine.run({"n": number}) for number in range(10)))
    assert [result["results"]["echo"]["n"] for result in results] == list(range(10))
    assert len({result["run_id"] for result in results}) == 10
    assert once.count == 1


async def test_subclasses_set_their_stages_up_as_in_agentflow() -> None:
    class Mine(PipelineEngine):
        async def _setup_stages(self) -> None:
            self._stage_configs = self._parse_stages(stages(a=Greeter))
            for stage in self._stage_configs:
                self._stage_instances[stage.name] = [stage.agent]

    engine = Mine(stages=[])
    assert (await engine.run({"who": "x"}))["status"] == "success"
    assert engine._flow is not None
    assert [stage.name for stage in engine._stages] == ["a"]
    assert await engine._stages[0].execute({"who": "y"}) == {"greeting": "hello y"}


async def test_inputs_that_cannot_be_stored_are_refused_by_path() -> None:
    engine = PipelineEngine(stages(a=lambda i: {}), checkpoint_store=MemoryStore())
    with pytest.raises(SnapshotError, match=r"inputs\.client: object"):
        await engine.run({"client": object()})
    without = PipelineEngine(stages(a=lambda i: {"same": i["client"]}))
    client = object()
    assert (await without.run({"client": client}))["results"]["a"]["same"] is client


async def test_an_output_that_cannot_be_stored_fails_its_stage_by_path() -> None:
    engine = PipelineEngine(stages(a=lambda i: {"x": [object()]}), checkpoint_store=MemoryStore())
    result = await engine.run({})
    assert result["status"] == "failed"
    assert "results.a.x[0]: object" in result["reason"]


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: PipelineEngine([{"name": "a", "agnet": 1}]), "agnet"),
        (lambda: PipelineEngine(stages(a=len) + stages(a=len)), "names must differ"),
        (lambda: PipelineEngine([{"name": "", "agent": len}]), "not empty"),
        (lambda: PipelineEngine(stages(a=len), checkpoint_store="runs.db"), "SqliteStore"),  # type: ignore[arg-type]
    ],
)
def test_what_makes_no_pipeline_is_refused_when_built(build: Any, message: str) -> None:
    with pytest.raises(PipelineError, match=message):
        build()


@pytest.mark.parametrize("agents", [stages(a=None), stages(a=3), []])
async def test_a_stage_needs_something_to_run(agents: Any) -> None:
    with pytest.raises(PipelineError):
        await PipelineEngine(agents).run({})


def test_rules_and_reviews_name_stages_that_exist() -> None:
    with pytest.raises(UnknownStage, match="analysys"):
        PipelineEngine(stages(a=len), validation_config=ValidationConfig(required_fields={"analysys": ["x"]}))
    with pytest.raises(UnknownStage, match="start"):
        PipelineEngine([{"name": "review", "agent": len, "review": True, "retry_from": "start"}])


async def test_configure_changes_later_runs() -> None:
    flaky = Scripted(*(ConnectionError(str(number)) for number in range(9)))
    engine = PipelineEngine(stages(a=flaky)).configure(max_retries=0, colour="red")
    await engine.run({})
    engine.configure(max_retries=1)
    await engine.run({})
    assert len(flaky.given) == 1 + 2
    assert engine.config.extra == {"colour": "red"}


def test_history_of_an_unknown_run_is_an_error() -> None:
    for store in (None, MemoryStore()):
        with pytest.raises(UnknownRun):
            PipelineEngine(stages(a=len), checkpoint_store=store).history("nothing")


async def test_gates_and_stages_may_be_dicts_or_objects_together() -> None:
    gate = QualityGate("g", lambda r: True)
    engine = PipelineEngine([StageConfig("a", len, gates=[gate]), {"name": "b", "agent": len, "gates": [gate]}])
    events = await events_of(engine, {})
    assert [(event["stage"], event["gate"]) for event in events if event["type"] == "gate"] == [("a", "g"), ("b", "g")]
