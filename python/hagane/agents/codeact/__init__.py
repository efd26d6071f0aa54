"""The CodeAct loop: a model writes code, a sandbox runs it, the result goes back."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hagane.agents.codeact.agent import CodeActAgent
    from hagane.agents.codeact.extract import extract_code

__all__ = ["CodeActAgent", "extract_code"]

_HOMES = {"CodeActAgent": "agent", "extract_code": "extract"}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
