"""The part `sandbox`: `agentflow.sandbox.get_sandbox` gives hagane's."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import fields
from types import ModuleType
from typing import Any

from hagane.compat.patches import Patches
from hagane.sandbox import ResourceLimits, SandboxConfig, factory
from hagane.sandbox.base import SandboxProvider

__all__ = ["HOME", "apply"]

HOME = "agentflow.sandbox"


def apply(home: ModuleType, patches: Patches) -> None:
    """Replace `get_sandbox`, and make hagane's providers instances of AgentFlow's `SandboxProvider`."""
    theirs: Callable[..., Any] | None = vars(home).get("get_sandbox")
    if theirs is not None:
        patches.swap(home, "get_sandbox", _make_get_sandbox(theirs))
    base = sys.modules.get(f"{HOME}.base")
    register = getattr(getattr(base, "SandboxProvider", None), "register", None)
    if register is not None:
        register(SandboxProvider)


def _make_get_sandbox(theirs: Callable[..., Any]) -> Callable[..., Any]:
    def get_sandbox(provider: str | None = None, config: Any = None) -> Any:
        """Return hagane's sandbox as `hagane.sandbox.get_sandbox` does, or AgentFlow's if only it has one of that name.

        Raises ValueError for a name that neither knows, SandboxUnavailable if it cannot be had on this machine.
        """
        name = provider or factory.wanted()
        if name not in factory.names():
            return theirs(name, config)
        return factory.get_sandbox(name, _own(config))

    return get_sandbox


def _own(config: Any) -> SandboxConfig | None:
    """Return AgentFlow's configuration as hagane's, which has the same fields."""
    if config is None or isinstance(config, SandboxConfig):
        return config
    values = _shared(config, SandboxConfig)
    limits = values.get("resource_limits")
    if limits is not None and not isinstance(limits, ResourceLimits):
        known = {field.name for field in fields(ResourceLimits)}
        values["resource_limits"] = ResourceLimits(
            **{key: value for key, value in vars(limits).items() if key in known}
        )
    return SandboxConfig(**values)


def _shared(theirs: Any, own: type[Any]) -> dict[str, Any]:
    return {field.name: getattr(theirs, field.name) for field in fields(own) if hasattr(theirs, field.name)}
