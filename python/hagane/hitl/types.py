"""What passes between a program and the people who decide: requests, answers, commands, interrupts.

Fields and defaults are AgentFlow's. Times are UTC without a zone (`datetime.utcnow()` compares with them); a time with
a zone is accepted wherever one is given. Waiting times are seconds.
"""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from hagane.core.model import BaseModel, Field, utc_now
from hagane.hitl.kinds import ApprovalStatus, CommandType, InterruptType

__all__ = [
    "ApprovalRequest",
    "ApprovalResponse",
    "ApprovalStatus",
    "Command",
    "CommandType",
    "HITLConfig",
    "InterruptPayload",
    "InterruptType",
]


def _new_id() -> str:
    return str(uuid.uuid4())


class ApprovalRequest(BaseModel):
    """What somebody is asked to approve, and until when.

    `timeout_seconds` counts from the moment the request is made; who makes it sets `expires_at`.
    """

    id: str = Field(default_factory=_new_id)
    action: str = Field(..., description="what is to be done, such as delete_user")
    resource_id: str | None = Field(default=None, description="on what")
    resource_type: str | None = Field(default=None, description="what that is")
    reason: str = Field(..., description="why a person must decide")
    context: dict[str, Any] = Field(default_factory=dict, description="what helps to decide")
    requester: str | None = Field(default=None, description="who asks, such as an agent's name")
    priority: str = Field(default="normal", description="low, normal, high or critical")
    timeout_seconds: int | float | None = Field(default=None, ge=0, description="how long the answer may take")
    expires_at: datetime | None = Field(default=None, description="when no answer counts any more")
    metadata: dict[str, Any] = Field(default_factory=dict)
    created_at: datetime = Field(default_factory=utc_now)


class ApprovalResponse(BaseModel):
    """The answer to a request."""

    request_id: str = Field(..., description="the request that this answers")
    status: ApprovalStatus = Field(..., description="how it was decided")
    approved: bool = Field(default=False, description="whether what was asked may be done")
    approver: str | None = Field(default=None, description="who decided")
    rejection_reason: str | None = Field(default=None, description="why not")
    modifications: dict[str, Any] = Field(default_factory=dict, description="what is to be done differently")
    comment: str | None = Field(default=None)
    responded_at: datetime = Field(default_factory=utc_now)


class Command(BaseModel):
    """How an interrupted run is to go on."""

    type: CommandType = Field(..., description="what to do")
    value: Any = Field(default=None, description="with what: the approved values, updates, feedback or a reason")
    metadata: dict[str, Any] = Field(default_factory=dict)
    issuer: str | None = Field(default=None, description="who says so")
    issued_at: datetime = Field(default_factory=utc_now)

    @classmethod
    def approve(cls, value: Any = None, approver: str | None = None) -> Command:
        """Approve the request; `value` is what the waiting call gets as modifications."""
        return cls(type=CommandType.APPROVE, value=value, issuer=approver)

    @classmethod
    def reject(cls, reason: str | None = None, rejector: str | None = None) -> Command:
        """Refuse the request."""
        return cls(type=CommandType.REJECT, value=reason, issuer=rejector)

    @classmethod
    def update(cls, updates: dict[str, Any], updater: str | None = None) -> Command:
        """Change the output as `updates` says and check it again."""
        return cls(type=CommandType.UPDATE, value=updates, issuer=updater)

    @classmethod
    def retry(cls, feedback: Any = None, issuer: str | None = None) -> Command:
        """Do it once more, with this feedback."""
        return cls(type=CommandType.RETRY, value=feedback, issuer=issuer)

    @classmethod
    def cancel(cls, reason: str | None = None, issuer: str | None = None) -> Command:
        """Give the whole run up."""
        return cls(type=CommandType.CANCEL, value=reason, issuer=issuer)


class InterruptPayload(BaseModel):
    """Where and why a run was interrupted."""

    id: str = Field(default_factory=_new_id)
    interrupt_type: InterruptType = Field(..., description="what is asked for")
    request: ApprovalRequest | None = Field(default=None, description="the request to decide")
    prompt: str | None = Field(default=None, description="what to show to the person")
    options: list[str] | None = Field(default=None, description="the choices, if there are any")
    node_id: str | None = Field(default=None, description="the stage or node")
    flow_id: str | None = Field(default=None, description="the pipeline or flow")
    state: dict[str, Any] = Field(default_factory=dict, description="what the program says about itself")
    created_at: datetime = Field(default_factory=utc_now)


def _usual_actions() -> list[str]:
    return ["delete", "update", "create", "execute"]


class HITLConfig(BaseModel):
    """How an `ApprovalManager` behaves; every field of it has an effect there."""

    enabled: bool = Field(default=True, description="without it every request is approved, and counted as such")
    default_timeout_seconds: int | float = Field(default=3600, ge=0, description="for requests that name no timeout")
    auto_approve_low_risk: bool = Field(default=False, description="approve priority low, save `require_approval_for`")
    require_approval_for: list[str] = Field(
        default_factory=_usual_actions, description="words in an action's name that a person must always decide"
    )
    notification_channels: list[str] = Field(default_factory=list, description="where requests are told")
    escalation_timeout_seconds: int | float = Field(default=1800, ge=0, description="silence before the next level")
    max_pending_requests: int = Field(default=100, ge=1, description="more than this many waiting requests are refused")
