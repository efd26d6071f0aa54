"""Budgets of attempts, time, tokens and money; waits between attempts. Time is virtual."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from typing import Any

import pytest
from pipeline_helpers import Scripted, events_of, kinds, stages
from virtual_time import run_virtually

from hagane.engines import EngineConfig, Environment, PipelineEngine, StageConfig, current_stage
from hagane.engines.backoff import retry_after
from hagane.errors import PipelineError
from hagane.observability import standard
from hagane.rollback import MemoryStore
from hagane.validation import QualityGate


def failing(times: int, make: Callable[[int], Exception] = lambda number: ConnectionError(str(number))) -> Scripted:
    return Scripted(*(make(number) for number in range(times)), {"ok": 1})


def test_waits_double_up_to_the_cap_and_are_drawn_below_their_bound() -> None:
    async def work(environment: Environment) -> list[float]:
        times: list[float] = []
        agent = failing(5)
        plain = agent.run

        async def timed(inputs: dict[str, Any]) -> Any:
            times.append(environment.monotonic())
            return await plain(inputs)

        agent.run = timed  # type: ignore[method-assign]
        config = EngineConfig(max_retries=5, backoff_seconds=1, backoff_cap_seconds=5, timeout_seconds=None)
        result = await PipelineEngine(stages(a=agent), config=config, environment=environment).run({})
        assert result["status"] == "success"
        return [round(later - earlier, 3) for earlier, later in itertools.pairwise(times)]

    assert run_virtually(work) == [1, 2, 4, 5, 5]


def test_a_refused_output_is_made_again_at_once() -> None:
    async def work(environment: Environment) -> None:
        gate = QualityGate("g", lambda r: r["n"] == 2, stages=["a"])
        config = EngineConfig(backoff_seconds=100)
        agent = Scripted({"n": 1}, {"n": 2})
        begun = environment.monotonic()
        await PipelineEngine(stages(a=agent), quality_gates=[gate], config=config, environment=environment).run({})
        assert environment.monotonic() - begun < 1

    run_virtually(work)


class TooMany(Exception):
    def __init__(self, said: Any) -> None:
        super().__init__("429")
        self.headers = {"Retry-After": said}


def test_retry_after_is_a_least() -> None:
    async def work(environment: Environment) -> None:
        config = EngineConfig(backoff_seconds=0, backoff_cap_seconds=60)
        agent = Scripted(TooMany("7"), {"ok": 1})
        begun = environment.monotonic()
        await PipelineEngine(stages(a=agent), config=config, environment=environment).run({})
        assert environment.monotonic() - begun == pytest.approx(7, abs=0.01)

    run_virtually(work)


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("7", 7),
        (2.5, 2.5),
        ("Tue, 14 Nov 2023 22:13:30 GMT", 10),
        ("Tue, 14 Nov 2023 22:13:00 GMT", 0),
        ("soon", None),
        (None, None),
        (True, None),
        ("-3", 0),
    ],
)
def test_retry_after_is_read_in_both_forms(said: Any, seconds: float | None) -> None:
    assert retry_after(TooMany(said), 1_700_000_000) == seconds
    outer = ValueError("outer")
    outer.__cause__ = TooMany(said)
    assert retry_after(outer, 1_700_000_000) == seconds


def test_a_wait_does_not_outlast_the_runs_time() -> None:
    async def work(environment: Environment) -> None:
        config = EngineConfig(backoff_seconds=500, backoff_cap_seconds=500, timeout_seconds=30)
        begun = environment.monotonic()
        result = await PipelineEngine(stages(a=failing(1)), config=config, environment=environment).run({})
        assert (result["status"], result["timeout"]) == ("failed", True)
        assert environment.monotonic() - begun == pytest.approx(30)

    run_virtually(work)


def test_a_stages_time_is_for_all_its_attempts_and_retries_inherit_the_rest() -> None:
    lasted: list[float] = []

    async def work(environment: Environment) -> None:
        async def slow(inputs: dict[str, Any]) -> None:
            begun = environment.monotonic()
            try:
                await asyncio.sleep(6)
                raise ConnectionError("after six seconds")
            finally:
                lasted.append(environment.monotonic() - begun)

        config = EngineConfig(max_retries=9, backoff_seconds=0)
        stage = StageConfig("a", slow, timeout_seconds=10)
        result = await PipelineEngine([stage], config=config, environment=environment).run({})
        assert result["status"] == "failed"
        assert "timeout_seconds" in result["reason"]

    run_virtually(work)
    assert lasted == [pytest.approx(6, abs=0.1), pytest.approx(4, abs=0.1)]


async def test_a_stages_attempts_are_counted_over_all_reasons() -> None:
    agent = Scripted(*({"n": number} for number in range(9)))
    gates = [QualityGate("g", lambda r: False, stages=["a"], max_attempts=9, on_exhausted="abort")]
    result = await PipelineEngine([StageConfig("a", agent, max_attempts=2)], quality_gates=gates).run({})
    assert (result["status"], len(agent.given)) == ("rejected", 2)


def spending(tokens: int, cost: float = 0.0) -> Any:
    async def agent(inputs: dict[str, Any]) -> dict[str, Any]:
        current_stage().spend(tokens, cost)
        return {}

    return agent


async def test_tokens_of_the_run_end_it_before_the_next_stage() -> None:
    after = Scripted({})
    engine = PipelineEngine(stages(a=spending(100), b=after), config=EngineConfig(max_tokens=100))
    result = await engine.run({})
    assert (result["status"], result["budget"], after.given) == ("failed", "tokens", [])
    assert result["used"] == {"a": {"tokens": 100, "cost": 0.0}}


async def test_what_must_be_reserved_must_be_left() -> None:
    hungry = StageConfig("b", Scripted({}), reserve_tokens=50)
    engine = PipelineEngine([StageConfig("a", spending(60)), hungry], config=EngineConfig(max_tokens=100))
    assert (await engine.run({}))["budget"] == "tokens"
    assert (await engine.configure(max_tokens=110).run({}))["status"] == "success"


async def test_spending_too_much_raises_in_the_agent_and_is_not_retried() -> None:
    calls: list[int] = []

    async def agent(inputs: dict[str, Any]) -> None:
        calls.append(1)
        current_stage().spend(cost=0.3)

    engine = PipelineEngine([StageConfig("a", agent, max_cost=0.25)], config=EngineConfig(max_retries=9))
    result = await engine.run({})
    assert (result["status"], len(calls), result["used"]["a"]["cost"]) == ("failed", 1, 0.3)
    assert "BudgetSpent" in result["reason"]


async def test_model_calls_are_booked_by_themselves() -> None:
    async def agent(inputs: dict[str, Any]) -> dict[str, Any]:
        standard.llm_call("p", "m", status="success", seconds=0.1, input_tokens=30, output_tokens=12)
        standard.llm_cost("p", "m", "USD", 0.5)
        return {"left": current_stage().tokens_left}

    engine = PipelineEngine([StageConfig("a", agent, max_tokens=50)])
    result = await engine.run({})
    assert result["used"] == {"a": {"tokens": 42, "cost": 0.5}}
    assert result["results"]["a"] == {"left": 8}


async def test_what_was_spent_stays_spent_over_a_resume() -> None:
    broken = [ValueError("x"), ValueError("x")]

    async def agent(inputs: dict[str, Any]) -> dict[str, Any]:
        current_stage().spend(40)
        if broken:
            raise broken.pop()
        return {"left": current_stage().tokens_left}

    store = MemoryStore()
    engine = PipelineEngine([StageConfig("a", agent, max_tokens=130)], checkpoint_store=store)
    assert (await engine.run({}, "t"))["status"] == "failed"
    assert (await engine.resume("t"))["results"]["a"] == {"left": 10}


@pytest.mark.parametrize(
    "build",
    [
        lambda: EngineConfig(max_tokens=-1),
        lambda: EngineConfig(max_retries=-1),
        lambda: EngineConfig(backoff_seconds=float("nan")),
        lambda: EngineConfig(on_conflict="fight"),
        lambda: StageConfig("a", len, max_cost=float("inf")),
        lambda: StageConfig("a", len, timeout_seconds="3"),  # type: ignore[arg-type]
        lambda: StageConfig("a", len, compensate=3),  # type: ignore[arg-type]
        lambda: StageConfig("a", len, on_error="explode"),
        lambda: StageConfig("a", len, on_error="quorum(0)", parallel=True),
        lambda: StageConfig("a", agents=[len, len], on_error="quorum(3)", parallel=True),
        lambda: StageConfig("a", agents=[len, len], on_error="quorum(1)"),
    ],
)
def test_amounts_and_words_that_cannot_be_meant_are_refused(build: Callable[[], Any]) -> None:
    with pytest.raises(PipelineError):
        build()


def test_configure_refuses_as_a_whole() -> None:
    engine = PipelineEngine(stages(a=len))
    with pytest.raises(PipelineError, match="max_tokens is -5"):
        engine.configure(name="other", max_tokens=-5)
    assert (engine.config.name, engine.config.max_tokens) == ("engine", None)


async def test_spending_a_negative_amount_is_refused() -> None:
    result = await PipelineEngine(stages(a=spending(-5))).run({})
    assert "give 0 or more" in result["reason"]
    events = await events_of(PipelineEngine(stages(a=spending(1))), {})
    assert kinds(events)[-1] == "run_completed"
