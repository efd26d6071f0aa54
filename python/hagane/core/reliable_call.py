"""One call of a function under `@reliable`: which errors are tried again, when, and what is counted."""

from __future__ import annotations

import logging
import time
from typing import Any, NamedTuple

from hagane.core.backoff import ceiling, is_control_flow, next_wait
from hagane.core.circuit_breaker import CircuitBreaker, CircuitBreakerOpenError
from hagane.observability.instruments import Counter, Histogram
from hagane.observability.metrics import get_metrics

__all__ = ["ReliableCall", "Rules", "instruments"]

logger = logging.getLogger("hagane.core")

SUCCESS, FAILURE, CIRCUIT_OPEN, STOPPED = "success", "failure", "circuit_open", "cancelled"


class Rules:
    """How often and after which waits a call is tried again."""

    def __init__(self, max_retries: int, retry_delay: float, retry_backoff: str) -> None:
        if not max_retries >= 0 or not retry_delay >= 0:
            raise ValueError(f"max_retries is {max_retries!r}, retry_delay {retry_delay!r}; give 0 or more")
        if retry_backoff not in ("fixed", "exponential"):
            raise ValueError(f"retry_backoff is {retry_backoff!r}; give 'exponential' or 'fixed'")
        self.max_retries = max_retries
        self.retry_delay = retry_delay
        self.fixed = retry_backoff == "fixed"

    def wait(self, error: Exception, failures: int) -> float | None:
        """Return the seconds to wait after the n-th failure, None to give up."""
        if failures > self.max_retries:
            return None
        if self.fixed:
            return next_wait(error, self.retry_delay, self.retry_delay)
        return next_wait(error, 0.0, ceiling(self.retry_delay, 2.0, failures))


class Instruments(NamedTuple):
    """What a function's calls report to."""

    calls: Counter
    duration: Histogram
    retries: Counter


def instruments(name: str) -> Instruments:
    """Return the instruments of a function in the collector that is current now."""
    metrics = get_metrics()
    return Instruments(
        metrics.counter(f"{name}_calls_total", f"Total calls to {name}", ["status"]),
        metrics.histogram(f"{name}_duration_seconds", f"Duration of {name} calls"),
        metrics.counter(f"{name}_retries_total", f"Total retries for {name}"),
    )


class ReliableCall:
    """Enter it around each attempt: an error that is to be tried again is swallowed, and `wait` says for how long."""

    def __init__(self, rules: Rules, breaker: CircuitBreaker | None, name: str, metric: str | None) -> None:
        self.wait = 0.0
        self._rules = rules
        self._breaker = breaker
        self._name = name
        self._instruments = instruments(metric) if metric is not None else None
        self._began = time.monotonic()
        self._failures = 0
        self._last: Exception | None = None
        self._permit: Any = None

    def __enter__(self) -> None:
        if self._breaker is None:
            return
        try:
            self._permit = self._breaker.admit()
        except CircuitBreakerOpenError as refusal:
            self._count(CIRCUIT_OPEN)
            raise refusal from self._last

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> bool:
        if self._breaker is not None:
            self._breaker.settle(self._permit, error)
        if error is None:
            return self._ended(SUCCESS)
        if not isinstance(error, Exception) or is_control_flow(error):
            return self._ended(STOPPED)
        if isinstance(error, CircuitBreakerOpenError):
            self._count(CIRCUIT_OPEN)
            return False
        return self._failed(error)

    def _failed(self, error: Exception) -> bool:
        """Decide about an error; True swallows it, for another attempt."""
        self._failures += 1
        self._last = error
        wait = self._rules.wait(error, self._failures)
        logger.warning(
            "%s failed (attempt %d of %d): %s: %s",
            self._name,
            self._failures,
            self._rules.max_retries + 1,
            type(error).__name__,
            error,
        )
        if wait is None:
            return self._ended(FAILURE)
        self.wait = wait
        if self._instruments is not None:
            self._instruments.retries.inc()
        return True

    def _ended(self, status: str) -> bool:
        self._count(status)
        if self._instruments is not None and status in (SUCCESS, FAILURE):
            self._instruments.duration.observe(time.monotonic() - self._began)
        return False

    def _count(self, status: str) -> None:
        if self._instruments is not None:
            self._instruments.calls.inc(labels={"status": status})
