"""What the configuration says about a request before anybody is asked."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from hagane._core import Blob
from hagane.core.model import as_utc
from hagane.errors import SnapshotError
from hagane.hitl.types import ApprovalRequest, ApprovalResponse, ApprovalStatus, HITLConfig

__all__ = ["by_policy", "check_response", "deadline_of", "decision", "differing"]

# What a request is about; its words may be put another way.
SUBJECT = ("action", "resource_id", "resource_type", "context")


def by_policy(request: ApprovalRequest, config: HITLConfig) -> ApprovalResponse | None:
    """Return the approval that needs nobody, None if a person must decide."""
    if not config.enabled:
        return decision(request.id, ApprovalStatus.APPROVED, "policy", "approval is switched off")
    required = any(word.lower() in request.action.lower() for word in config.require_approval_for)
    if config.auto_approve_low_risk and request.priority == "low" and not required:
        return decision(request.id, ApprovalStatus.APPROVED, "policy", "low risk")
    return None


def decision(request_id: str, status: ApprovalStatus, by: str | None, comment: str | None = None) -> ApprovalResponse:
    """Return an answer."""
    approved = status is ApprovalStatus.APPROVED
    return ApprovalResponse(request_id=request_id, status=status, approved=approved, approver=by, comment=comment)


def differing(one: ApprovalRequest, other: ApprovalRequest) -> str | None:
    """Return the name of something in which two requests differ that makes them different questions."""
    return next((name for name in SUBJECT if not _equal(getattr(one, name), getattr(other, name))), None)


def _equal(one: Any, other: Any) -> bool:
    if one is other:
        return True
    try:
        return Blob(one).address == Blob(other).address
    except SnapshotError:  # In memory a context may hold anything.
        return bool(one == other)


def deadline_of(request: ApprovalRequest, timeout_seconds: float | None, config: HITLConfig, now: datetime) -> datetime:
    """Return until when a request waits: by the call's timeout, else its own, else its deadline, else the default."""
    timeout = request.timeout_seconds if timeout_seconds is None else timeout_seconds
    if timeout is None and request.expires_at is not None:
        return as_utc(request.expires_at)
    timeout = config.default_timeout_seconds if timeout is None else timeout
    if not timeout >= 0:
        raise ValueError(f"timeout_seconds is {timeout!r}; give 0 or more seconds")
    return now + timedelta(seconds=timeout)


def check_response(request_id: str, response: ApprovalResponse) -> None:
    """Raise ValueError for an answer that is none, contradicts itself, or belongs to another request."""
    if response.request_id != request_id:
        raise ValueError(f"the answer is to request {response.request_id!r}, not to {request_id!r}")
    status = ApprovalStatus(response.status)
    if status is ApprovalStatus.PENDING:
        raise ValueError("the answer's status is pending; approve, reject or cancel the request")
    if response.approved != (status is ApprovalStatus.APPROVED):
        raise ValueError(f"the answer's status is {status.value} and its approved {response.approved}; make them agree")
