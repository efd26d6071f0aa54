"""Checkpoints of a `RollbackManager`, how it retries, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any

__all__ = ["Checkpoint", "CheckpointStatus", "RetryConfig", "RetryStrategy", "RollbackResult"]


class CheckpointStatus(str, Enum):
    """Whether one can go back to a checkpoint: only to an active one."""

    ACTIVE = "active"
    COMMITTED = "committed"
    ROLLED_BACK = "rolled_back"
    EXPIRED = "expired"


@dataclass
class Checkpoint:
    """A state as it was; what the manager hands out is a copy. `created_at` is local time, as AgentFlow's."""

    id: str
    state: dict[str, Any]
    metadata: dict[str, Any] = field(default_factory=dict)
    parent_id: str | None = None
    status: CheckpointStatus = CheckpointStatus.ACTIVE
    created_at: datetime = field(default_factory=datetime.now)
    description: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the fields; the status as its value, the time in ISO 8601."""
        return {
            "id": self.id,
            "state": self.state,
            "metadata": self.metadata,
            "parent_id": self.parent_id,
            "status": self.status.value,
            "created_at": self.created_at.isoformat(),
            "description": self.description,
        }


@dataclass
class RollbackResult:
    """What became of a rollback; `restored_state` is the caller's to change."""

    success: bool
    checkpoint_id: str
    restored_state: dict[str, Any] | None = None
    message: str = ""
    rolled_back_steps: int = 0


class RetryStrategy(Enum):
    """What an attempt does differently from the one before."""

    SAME = "same"
    ALTERNATIVE = "alternative"
    SIMPLIFIED = "simplified"
    HUMAN_ASSIST = "human_assist"


def _usual_strategies() -> list[RetryStrategy]:
    return [RetryStrategy.SAME, RetryStrategy.ALTERNATIVE, RetryStrategy.SIMPLIFIED]


@dataclass
class RetryConfig:
    """How `retry_with_rollback` tries again.

    Attributes:
        max_retries: Attempts, the first included; there is always a first.
        strategies: One for each attempt; the last goes on for the rest.
        delay_seconds: The ceiling of the first wait; waits are drawn between 0 and the ceiling.
        backoff_multiplier: By which the ceiling grows.
        alternative: Keyword arguments that an ALTERNATIVE attempt takes instead of those of the call.
    """

    max_retries: int = 3
    strategies: list[RetryStrategy] = field(default_factory=_usual_strategies)
    delay_seconds: float = 1.0
    backoff_multiplier: float = 2.0
    alternative: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("max_retries", "delay_seconds", "backoff_multiplier"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} is {getattr(self, name)!r}; give 0 or more")
