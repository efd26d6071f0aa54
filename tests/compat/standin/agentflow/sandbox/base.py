from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any


@dataclass
class ResourceLimits:
    max_cpu_percent: float = 100.0
    max_memory_mb: int = 1024
    max_disk_mb: int = 1024
    network_enabled: bool = False
    allowed_hosts: list[str] = field(default_factory=list)


@dataclass
class SandboxConfig:
    timeout: float = 60.0
    memory_mb: int = 1024
    cpus: int = 1
    image: str = "python"
    server_url: str | None = None
    api_key: str | None = None
    extra: dict[str, Any] = field(default_factory=dict)
    auto_stop_seconds: int = 0
    auto_archive_seconds: int = 0
    resource_limits: ResourceLimits | None = None


class SandboxProvider(ABC):
    def __init__(self, config: SandboxConfig | None = None) -> None:
        self._config = config or SandboxConfig()

    @abstractmethod
    async def execute(self, code: str, **options: Any) -> Any: ...


class DockerProvider(SandboxProvider):
    async def execute(self, code: str, **options: Any) -> Any:
        raise NotImplementedError
