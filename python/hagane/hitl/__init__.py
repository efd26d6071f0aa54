"""A human in the loop: requests for approval, interrupts and how runs go on after them.

Names are AgentFlow's. Importing the package loads neither pydantic nor asyncio; its parts load on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

# Not lazily: loading the submodule of that name would put the module in the function's place.
from hagane.hitl.interrupt import (
    InterruptError,
    InterruptSignal,
    InterruptTimeoutError,
    answers,
    clear_interrupt,
    get_current_interrupt,
    interrupt,
    is_interrupted,
    resume_with_command,
    set_checkpointer,
    set_thread_id,
)
from hagane.hitl.kinds import ApprovalStatus, CommandType, InterruptType

if TYPE_CHECKING:
    from hagane.hitl.api import create_hitl_router
    from hagane.hitl.approval_manager import ApprovalManager
    from hagane.hitl.checkpointer import CheckpointData, Checkpointer, MemoryCheckpointer
    from hagane.hitl.escalation import ApprovalCallback, EscalationLevel
    from hagane.hitl.factory import get_checkpointer
    from hagane.hitl.postgres_checkpointer import PostgresCheckpointer
    from hagane.hitl.redis_checkpointer import RedisCheckpointer
    from hagane.hitl.sqlite_checkpointer import SqliteCheckpointer
    from hagane.hitl.types import ApprovalRequest, ApprovalResponse, Command, HITLConfig, InterruptPayload

__all__ = [
    "ApprovalCallback",
    "ApprovalManager",
    "ApprovalRequest",
    "ApprovalResponse",
    "ApprovalStatus",
    "CheckpointData",
    "Checkpointer",
    "Command",
    "CommandType",
    "EscalationLevel",
    "HITLConfig",
    "InterruptError",
    "InterruptPayload",
    "InterruptSignal",
    "InterruptTimeoutError",
    "InterruptType",
    "MemoryCheckpointer",
    "PostgresCheckpointer",
    "RedisCheckpointer",
    "SqliteCheckpointer",
    "answers",
    "clear_interrupt",
    "create_hitl_router",
    "get_checkpointer",
    "get_current_interrupt",
    "interrupt",
    "is_interrupted",
    "resume_with_command",
    "set_checkpointer",
    "set_thread_id",
]

_HOMES = {
    "ApprovalCallback": "escalation",
    "ApprovalManager": "approval_manager",
    "ApprovalRequest": "types",
    "ApprovalResponse": "types",
    "CheckpointData": "checkpointer",
    "Checkpointer": "checkpointer",
    "Command": "types",
    "EscalationLevel": "escalation",
    "HITLConfig": "types",
    "InterruptPayload": "types",
    "MemoryCheckpointer": "checkpointer",
    "PostgresCheckpointer": "postgres_checkpointer",
    "RedisCheckpointer": "redis_checkpointer",
    "SqliteCheckpointer": "sqlite_checkpointer",
    "create_hitl_router": "api",
    "get_checkpointer": "factory",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
