"""Something that asks before it deletes."""

from __future__ import annotations

from hagane.hitl import ApprovalRequest, interrupt

DELETE = {"action": "delete_user", "resource_id": "user-1", "reason": "it cannot be undone"}


async def deleting():
    return await interrupt(ApprovalRequest(**DELETE))
