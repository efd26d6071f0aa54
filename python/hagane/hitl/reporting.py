"""What requests for approval tell the standard metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hagane.observability import standard

if TYPE_CHECKING:
    from hagane.hitl.types import ApprovalRequest

__all__ = ["decided", "requested"]


def requested(action: str) -> None:
    """Somebody is asked from now on."""
    standard.declare_approval(action)


def decided(request: ApprovalRequest | Any, status: str) -> None:
    """Somebody answered, or the time is over."""
    if request is not None and status != "pending":
        standard.approval(request.action, status)
