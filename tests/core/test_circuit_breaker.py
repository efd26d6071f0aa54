"""When a circuit breaker opens, lets calls through to try, and closes."""

from __future__ import annotations

import asyncio
import pickle
import threading

import pytest

from hagane.core import CircuitBreaker, CircuitBreakerConfig, CircuitBreakerOpenError, CircuitState
from hagane.errors import HaganeError
from hagane.hitl import InterruptSignal, InterruptType
from hagane.hitl.types import InterruptPayload

STOPS = [
    InterruptSignal(InterruptPayload(interrupt_type=InterruptType.INPUT)),
    asyncio.CancelledError(),
    KeyboardInterrupt(),
]
NONSENSE = {"failure_threshold": -1, "recovery_timeout": float("nan"), "success_threshold": -1, "half_open_limit": 0}


@pytest.fixture
def breaker(clock):
    return CircuitBreaker("api", CircuitBreakerConfig(failure_threshold=3, recovery_timeout=10.0), clock=clock)


async def fail(breaker, error=None):
    with pytest.raises(type(error) if error else ValueError):
        async with breaker:
            raise error or ValueError("down")


async def opened(breaker):
    for _ in range(3):
        await fail(breaker)
    assert breaker.is_open
    return breaker


async def test_failures_in_a_row_open_it(breaker):
    await fail(breaker)
    await fail(breaker)
    async with breaker:
        pass
    await fail(breaker)
    await fail(breaker)
    assert breaker.is_closed
    await fail(breaker)
    assert (breaker.is_open, breaker.state) == (True, CircuitState.OPEN)


async def test_an_open_one_says_when_to_come_back(breaker, clock):
    await opened(breaker)
    clock.now += 4
    with pytest.raises(CircuitBreakerOpenError, match=r"'api' is open. Retry after 6.0s") as refusal:
        async with breaker:
            pytest.fail("a call passed")
    assert (refusal.value.breaker_name, refusal.value.remaining_seconds) == ("api", 6.0)
    assert isinstance(refusal.value, HaganeError)
    again = pickle.loads(pickle.dumps(refusal.value))
    assert (again.breaker_name, again.remaining_seconds, str(again)) == ("api", 6.0, str(refusal.value))


async def test_successes_after_the_timeout_close_it(breaker, clock):
    await opened(breaker)
    clock.now += 10
    async with breaker:
        assert breaker.state is CircuitState.HALF_OPEN
    assert breaker.state is CircuitState.HALF_OPEN
    async with breaker:
        pass
    assert breaker.is_closed


async def test_one_failure_when_half_open_opens_it_for_the_whole_timeout(breaker, clock):
    await opened(breaker)
    clock.now += 10
    await fail(breaker)
    clock.now += 9.5
    with pytest.raises(CircuitBreakerOpenError):
        await breaker.__aenter__()


@pytest.mark.parametrize("state", ["closed", "half_open"])
@pytest.mark.parametrize("error", STOPS, ids=lambda each: type(each).__name__)
async def test_k1_cancellation_and_interrupts_open_nothing(breaker, clock, state, error):
    if state == "half_open":
        await opened(breaker)
        clock.now += 10
    for _ in range(5):
        await fail(breaker, error)
    assert breaker.state.value == state
    assert breaker.get_stats()["failure_count"] == (3 if state == "half_open" else 0)


async def test_k1_a_task_that_is_really_cancelled_opens_nothing(breaker):
    async def waiting():
        async with breaker:
            await asyncio.Event().wait()

    tasks = [asyncio.create_task(waiting()) for _ in range(10)]
    await asyncio.sleep(0)
    for task in tasks:
        task.cancel()
    assert all(
        isinstance(each, asyncio.CancelledError) for each in await asyncio.gather(*tasks, return_exceptions=True)
    )
    assert breaker.is_closed


@pytest.mark.parametrize("limit", [1, 3])
async def test_k2_half_open_lets_only_so_many_calls_try_at_a_time(clock, limit):
    config = CircuitBreakerConfig(1, 10.0, success_threshold=50, half_open_limit=limit)
    breaker = CircuitBreaker("api", config, clock=clock)
    await fail(breaker)
    clock.now += 10
    passed = []

    async def call(number):
        async with breaker:
            passed.append(number)
            await asyncio.sleep(0)

    outcomes = await asyncio.gather(*map(call, range(50)), return_exceptions=True)
    assert len(passed) == limit
    assert sum(isinstance(each, CircuitBreakerOpenError) for each in outcomes) == 50 - limit
    assert {each.remaining_seconds for each in outcomes if each is not None} == {0.0}
    await call("afterwards")


async def test_a_call_that_never_says_how_it_ended_does_not_keep_its_place(breaker, clock):
    await opened(breaker)
    clock.now += 10
    breaker.admit()
    with pytest.raises(CircuitBreakerOpenError):
        breaker.admit()
    clock.now += 10
    breaker.settle(breaker.admit(), None)


async def test_the_outcome_of_a_call_from_before_a_change_does_not_count(breaker, clock):
    slow = breaker.admit()
    await opened(breaker)
    clock.now += 10
    probe = breaker.admit()
    breaker.settle(slow, ValueError("late"))
    assert breaker.state is CircuitState.HALF_OPEN
    breaker.settle(probe, None)
    breaker.settle(slow, None)
    assert breaker.get_stats()["success_count"] == 1


async def test_k3_zeros_are_kept(clock):
    breaker = CircuitBreaker(failure_threshold=0, recovery_timeout=0, clock=clock)
    assert (breaker._config.failure_threshold, breaker._config.recovery_timeout) == (0, 0)
    await fail(breaker)
    assert breaker.is_open
    async with breaker:
        assert breaker.state is CircuitState.HALF_OPEN


@pytest.mark.parametrize("name", NONSENSE)
def test_a_number_that_makes_no_sense_is_refused(name):
    with pytest.raises(ValueError, match=f"{name} is .*or more"):
        CircuitBreakerConfig(**{name: NONSENSE[name]})


async def test_excluded_exceptions_are_neither_failure_nor_success(clock):
    breaker = CircuitBreaker("api", CircuitBreakerConfig(2, excluded_exceptions=(KeyError,)), clock=clock)
    await fail(breaker)
    await fail(breaker, KeyError("bad input"))
    assert breaker.is_closed
    await fail(breaker)
    assert breaker.is_open


async def test_the_refusal_of_a_breaker_within_says_nothing_about_the_one_around_it(breaker):
    for _ in range(5):
        await fail(breaker, CircuitBreakerOpenError("inner", 1.0))
    assert breaker.is_closed


async def test_protect_sends_every_call_through(breaker):
    @breaker.protect
    async def call(value):
        if value is None:
            raise ValueError("down")
        return value

    assert (await call(3), call.__name__) == (3, "call")
    for _ in range(3):
        with pytest.raises(ValueError, match="down"):
            await call(None)
    with pytest.raises(CircuitBreakerOpenError):
        await call(3)


def test_protect_takes_functions_that_block(breaker):
    assert breaker.protect(lambda value: value * 2)(21) == 42
    failing = breaker.protect(lambda: 1 / 0)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            failing()
    with pytest.raises(CircuitBreakerOpenError):
        failing()


def test_protect_refuses_generators(breaker):
    async def stream():
        yield 1

    with pytest.raises(TypeError, match="around the loop"):
        breaker.protect(stream)


def test_reset_closes_it_whatever_was_written_into_it(breaker):
    breaker._state = CircuitState.OPEN
    breaker._failure_count = 10
    breaker.reset()
    assert (breaker.state, breaker._failure_count) == (CircuitState.CLOSED, 0)
    assert breaker.get_stats() == {
        "name": "api",
        "state": "closed",
        "failure_count": 0,
        "success_count": 0,
        "last_failure_time": None,
    }


async def test_a_state_that_was_written_from_outside_holds_for_the_timeout(breaker, clock):
    breaker._state = CircuitState.OPEN
    with pytest.raises(CircuitBreakerOpenError):
        await breaker.__aenter__()
    clock.now += 10
    async with breaker:
        pass


async def test_the_three_calls_of_agentflows_decorator_work(breaker):
    for _ in range(3):
        await breaker._check_state()
        await breaker._record_failure()
    with pytest.raises(CircuitBreakerOpenError):
        await breaker._check_state()


def test_threads_share_one_breaker():
    breaker = CircuitBreaker(failure_threshold=800)

    def failing():
        for _ in range(100):
            with pytest.raises(ValueError, match="down"), breaker:
                raise ValueError("down")

    threads = [threading.Thread(target=failing) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (breaker.is_open, breaker.get_stats()["failure_count"]) == (True, 800)
