"""What requests for approval tell the standard metrics."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from hagane.observability import standard

if TYPE_CHECKING:
    from hagane.hitl.types import ApprovalRequest

__all__ = ["Waiting", "decided", "requested", "waiting"]


def requested(action: str) -> None:
    """Somebody is asked from now on."""
    standard.declare_approval(action)
    standard.approval_requested(action)


def decided(request: ApprovalRequest | Any, status: str) -> None:
    """Somebody answered, or the time is over."""
    if request is not None and status != "pending":
        standard.approval(request.action, status)


class Waiting:
    """One wait of this process."""

    def __init__(self, action: str) -> None:
        self._action = action
        self._began = time.monotonic()
        self._escalated = False
        standard.approval_waiting(action, 1)

    def escalated(self) -> None:
        """It was escalated, and goes on."""
        if not self._escalated:
            self._escalated = True
            standard.escalation_waiting(self._action, 1)

    def answered(self, status: str) -> None:
        """An answer, or the end of the time, ended it."""
        standard.approval_waited(self._action, status, time.monotonic() - self._began)

    def end(self) -> None:
        """It ended, however that was."""
        standard.approval_waiting(self._action, -1)
        if self._escalated:
            standard.escalation_waiting(self._action, -1)


def waiting(action: str) -> Waiting:
    """Begin to wait; `end` must follow."""
    return Waiting(action)
