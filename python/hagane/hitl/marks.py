"""Facts about an interrupt that are written once: its answer, and that the answer was delivered.

Our checkpointers write them atomically, whoever writes at the same time. One that offers only AgentFlow's interface
gets a checkpoint per fact in a thread of its own: two writers in the same moment may then both believe they were first.
"""

from __future__ import annotations

from enum import Enum
from typing import Any, Protocol, runtime_checkable

from hagane.core.model import BaseModel
from hagane.hitl.interface import CheckpointData, Checkpointer

__all__ = ["Marking", "get", "plain", "put_once"]


@runtime_checkable
class Marking(Protocol):
    """A checkpointer that can write a fact once."""

    async def put_mark(self, thread_id: str, name: str, value: dict[str, Any]) -> bool:
        """Write `value`, unless something of that name is there; tell whether it was written."""

    async def get_mark(self, thread_id: str, name: str) -> dict[str, Any] | None:
        """Return what was written, None if nothing was."""


async def put_once(checkpointer: Checkpointer, thread_id: str, name: str, value: dict[str, Any]) -> bool:
    """Write a fact unless it is there; tell whether it was written."""
    if isinstance(checkpointer, Marking):
        return await checkpointer.put_mark(thread_id, name, value)
    if await checkpointer.load(name) is not None:
        return False
    await checkpointer.save(CheckpointData(checkpoint_id=name, thread_id=f"{thread_id}#marks", state=value))
    return True


async def get(checkpointer: Checkpointer, thread_id: str, name: str) -> dict[str, Any] | None:
    """Return a fact, None if it is not there."""
    if isinstance(checkpointer, Marking):
        return await checkpointer.get_mark(thread_id, name)
    data = await checkpointer.load(name)
    return None if data is None else data.state


def plain(value: Any) -> Any:
    """Return a model's fields as a dictionary, its enums as their values; what users put into it stays as it is."""
    if isinstance(value, BaseModel):
        return {name: plain(getattr(value, name)) for name in type(value).model_fields}
    return value.value if isinstance(value, Enum) else value
