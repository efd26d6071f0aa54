"""When a circuit breaker opens and closes, and the states that it has."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

__all__ = ["CircuitBreakerConfig", "CircuitState"]


class CircuitState(Enum):
    """Whether calls pass."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


@dataclass
class CircuitBreakerConfig:
    """When a breaker opens and closes. Zeros mean what they say.

    Attributes:
        failure_threshold: Failures in a row that open it; 0 and 1 both open at the first.
        recovery_timeout: Seconds from opening until calls are let through to try.
        success_threshold: Successes in a row, half open, that close it.
        excluded_exceptions: Exceptions that are neither failure nor success.
        half_open_limit: How many calls may try at a time, half open.
    """

    failure_threshold: int = 5
    recovery_timeout: float = 30.0
    success_threshold: int = 2
    excluded_exceptions: tuple[type[Exception], ...] = ()
    half_open_limit: int = 1

    def __post_init__(self) -> None:
        least = {"failure_threshold": 0, "recovery_timeout": 0, "success_threshold": 0, "half_open_limit": 1}
        for name, minimum in least.items():
            if not getattr(self, name) >= minimum:
                raise ValueError(f"{name} is {getattr(self, name)!r}; give {minimum} or more")
        self.excluded_exceptions = tuple(self.excluded_exceptions)
