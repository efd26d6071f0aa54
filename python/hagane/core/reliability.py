"""`@reliable`: retries, a circuit breaker and metrics around one function.

The metrics of a function `call_api` are `call_api_calls_total{status}`, `call_api_duration_seconds` and
`call_api_retries_total`, under the prefix of the metrics collector that is current when the call is made.
"""

from __future__ import annotations

import asyncio
import inspect
import re
import threading
import time
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

from hagane.core.circuit_breaker import CircuitBreaker, CircuitBreakerConfig
from hagane.core.reliable_call import ReliableCall, Rules, instruments

__all__ = ["get_circuit_breaker", "reliable"]

F = TypeVar("F", bound=Callable[..., Any])

_circuit_breakers: dict[str, CircuitBreaker] = {}
_lock = threading.Lock()


def get_circuit_breaker(name: str, config: CircuitBreakerConfig | None = None) -> CircuitBreaker:
    """Return the process's breaker of this name, made with `config` if it is new.

    Raises:
        ValueError: A breaker of this name exists and was configured otherwise.
    """
    with _lock:
        breaker = _circuit_breakers.get(name)
        if breaker is None:
            breaker = _circuit_breakers[name] = CircuitBreaker(name, config)
        elif config is not None and config != breaker._config:
            raise ValueError(
                f"circuit breaker {name!r} exists with {breaker._config}, and is asked for with {config}; "
                "give both the same configuration, or another name"
            )
        return breaker


def reliable(
    *,
    max_retries: int = 3,
    retry_delay: float = 1.0,
    retry_backoff: str = "exponential",
    circuit_breaker: str | None = None,
    failure_threshold: int = 5,
    recovery_timeout: float = 30.0,
    record_metrics: bool = True,
    metric_name: str | None = None,
) -> Callable[[F], F]:
    """Retry a function, async or not, when it raises.

    Cancellation, exit and `InterruptSignal` are raised at once and are no failures. A refusal by an open circuit is
    raised at once, with the call's own error as its cause. A `Retry-After` of up to a minute is waited for; a longer
    one ends the retries.

    Args:
        max_retries: Attempts after the first.
        retry_delay: Seconds; the ceiling of the first wait.
        retry_backoff: "exponential" draws each wait between 0 and a ceiling that doubles; "fixed" waits `retry_delay`.
        circuit_breaker: The name of a breaker; functions with the same name share it. None for none.
        failure_threshold: The breaker's.
        recovery_timeout: The breaker's, seconds.
        record_metrics: Whether calls are counted and timed.
        metric_name: What the metrics' names begin with; the function's name if None.

    Raises:
        ValueError: A number below 0, an unknown backoff, or a breaker that exists with another configuration.
        MetricError: A `metric_name` that cannot begin a metric's name.
    """
    rules = Rules(max_retries, retry_delay, retry_backoff)

    def decorate(func: F) -> F:
        breaker = None
        if circuit_breaker:
            limits = CircuitBreakerConfig(failure_threshold=failure_threshold, recovery_timeout=recovery_timeout)
            breaker = get_circuit_breaker(circuit_breaker, limits)
        name = metric_name or re.sub(r"\W", "_", getattr(func, "__name__", "function"), flags=re.ASCII).strip("_")
        if record_metrics:
            instruments(name)  # A bad name is found here; the instruments are asked for anew with each call.
        return _around(func, rules, breaker, name, metric=name if record_metrics else None)

    return decorate


def _around(func: F, rules: Rules, breaker: CircuitBreaker | None, name: str, metric: str | None) -> F:
    if not inspect.iscoroutinefunction(inspect.unwrap(func)):

        @wraps(func)
        def blocking(*args: Any, **kwargs: Any) -> Any:
            call = ReliableCall(rules, breaker, name, metric)
            while True:
                with call:
                    return func(*args, **kwargs)
                time.sleep(call.wait)

        return cast("F", blocking)

    @wraps(func)
    async def waiting(*args: Any, **kwargs: Any) -> Any:
        call = ReliableCall(rules, breaker, name, metric)
        while True:
            with call:
                return await func(*args, **kwargs)
            await asyncio.sleep(call.wait)

    return cast("F", waiting)
