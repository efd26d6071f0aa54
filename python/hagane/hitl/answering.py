"""What a command means as an answer to an interrupt."""

from __future__ import annotations

from typing import Any

from hagane.hitl.types import ApprovalResponse, ApprovalStatus, Command, CommandType, InterruptPayload, InterruptType

__all__ = ["expired", "response_to"]

# Interrupts that ask for something other than leave to do a thing.
QUESTIONS = (InterruptType.INPUT, InterruptType.REVIEW)
# A choice among options is answered by these.
CHOOSING = (CommandType.APPROVE, CommandType.RESUME)


def response_to(command: Command, payload: InterruptPayload) -> ApprovalResponse:
    """Return the answer; only APPROVE approves, and RESUME where a question was asked.

    Raises:
        ValueError: The value is none of the payload's options, or the updates are not a dictionary.
    """
    kind = CommandType(command.type)
    _check(command, kind, payload)
    approved = kind is CommandType.APPROVE or (kind is CommandType.RESUME and payload.interrupt_type in QUESTIONS)
    status = {CommandType.REJECT: ApprovalStatus.REJECTED, CommandType.CANCEL: ApprovalStatus.CANCELLED}.get(
        kind, ApprovalStatus.APPROVED if approved else ApprovalStatus.PENDING
    )
    refused = kind in (CommandType.REJECT, CommandType.CANCEL)
    return ApprovalResponse(
        request_id=_request_id(payload),
        status=status,
        approved=approved,
        approver=command.issuer,
        rejection_reason=_reason(command, kind) if refused else None,
        modifications={} if refused else _modifications(command.value),
        comment=None if refused or kind is CommandType.APPROVE else kind.value,
    )


def expired(payload: InterruptPayload) -> ApprovalResponse:
    """Return the answer of somebody who never gave one."""
    return ApprovalResponse(
        request_id=_request_id(payload),
        status=ApprovalStatus.EXPIRED,
        approved=False,
        rejection_reason="Request expired due to timeout",
    )


def _request_id(payload: InterruptPayload) -> str:
    return payload.request.id if payload.request else payload.id


def _reason(command: Command, kind: CommandType) -> str | None:
    if command.value is not None:
        return str(command.value)
    return "Cancelled by user" if kind is CommandType.CANCEL else None


def _modifications(value: Any) -> dict[str, Any]:
    if value is None:
        return {}
    return value if isinstance(value, dict) else {"value": value}


def _check(command: Command, kind: CommandType, payload: InterruptPayload) -> None:
    if kind is CommandType.UPDATE and not isinstance(command.value, dict):
        raise ValueError(f"an update is a dictionary of new values, not {type(command.value).__name__}")
    if payload.options and kind in CHOOSING and command.value not in payload.options:
        raise ValueError(f"{command.value!r} is not one of the options {payload.options}")
