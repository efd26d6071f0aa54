"""`@reliable`: what is tried again, what is counted, and whose breaker it is."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from hagane.core import CircuitBreakerConfig, CircuitBreakerOpenError, get_circuit_breaker, reliable
from hagane.errors import MetricError
from hagane.hitl import InterruptSignal, InterruptType
from hagane.hitl.types import InterruptPayload
from hagane.observability import get_metrics, setup_metrics

SIGNAL = InterruptSignal(InterruptPayload(interrupt_type=InterruptType.INPUT))
STOPS = [SIGNAL, asyncio.CancelledError(), KeyboardInterrupt()]
numbers = itertools.count()


@pytest.fixture
def name():
    """A name that no other test uses: breakers and metrics belong to the process."""
    return f"reliable_{next(numbers)}"


@pytest.fixture
def calls(name):
    """How many calls of `name` ended in a status."""
    return lambda status: get_metrics().counter(f"{name}_calls_total", "", ["status"]).get({"status": status})


def failing(times, error=None, **options):
    """A reliable function that raises so many times, and how often it was called."""
    made = []

    @reliable(**options)
    async def call(value="ok"):
        made.append(value)
        if len(made) <= times:
            raise error or ValueError("down")
        return value

    return call, made


async def test_a_function_that_fails_is_tried_again(name, sleeps, longest_waits, calls):
    call, made = failing(2, metric_name=name)
    assert await call("done") == "done"
    assert (len(made), sleeps) == (3, [1.0, 2.0])
    assert (calls("success"), calls("failure")) == (1, 0)
    assert get_metrics().counter(f"{name}_retries_total").get() == 2
    assert get_metrics().histogram(f"{name}_duration_seconds").get_stats()["count"] == 1


async def test_the_last_error_is_raised(name, sleeps, calls):
    call, made = failing(9, metric_name=name, max_retries=2)
    with pytest.raises(ValueError, match="down"):
        await call()
    assert (len(made), calls("failure")) == (3, 1)


async def test_waits_are_jittered_below_a_ceiling_that_doubles(name, sleeps):
    call, _ = failing(9, metric_name=name, max_retries=6, retry_delay=0.5)
    with pytest.raises(ValueError, match="down"):
        await call()
    assert all(0 <= wait <= 0.5 * 2**index for index, wait in enumerate(sleeps))
    assert len({wait / 2**index for index, wait in enumerate(sleeps)}) == 6


async def test_a_fixed_backoff_is_fixed(name, sleeps):
    call, _ = failing(3, metric_name=name, retry_backoff="fixed", retry_delay=0.5)
    await call()
    assert sleeps == [0.5, 0.5, 0.5]


async def test_a_retry_after_is_waited_for_unless_it_is_too_long(name, sleeps, calls):
    error = ValueError("busy")
    error.retry_after = 20
    call, _ = failing(1, error, metric_name=name)
    await call()
    assert sleeps == [20.0]
    error.retry_after = 3600
    call, made = failing(1, error, metric_name=name)
    with pytest.raises(ValueError, match="busy"):
        await call()
    assert (len(made), calls("failure")) == (1, 1)


@pytest.mark.parametrize("error", STOPS, ids=lambda each: type(each).__name__)
async def test_reliable_does_not_retry_an_interrupt_signal_nor_a_cancellation(name, sleeps, calls, error):
    call, made = failing(9, error, metric_name=name, circuit_breaker=name, failure_threshold=1)
    with pytest.raises(type(error)) as raised:
        await call()
    assert raised.value is error
    assert (len(made), sleeps) == (1, [])
    assert (calls("failure"), calls("success"), calls("cancelled")) == (0, 0, 1)
    assert get_circuit_breaker(name).is_closed


def test_k4_a_second_configuration_of_one_breaker_is_an_error(name):
    first = get_circuit_breaker(name, CircuitBreakerConfig(failure_threshold=7))
    assert get_circuit_breaker(name) is first
    assert get_circuit_breaker(name, CircuitBreakerConfig(failure_threshold=7)) is first
    with pytest.raises(ValueError, match=f"'{name}' exists with .*=7.* asked for with .*=5"):
        get_circuit_breaker(name, CircuitBreakerConfig(failure_threshold=5))
    with pytest.raises(ValueError, match="another name"):
        reliable(circuit_breaker=name)(test_k4_a_second_configuration_of_one_breaker_is_an_error)


async def test_k5_instruments_are_asked_for_when_the_call_is_made(name):
    call, _ = failing(0, metric_name=name)
    before = get_metrics()._prefix
    await call()
    try:
        metrics = setup_metrics(prefix=f"other_{name}")
        await call()
        assert metrics.counter(f"{name}_calls_total", "", ["status"]).get({"status": "success"}) == 1
    finally:
        setup_metrics(prefix=before)


async def test_a_breaker_that_opens_ends_the_attempts_with_the_error_as_cause(name, sleeps, calls):
    call, made = failing(9, metric_name=name, circuit_breaker=name, failure_threshold=2)
    with pytest.raises(CircuitBreakerOpenError) as refused:
        await call()
    assert isinstance(refused.value.__cause__, ValueError)
    assert (len(made), calls("circuit_open"), calls("failure")) == (2, 1, 0)


async def test_another_breakers_refusal_is_not_retried(name, sleeps, calls):
    call, made = failing(9, CircuitBreakerOpenError("inner", 1.0), metric_name=name, circuit_breaker=name)
    with pytest.raises(CircuitBreakerOpenError, match="inner"):
        await call()
    assert (len(made), calls("circuit_open")) == (1, 1)


def test_functions_that_block_are_tried_again_too(name, sleeps, calls):
    made = []

    @reliable(metric_name=name, retry_backoff="fixed", max_retries=2)
    def call(fails):
        made.append(1)
        if len(made) <= fails:
            raise ValueError("down")
        return len(made)

    assert (call(2), sleeps, calls("success")) == (3, [1.0, 1.0], 1)
    with pytest.raises(ValueError, match="down"):
        call(99)


async def test_without_metrics_nothing_is_registered(name):
    call, _ = failing(0, record_metrics=False, metric_name=name)
    await call()
    assert f"{name}_calls_total" not in get_metrics().to_prometheus()


def test_a_lambda_has_a_name_that_metrics_can_have():
    assert reliable()(lambda: 5)() == 5


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"max_retries": -1}, "max_retries is -1"),
        ({"retry_delay": -1.0}, "retry_delay -1.0"),
        ({"retry_backoff": "linear"}, "'linear'"),
    ],
)
def test_options_that_make_no_sense_are_refused_at_decoration(wrong, message):
    with pytest.raises(ValueError, match=message):
        reliable(**wrong)


def test_a_metric_name_that_cannot_be_one_is_refused_at_decoration():
    with pytest.raises(MetricError):
        reliable(metric_name="not a name")(len)
