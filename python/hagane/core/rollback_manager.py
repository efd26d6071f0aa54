"""Checkpoints of a program's own state in memory, and operations that are tried again from one of them."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from hagane.core.backoff import ceiling, is_control_flow, next_wait
from hagane.core.checkpoint_chain import CheckpointChain
from hagane.core.rollback_types import Checkpoint, CheckpointStatus, RetryConfig, RetryStrategy, RollbackResult
from hagane.core.state_copy import StateCopy
from hagane.core.strategies import arguments_for, called, name_of

__all__ = [
    "Checkpoint",
    "CheckpointStatus",
    "ProtectedState",
    "RetryConfig",
    "RetryStrategy",
    "RollbackManager",
    "RollbackResult",
]

logger = logging.getLogger("hagane.core")


class ProtectedState:
    """The state within `RollbackManager.protected_execution`."""

    def __init__(self, state: dict[str, Any], checkpoint_id: str) -> None:
        self.state = state
        self.checkpoint_id = checkpoint_id

    def update_state(self, updates: dict[str, Any]) -> None:
        """Merge `updates` into the state."""
        self.state.update(updates)


class RollbackManager:
    """Keeps checkpoints of a state and goes back to them. States go in and come out as copies.

    Args:
        max_checkpoints: How many stay, at least 1. Those that were rolled back or committed go first, then the oldest;
            never the current one nor one that an operation is being tried from. What goes is said in the log.
        auto_cleanup: Whether that happens by itself.
        retry_config: For `retry_with_rollback`.
    """

    def __init__(
        self, max_checkpoints: int = 50, auto_cleanup: bool = True, retry_config: RetryConfig | None = None
    ) -> None:
        if max_checkpoints < 1:
            raise ValueError(f"max_checkpoints is {max_checkpoints}; give 1 or more")
        self._chain = CheckpointChain()
        self._max_checkpoints = max_checkpoints
        self._auto_cleanup = auto_cleanup
        self._retry_config = retry_config or RetryConfig()

    async def create_checkpoint(
        self, state: dict[str, Any], description: str = "", metadata: dict[str, Any] | None = None
    ) -> str:
        """Keep a copy of `state` after the current checkpoint, as the new current one; return its id."""
        checkpoint_id = str(uuid.uuid4())
        self._chain.add(checkpoint_id, StateCopy(state), description, metadata)
        if self._auto_cleanup:
            self._chain.shrink(self._max_checkpoints)
        return checkpoint_id

    async def rollback(self, checkpoint_id: str | None = None, steps: int = 1) -> RollbackResult:
        """Go back to a checkpoint, or `steps` checkpoints back from the current one.

        The checkpoints after it become rolled back. An unknown, committed or rolled back target, or fewer than
        `steps` checkpoints before the current one, is a result with `success` False, and nothing has changed.
        """
        target = checkpoint_id or self._chain.back(steps)
        if target is None:
            missing = f"there are not {steps} checkpoints before the current one; nothing was rolled back"
            return RollbackResult(success=False, checkpoint_id="", message=missing)
        if refusal := self._chain.refusal(target):
            return RollbackResult(success=False, checkpoint_id=target, message=refusal)
        undone = self._chain.return_to(target)
        kept = self._chain.checkpoint(target)
        return RollbackResult(
            success=True,
            checkpoint_id=target,
            restored_state=kept.state,
            message=f"rolled back to {kept.description or target}",
            rolled_back_steps=undone,
        )

    async def commit(self, checkpoint_id: str | None = None) -> bool:
        """Mark a checkpoint, by default the current one, as done with; False if there is none of that id."""
        return self._chain.commit(checkpoint_id)

    async def retry_with_rollback(
        self, operation: Callable[..., Any], state: dict[str, Any], *args: Any, **kwargs: Any
    ) -> tuple[Any, dict[str, Any]]:
        """Call `operation(*args, **kwargs)`, async or not, until it succeeds; return its result and the final state.

        An operation with a parameter `state` gets a copy of the state to work on, a fresh one for each attempt; what
        it makes of it is the final state. One with a parameter `strategy` gets the attempt's `RetryStrategy`.
        SIMPLIFIED lowers `max_tokens` to 1000 and `temperature` to 0 where the call gives them; ALTERNATIVE takes
        what `RetryConfig.alternative` has; HUMAN_ASSIST asks with `hagane.hitl.interrupt()` and takes an approval's
        modifications as arguments.

        Raises:
            Exception: What the last attempt raised; cancellation, exit and `InterruptSignal` are raised at once.
        """
        guard = await self.create_checkpoint(state, f"retry: {name_of(operation)}")
        with self._chain.pinned(guard):
            result, final = await self._attempts(guard, operation, args, kwargs)
        await self.commit(guard)
        return result, final

    async def _attempts(
        self, guard: str, operation: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[Any, dict[str, Any]]:
        error: Exception | None = None
        for attempt in range(1, max(1, self._retry_config.max_retries) + 1):
            strategy = self._strategy(attempt)
            state = self._chain.checkpoint(guard).state
            changed = await arguments_for(strategy, kwargs, self._retry_config.alternative, operation, error)
            try:
                return await called(operation, args, changed, state, strategy), state
            except BaseException as raised:
                await self.rollback(guard)
                wait = None if is_control_flow(raised) else self._wait(raised, attempt)
                if wait is None or not isinstance(raised, Exception):
                    raise
                error = raised
                logger.warning("%s: attempt %d failed (%s)", name_of(operation), attempt, raised)
            await asyncio.sleep(wait)
        raise AssertionError("the last attempt raises")

    def _strategy(self, attempt: int) -> RetryStrategy:
        strategies = self._retry_config.strategies or [RetryStrategy.SAME]
        return strategies[min(attempt, len(strategies)) - 1]

    def _wait(self, error: BaseException, attempt: int) -> float | None:
        config = self._retry_config
        if attempt >= config.max_retries:
            return None
        return next_wait(error, 0.0, ceiling(config.delay_seconds, config.backoff_multiplier, attempt))

    @asynccontextmanager
    async def protected_execution(self, state: dict[str, Any]) -> AsyncIterator[ProtectedState]:
        """Work on a copy of `state`: commit a checkpoint of it at the end, go back to it if the block raises."""
        guard = await self.create_checkpoint(state, "protected execution")
        with self._chain.pinned(guard):
            try:
                yield ProtectedState(self._chain.checkpoint(guard).state, guard)
            except BaseException:
                await self.rollback(guard)
                raise
        await self.commit(guard)

    def get_checkpoint(self, checkpoint_id: str) -> Checkpoint | None:
        """Return a copy of a checkpoint, None if there is none of that id."""
        return self._chain.checkpoint(checkpoint_id) if checkpoint_id in self._chain else None

    def get_checkpoint_chain(self) -> list[Checkpoint]:
        """Return copies of all checkpoints, the oldest first."""
        return [self._chain.checkpoint(each) for each in self._chain.ids()]

    def get_stats(self) -> dict[str, Any]:
        """Return how many checkpoints there are, by status too, how many may be, and the current one's id."""
        counts = {status.value: 0 for status in CheckpointStatus}
        for each in self._chain.ids():
            counts[self._chain.status(each).value] += 1
        return {
            "total_checkpoints": len(self._chain.ids()),
            "max_checkpoints": self._max_checkpoints,
            "current_checkpoint_id": self._chain.current,
            "status_counts": counts,
        }
