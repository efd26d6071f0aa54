"""Which sandbox `get_sandbox()` gives."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from hagane.sandbox.local import LocalProvider

if TYPE_CHECKING:
    from hagane.sandbox.base import SandboxConfig, SandboxProvider

_PROVIDERS: dict[str, type[SandboxProvider]] = {"local": LocalProvider}


def names() -> frozenset[str]:
    """Return the names that `get_sandbox` takes."""
    return frozenset(_PROVIDERS) | {"auto"}


def wanted() -> str:
    """Return the name that the environment chooses."""
    return os.environ.get("HAGANE_SANDBOX") or os.environ.get("AGENTFLOW_SANDBOX") or "local"


def get_sandbox(provider: str | None = None, config: SandboxConfig | None = None) -> SandboxProvider:
    """A sandbox by name, or the one that the environment chooses.

    The name is the argument, else `HAGANE_SANDBOX`, else `AGENTFLOW_SANDBOX`, else `local`. There is never a silent
    step down to weaker isolation.

    Raises:
        ValueError: an unknown provider name.
        SandboxUnavailable: the provider cannot be had on this machine.
    """
    name = provider or wanted()
    kind = _PROVIDERS.get("local" if name == "auto" else name)
    if kind is None:
        raise ValueError(f"unknown sandbox provider {name!r}; known are {', '.join(sorted(_PROVIDERS))} and auto")
    return kind(config)
