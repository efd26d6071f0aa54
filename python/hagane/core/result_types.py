"""The result of a flow, and what every store of results can do."""

from __future__ import annotations

from abc import ABC, abstractmethod
from datetime import datetime
from typing import Any

from hagane.core.model import BaseModel, Field

__all__ = ["FlowResult", "ResultStore"]


class FlowResult(BaseModel):
    """What a flow gave. `created_at` is local time, as AgentFlow's."""

    result_id: str = Field(...)
    flow_id: str = Field(...)
    status: str = Field(default="success")
    data: dict[str, Any] = Field(default_factory=dict)
    created_at: datetime = Field(default_factory=datetime.now)
    metadata: dict[str, Any] = Field(default_factory=dict)


class ResultStore(ABC):
    """Keeps results by id."""

    @abstractmethod
    async def save(self, result: FlowResult) -> None:
        """Keep a result, in place of one of the same id."""

    @abstractmethod
    async def get(self, result_id: str) -> FlowResult | None:
        """Return a result, None if there is none of that id."""

    @abstractmethod
    async def delete(self, result_id: str) -> bool:
        """Remove a result; False if there was none of that id."""

    @abstractmethod
    async def list_results(self, flow_id: str | None = None, limit: int = 100) -> list[FlowResult]:
        """Return the newest results, of one flow or of all, the newest first."""
