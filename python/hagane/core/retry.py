"""Agents that try again."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from hagane.core.agent_base import AgentBase
from hagane.core.backoff import ceiling, is_control_flow, next_wait
from hagane.core.model import BaseModel, Field

__all__ = ["RetryConfig", "RetryableAgent"]

logger = logging.getLogger("hagane.core")


def _every_exception() -> list[type[Exception]]:
    return [Exception]


class RetryConfig(BaseModel):
    """When an agent tries again.

    The n-th wait is drawn between `wait_min` and `wait_min * growth ** n`, at most `wait_max` seconds. The growth is
    `wait_multiplier` if that is above 1; anything else, AgentFlow's default too, would not grow, and doubles. A given 0
    counts: with `wait_min=0` or `wait_max=0` there is no wait at all (AgentFlow waits 1, 2, 4 seconds for the former).
    """

    max_attempts: int = Field(default=3, ge=1, description="attempts, the first included")
    wait_multiplier: float = Field(default=1.0, ge=0.0, description="how the ceiling of the waits grows")
    wait_min: float = Field(default=1.0, ge=0.0, description="the shortest wait, seconds")
    wait_max: float = Field(default=60.0, ge=0.0, description="the longest wait, seconds; also after a Retry-After")
    retry_on_exceptions: list[type[Exception]] = Field(
        default_factory=_every_exception, description="exceptions after which the agent tries again"
    )


class RetryableAgent(AgentBase):
    """An agent whose `_run_impl` is tried again when it raises; subclasses write that method.

    Cancellation, exit and `InterruptSignal` are never retried. If the exception carries a Retry-After, the wait is at
    least that; one beyond `wait_max` ends the attempts.
    """

    def __init__(self, retry_config: RetryConfig | None = None) -> None:
        super().__init__()
        self._retry_config = retry_config or RetryConfig()

    async def run(self, input_data: dict[str, Any]) -> dict[str, Any]:
        """Run `_run_impl`, and again as the configuration says; raises what the last attempt raised."""
        attempt = 1
        while True:
            try:
                return await self._run_impl(input_data)
            except Exception as error:
                wait = self._wait(error, attempt)
                if wait is None:
                    raise
                logger.warning(
                    "%s: attempt %d of %d failed (%s: %s); the next begins in %.2f s",
                    type(self).__name__,
                    attempt,
                    self._retry_config.max_attempts,
                    type(error).__name__,
                    error,
                    wait,
                )
            await asyncio.sleep(wait)
            attempt += 1

    def _wait(self, error: Exception, attempt: int) -> float | None:
        """Return the seconds to wait after the n-th attempt, None if there is no further one."""
        config = self._retry_config
        retried = isinstance(error, tuple(config.retry_on_exceptions)) and not is_control_flow(error)
        if not retried or attempt >= config.max_attempts:
            return None
        growth = config.wait_multiplier if config.wait_multiplier > 1 else 2.0
        least = min(config.wait_min, config.wait_max)
        return next_wait(error, least, ceiling(least * growth, growth, attempt, config.wait_max), config.wait_max)

    async def _run_impl(self, input_data: dict[str, Any]) -> dict[str, Any]:
        """Do the agent's work once."""
        raise NotImplementedError(f"{type(self).__name__} must implement _run_impl(input_data)")
