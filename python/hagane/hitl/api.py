"""Deciding over HTTP: a FastAPI router (`pip install fastapi`).

- GET `/hitl/requests`: what waits; GET `/hitl/requests/{id}`: one of them
- POST `/hitl/requests/{id}/approve`, `/reject`, `/escalate`
- POST `/hitl/resume/{thread_id}`: decide the interrupt that a thread waits for, if there is a checkpointer

The router asks nobody who he is: whoever reaches it can decide. Put it behind the application's own authentication
(`app.include_router(router, dependencies=[...])`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hagane.core.model import BaseModel, Field
from hagane.hitl.types import ApprovalRequest, Command, CommandType

if TYPE_CHECKING:
    from fastapi import APIRouter

    from hagane.hitl.approval_manager import ApprovalManager
    from hagane.hitl.interface import Checkpointer

__all__ = [
    "APIResponse",
    "ApprovalListResponse",
    "ApprovalRequestResponse",
    "ApproveRequest",
    "RejectRequest",
    "ResumeRequest",
    "create_hitl_router",
]


class ApproveRequest(BaseModel):
    """Body of an approval."""

    approver: str | None = Field(default=None)
    comment: str | None = Field(default=None)
    modifications: dict[str, Any] = Field(default_factory=dict)


class RejectRequest(BaseModel):
    """Body of a refusal."""

    rejector: str | None = Field(default=None)
    reason: str | None = Field(default=None)


class ResumeRequest(BaseModel):
    """Body of a decision on an interrupt; `command_type` is a value of `CommandType`."""

    command_type: str = Field(...)
    value: Any = Field(default=None)
    issuer: str | None = Field(default=None)


class ApprovalRequestResponse(BaseModel):
    """A request that waits."""

    id: str
    action: str
    reason: str
    priority: str
    context: dict[str, Any]
    requester: str | None
    created_at: str


class ApprovalListResponse(BaseModel):
    """All requests that wait."""

    requests: list[ApprovalRequestResponse]
    total: int


class APIResponse(BaseModel):
    """What became of a decision."""

    success: bool
    message: str
    data: dict[str, Any] = Field(default_factory=dict)


def create_hitl_router(
    approval_manager: ApprovalManager,
    *,
    prefix: str = "/hitl",
    tags: list[str] | None = None,
    checkpointer: Checkpointer | None = None,
) -> APIRouter:
    """Return the router of a manager; with a checkpointer, threads that wait for an interrupt can be resumed too.

    Raises:
        ImportError: FastAPI is not installed.
    """
    try:
        from fastapi import APIRouter
    except ImportError as error:
        raise ImportError("FastAPI is needed for the HTTP interface: pip install fastapi") from error
    from hagane.hitl.routes import add_requests, add_resume

    router = APIRouter(prefix=prefix, tags=list(tags or ["hitl"]))
    add_requests(router, approval_manager)
    if checkpointer is not None:
        add_resume(router, checkpointer)
    return router


def shown(request: ApprovalRequest) -> ApprovalRequestResponse:
    """Return a request as it is sent."""
    return ApprovalRequestResponse(
        id=request.id,
        action=request.action,
        reason=request.reason,
        priority=request.priority,
        context=request.context,
        requester=request.requester,
        created_at=request.created_at.isoformat(),
    )


def command_of(body: ResumeRequest) -> Command:
    """Return the command that a body asks for; ValueError for one that there is not."""
    return Command(type=CommandType(body.command_type), value=body.value, issuer=body.issuer)
