from __future__ import annotations

from agentflow.sandbox.base import DockerProvider, SandboxConfig, SandboxProvider


def get_sandbox(provider: str = "microsandbox", config: SandboxConfig | None = None) -> SandboxProvider:
    if provider == "docker":
        return DockerProvider(config)
    raise ValueError(f"Unknown sandbox provider: {provider}")


__all__ = ["SandboxConfig", "SandboxProvider", "get_sandbox"]
