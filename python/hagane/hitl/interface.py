"""The state of interrupted flows, kept until somebody goes on with them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from datetime import datetime
from typing import Any

from hagane.core.model import BaseModel, Field, utc_now

__all__ = ["CheckpointData", "Checkpointer"]


class CheckpointData(BaseModel):
    """All that is needed to go on: where the flow stands and what it knows. Times are UTC without a zone."""

    checkpoint_id: str = Field(...)
    thread_id: str = Field(..., description="the conversation or session")
    flow_id: str | None = Field(default=None)
    node_id: str | None = Field(default=None, description="where the flow was interrupted")
    state: dict[str, Any] = Field(default_factory=dict)
    inputs: dict[str, Any] = Field(default_factory=dict)
    results: dict[str, Any] = Field(default_factory=dict, description="what the finished nodes gave")
    interrupt_payload: dict[str, Any] | None = Field(default=None)
    parent_checkpoint_id: str | None = Field(default=None)
    metadata: dict[str, Any] = Field(default_factory=dict)
    created_at: datetime = Field(default_factory=utc_now)
    updated_at: datetime = Field(default_factory=utc_now)


class Checkpointer(ABC):
    """What every checkpointer can do. Programs may write their own; hagane asks for nothing beyond these methods."""

    @abstractmethod
    async def save(self, data: CheckpointData) -> str:
        """Keep a snapshot of `data` as the thread's newest, and return its checkpoint_id."""

    @abstractmethod
    async def load(self, checkpoint_id: str) -> CheckpointData | None:
        """Return the checkpoint of that id, None if there is none."""

    @abstractmethod
    async def load_latest(self, thread_id: str) -> CheckpointData | None:
        """Return the thread's newest checkpoint, None if it has none."""

    @abstractmethod
    async def delete(self, checkpoint_id: str) -> bool:
        """Remove a checkpoint; False if there was none of that id."""

    @abstractmethod
    async def list_by_thread(self, thread_id: str) -> list[CheckpointData]:
        """Return the thread's checkpoints, newest first."""
