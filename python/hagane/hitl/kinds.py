"""The kinds of interrupts, answers and commands. They need nothing but the standard library."""

from __future__ import annotations

from enum import Enum

__all__ = ["ApprovalStatus", "CommandType", "InterruptType"]


class InterruptType(str, Enum):
    """What a person is asked for."""

    APPROVAL = "approval"
    INPUT = "input"
    REVIEW = "review"
    CONFIRMATION = "confirmation"
    ESCALATION = "escalation"


class ApprovalStatus(str, Enum):
    """How a request stands."""

    PENDING = "pending"
    APPROVED = "approved"
    REJECTED = "rejected"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


class CommandType(str, Enum):
    """How an interrupted run goes on."""

    RESUME = "resume"
    APPROVE = "approve"
    REJECT = "reject"
    UPDATE = "update"
    CANCEL = "cancel"
    RETRY = "retry"
