"""Letting a service that fails alone for a while.

Closed: calls pass, failures in a row are counted. Open: no call passes until the recovery timeout is over. Half open:
as many calls as `half_open_limit` says pass at a time to try; enough successes close, one failure opens again.
The pattern is from M. Nygard, "Release It!" (2007).
"""

from __future__ import annotations

import inspect
import logging
import threading
import time
from collections.abc import Callable
from contextvars import ContextVar
from functools import wraps
from typing import Any, NamedTuple, TypeVar, cast

from hagane.core.backoff import is_control_flow
from hagane.core.circuit_config import CircuitBreakerConfig, CircuitState
from hagane.errors import CircuitBreakerOpenError

__all__ = ["CircuitBreaker", "CircuitBreakerConfig", "CircuitBreakerOpenError", "CircuitState"]

logger = logging.getLogger("hagane.core")
F = TypeVar("F", bound=Callable[..., Any])


class _Permit(NamedTuple):
    """Leave to make one call: under which state of the breaker it was given, and when."""

    generation: int
    probe: bool
    at: float


# Permits of calls that this context is in, with the breaker's identity. One variable for all breakers: contexts keep
# their variables alive.
_entered: ContextVar[tuple[tuple[int, _Permit], ...]] = ContextVar("hagane_circuit_permits", default=())


class CircuitBreaker:
    """Opens after failures in a row; use it as `async with breaker`, `with breaker` or `@breaker.protect`.

    One breaker may be used by many tasks, threads and event loops. Cancellation, exit and `InterruptSignal` are
    neither failure nor success; the outcome of a call counts only if the state has not changed since it began.

    Args:
        name: For messages and statistics.
        config: Everything; the two arguments below are looked at only without it.
        failure_threshold: As in `CircuitBreakerConfig`.
        recovery_timeout: As in `CircuitBreakerConfig`.
        clock: Seconds that only grow.

    Raises:
        ValueError: A threshold or timeout below its minimum.
    """

    def __init__(
        self,
        name: str = "default",
        config: CircuitBreakerConfig | None = None,
        *,
        failure_threshold: int | None = None,
        recovery_timeout: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name = name
        self._config = config or CircuitBreakerConfig(
            failure_threshold=5 if failure_threshold is None else failure_threshold,
            recovery_timeout=30.0 if recovery_timeout is None else recovery_timeout,
        )
        # The refusal of another breaker within says nothing about this one's service.
        self._neither = (*self._config.excluded_exceptions, CircuitBreakerOpenError)
        self._clock = clock
        self._lock = threading.Lock()
        self._generation = 0
        # What every call gets while the breaker is closed.
        self._pass = _Permit(0, probe=False, at=0.0)
        self._last_failure_time: float | None = None
        self._opened_at: float | None = None
        self._forget()

    @property
    def name(self) -> str:
        """The breaker's name."""
        return self._name

    @property
    def state(self) -> CircuitState:
        """The state now; an open breaker becomes half open when the next call asks."""
        return self._state

    @property
    def is_closed(self) -> bool:
        """Whether calls pass freely."""
        return self._state is CircuitState.CLOSED

    @property
    def is_open(self) -> bool:
        """Whether calls are refused."""
        return self._state is CircuitState.OPEN

    async def __aenter__(self) -> CircuitBreaker:
        return self.__enter__()

    async def __aexit__(self, exc_type: type[BaseException] | None, exc_val: BaseException | None, exc_tb: Any) -> None:
        self.__exit__(exc_type, exc_val, exc_tb)

    def __enter__(self) -> CircuitBreaker:
        permit = self.admit()
        _entered.set((*_entered.get(), (id(self), permit)))
        return self

    def __exit__(self, exc_type: type[BaseException] | None, exc_val: BaseException | None, exc_tb: Any) -> None:
        self.settle(self._leave(), exc_val)

    def _leave(self) -> _Permit | None:
        """Take back the permit of this context's innermost call through this breaker; None in another context."""
        entered = _entered.get()
        for index in range(len(entered) - 1, -1, -1):
            if entered[index][0] == id(self):
                _entered.set(entered[:index] + entered[index + 1 :])
                return entered[index][1]
        return None

    # AgentFlow's `reliable`, and programs after its example, call these three.

    async def _check_state(self) -> None:
        self.__enter__()

    async def _record_success(self) -> None:
        self.settle(self._leave(), None)

    async def _record_failure(self) -> None:
        self.settle(self._leave(), Exception())

    def admit(self) -> _Permit:
        """Return leave to make one call; hand it to `settle` when the call has ended.

        Raises:
            CircuitBreakerOpenError: No call passes now.
        """
        if self._state is CircuitState.CLOSED:
            return self._pass
        with self._lock:
            now = self._clock()
            if self._state is CircuitState.OPEN:
                # Without a time the state was set from outside: it counts from now.
                self._opened_at = now if self._opened_at is None else self._opened_at
                remaining = self._opened_at + self._config.recovery_timeout - now
                if remaining > 0:
                    raise CircuitBreakerOpenError(self._name, remaining)
                self._become(CircuitState.HALF_OPEN)
            permit = _Permit(self._generation, self._state is CircuitState.HALF_OPEN, now)
            if permit.probe:
                self._begin_probe(permit)
            return permit

    def settle(self, permit: _Permit | None, error: BaseException | None) -> None:
        """Count how a call ended: None is a success, `error` what it raised."""
        if error is None and permit is self._pass and not self._failure_count:
            return
        with self._lock:
            if permit is not None:
                if permit in self._probes:
                    self._probes.remove(permit)
                if permit.generation != self._generation:
                    return
            if error is None:
                self._succeeded()
            elif not is_control_flow(error) and not isinstance(error, self._neither):
                self._failed()

    def protect(self, func: F) -> F:
        """Send every call of a function, async or not, through the breaker."""
        if inspect.isasyncgenfunction(func) or inspect.isgeneratorfunction(func):
            raise TypeError(f"{func!r} is a generator; enter the breaker around the loop over it instead")
        if not inspect.iscoroutinefunction(inspect.unwrap(func)):

            @wraps(func)
            def blocking(*args: Any, **kwargs: Any) -> Any:
                with self:
                    return func(*args, **kwargs)

            return cast("F", blocking)

        @wraps(func)
        async def waiting(*args: Any, **kwargs: Any) -> Any:
            async with self:
                return await func(*args, **kwargs)

        return cast("F", waiting)

    def reset(self) -> None:
        """Close the breaker and forget what it counted."""
        with self._lock:
            self._forget()

    def get_stats(self) -> dict[str, Any]:
        """Return name, state, both counts, and the time of the last failure (seconds since 1970, None if none)."""
        return {
            "name": self._name,
            "state": self._state.value,
            "failure_count": self._failure_count,
            "success_count": self._success_count,
            "last_failure_time": self._last_failure_time,
        }

    def _turn(self) -> None:
        """Let the outcome of calls that have begun count no more."""
        self._generation += 1
        self._pass = _Permit(self._generation, probe=False, at=0.0)
        self._probes: list[_Permit] = []

    def _forget(self) -> None:
        self._turn()
        self._state = CircuitState.CLOSED
        self._failure_count = 0
        self._success_count = 0
        self._last_failure_time = None
        self._opened_at = None

    def _become(self, state: CircuitState) -> None:
        logger.log(logging.WARNING if state is CircuitState.OPEN else logging.INFO, "circuit %r: %s", self._name, state)
        self._turn()
        self._state = state
        self._success_count = 0
        if state is CircuitState.OPEN:
            self._opened_at = self._clock()
        elif state is CircuitState.CLOSED:
            self._failure_count, self._opened_at = 0, None

    def _begin_probe(self, permit: _Permit) -> None:
        # A caller that never told how its call ended must not keep the place for ever.
        patience = max(self._config.recovery_timeout, 1.0)
        self._probes = [probe for probe in self._probes if permit.at - probe.at < patience]
        if len(self._probes) >= self._config.half_open_limit:
            raise CircuitBreakerOpenError(self._name, 0.0)
        self._probes.append(permit)

    def _succeeded(self) -> None:
        if self._state is CircuitState.HALF_OPEN:
            self._success_count += 1
            if self._success_count >= self._config.success_threshold:
                self._become(CircuitState.CLOSED)
        elif self._state is CircuitState.CLOSED:
            self._failure_count = 0

    def _failed(self) -> None:
        self._last_failure_time = time.time()
        if self._state is CircuitState.HALF_OPEN:
            self._become(CircuitState.OPEN)
        elif self._state is CircuitState.CLOSED:
            self._failure_count += 1
            if self._failure_count >= self._config.failure_threshold:
                self._become(CircuitState.OPEN)
