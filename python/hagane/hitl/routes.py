"""The routes of `hagane.hitl.api`. FastAPI reads the annotations here, so they stand in a module that it may import."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, HTTPException

from hagane.errors import InterruptError
from hagane.hitl.api import (
    APIResponse,
    ApprovalListResponse,
    ApprovalRequestResponse,
    ApproveRequest,
    RejectRequest,
    ResumeRequest,
    command_of,
    shown,
)
from hagane.hitl.approval_manager import ApprovalManager
from hagane.hitl.interface import Checkpointer
from hagane.hitl.interrupt import resume_with_command
from hagane.hitl.types import ApprovalRequest

__all__ = ["add_requests", "add_resume"]

NOT_FOUND, CONFLICT, UNPROCESSABLE = 404, 409, 422


def add_requests(router: APIRouter, manager: ApprovalManager) -> None:
    """Add the routes to a manager's requests."""

    @router.get("/requests", response_model=ApprovalListResponse)
    async def list_pending_requests() -> ApprovalListResponse:
        found = [shown(each) for each in await asyncio.to_thread(manager.get_pending_requests)]
        return ApprovalListResponse(requests=found, total=len(found))

    @router.get("/requests/{request_id}", response_model=ApprovalRequestResponse)
    async def get_request(request_id: str) -> ApprovalRequestResponse:
        return shown(await waiting(request_id))

    @router.post("/requests/{request_id}/approve", response_model=APIResponse)
    async def approve_request(request_id: str, body: ApproveRequest) -> APIResponse:
        await waiting(request_id)
        return decided(await manager.approve(request_id, body.approver, body.comment, body.modifications), "approved")

    @router.post("/requests/{request_id}/reject", response_model=APIResponse)
    async def reject_request(request_id: str, body: RejectRequest) -> APIResponse:
        await waiting(request_id)
        return decided(await manager.reject(request_id, body.rejector, body.reason), "rejected")

    @router.post("/requests/{request_id}/escalate", response_model=APIResponse)
    async def escalate_request(request_id: str) -> APIResponse:
        await waiting(request_id)
        if not await manager.escalate(request_id):
            raise HTTPException(CONFLICT, "There is nobody left to escalate the request to")
        return APIResponse(success=True, message="Request escalated")

    async def waiting(request_id: str) -> ApprovalRequest:
        found = await asyncio.to_thread(manager.get_request, request_id)
        if found is None:
            raise HTTPException(NOT_FOUND, "Request not found")
        return found


def decided(counts: bool, how: str) -> APIResponse:
    """Return the answer to a decision, which may have come second."""
    if not counts:
        raise HTTPException(CONFLICT, "The request was decided before, or its time is over")
    return APIResponse(success=True, message=f"Request {how}")


def add_resume(router: APIRouter, checkpointer: Checkpointer) -> None:
    """Add the route that decides the interrupts of threads."""

    @router.post("/resume/{thread_id}", response_model=APIResponse)
    async def resume(thread_id: str, body: ResumeRequest) -> APIResponse:
        checkpoint = await checkpointer.load_latest(thread_id)
        if checkpoint is None or checkpoint.interrupt_payload is None:
            raise HTTPException(NOT_FOUND, "The thread waits for nobody")
        try:
            response = await resume_with_command(command_of(body), checkpointer, checkpoint.checkpoint_id)
        except InterruptError as error:
            raise HTTPException(CONFLICT, str(error)) from error
        except ValueError as error:
            raise HTTPException(UNPROCESSABLE, str(error)) from error
        return APIResponse(success=True, message=f"Interrupt {response.status.value}", data=response.model_dump())
