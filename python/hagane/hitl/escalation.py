"""Who is told next when nobody answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias

from hagane.hitl.types import ApprovalRequest, ApprovalResponse

__all__ = ["ApprovalCallback", "EscalationLevel"]

# Told of a request; what it returns, if anything, is its decision.
ApprovalCallback: TypeAlias = Callable[[ApprovalRequest], Awaitable[ApprovalResponse | None]]


@dataclass(frozen=True)
class EscalationLevel:
    """One level of an escalation chain.

    Attributes:
        name: Who, for logs and for the request's metadata.
        callback: How they are told.
        after_seconds: How long the request, or the level before, may stay without an answer; None for the
            configuration's `escalation_timeout_seconds`.
    """

    name: str
    callback: ApprovalCallback
    after_seconds: float | None = None

    def __post_init__(self) -> None:
        if self.after_seconds is not None and not self.after_seconds >= 0:
            raise ValueError(f"after_seconds of level {self.name!r} is {self.after_seconds!r}; give 0 or more seconds")
