"""What AgentFlow's `AgentBlock` gives every agent, for agents that hagane makes retryable.

The life cycle is here; descriptions of an agent (agent.yaml, MCP tools, A2A cards, AG-UI events) are AgentFlow's own
formats, made by AgentFlow where it is installed.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["AgentBase"]


def _agentflow(name: str, attribute: str, purpose: str) -> Any:
    """Return something of AgentFlow's; ImportError that says what it is needed for."""
    try:
        return getattr(import_module(f"agentflow.{name}"), attribute)
    except ImportError as error:
        raise ImportError(f"{purpose} is made by agentflow.{name}; install AgentFlow to use it ({error})") from error


class AgentBase(ABC):
    """An agent: `async with agent` initializes it and cleans up; `run` does its work."""

    def __init__(self, metadata_path: str | Path = "agent.yaml", engine: Any = None) -> None:
        self._metadata_path = Path(metadata_path)
        self._metadata: Any = None
        self._engine = engine
        self._initialized = False

    @abstractmethod
    async def run(self, input_data: dict[str, Any]) -> dict[str, Any]:
        """Do the agent's work."""

    async def initialize(self) -> None:
        """Get ready; subclasses load models and open connections here."""
        self._initialized = True

    async def cleanup(self) -> None:
        """Give everything back."""
        self._initialized = False

    async def __aenter__(self) -> Self:
        await self.initialize()
        return self

    async def __aexit__(self, exc_type: type[BaseException] | None, exc_val: BaseException | None, exc_tb: Any) -> None:
        await self.cleanup()

    @property
    def is_initialized(self) -> bool:
        """Whether `initialize` has run and `cleanup` has not."""
        return self._initialized

    @property
    def engine(self) -> Any:
        """The agent's AgentFlowEngine, made on first use; ImportError where AgentFlow is not installed."""
        if self._engine is None:
            self._engine = _agentflow("core.engine", "AgentFlowEngine", "an agent's engine")()
        return self._engine

    @property
    def metadata(self) -> Any:
        """What `load_metadata` read, None before."""
        return self._metadata

    def get_metadata(self) -> Any:
        """Return `metadata`."""
        return self._metadata

    def load_metadata(self, metadata_path: str | Path | None = None) -> Any:
        """Read agent.yaml; FileNotFoundError if it is not there, ImportError where AgentFlow is not installed."""
        path = self._metadata_path = Path(metadata_path or self._metadata_path)
        if not path.exists():
            raise FileNotFoundError(f"Metadata file not found: {path}")
        self._metadata = _agentflow("core.schemas", "SchemaLoader", "an agent's description")().load_from_file(path)
        return self._metadata

    def get_mcp_tools(self) -> list[dict[str, Any]]:
        """Return the MCP tools that the metadata declares; none without metadata."""
        if self._metadata is None or not self._metadata.protocols.mcp:
            return []
        adapter = _agentflow("adapters.protocol_adapter", "ProtocolAdapter", "an MCP tool's definition")
        tools: list[dict[str, Any]] = adapter.generate_mcp_tools(self._metadata)
        return tools

    def get_a2a_card(self) -> Any:
        """Return the A2A card that the metadata declares, None if it declares none."""
        a2a = self._metadata.protocols.a2a if self._metadata is not None else None
        if a2a is None or not a2a.enabled:
            return None
        adapter = _agentflow("adapters.protocol_adapter", "ProtocolAdapter", "an A2A card")
        return adapter.generate_a2a_card(self._metadata)

    def create_agui_emitter(self, engine: Any) -> Any:
        """Return an AG-UI event emitter for an engine; ImportError where AgentFlow is not installed."""
        return _agentflow("protocols.agui_emitter", "AGUIEventEmitter", "an AG-UI event emitter")(engine)
