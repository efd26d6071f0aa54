"""Asks whoever approves the code of a step, and counts the decision."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable

from hagane.observability import standard

ACTION = "execute_code"
Approve = Callable[[str, int], "bool | Awaitable[bool]"]


async def approved(approve: Approve | None, code: str, step: int) -> bool:
    """Whether `code` may run as step number `step`.

    Only True is consent: any other value, and an exception (which goes on to the caller), is a rejection.
    """
    if approve is None:
        return True
    status = "rejected"
    try:
        decision = approve(code, step)
        if inspect.isawaitable(decision):
            decision = await decision
        if decision is True:
            status = "approved"
    except asyncio.CancelledError:
        status = "cancelled"
        raise
    finally:
        standard.approval(ACTION, status)
    return status == "approved"
