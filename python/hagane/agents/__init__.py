"""Agents: a model that acts by writing code (`CodeActAgent`), and the adapters that make any model usable by it."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hagane.agents.codeact.agent import CodeActAgent
    from hagane.agents.codeact.extract import extract_code
    from hagane.agents.llm import LanguageModel, OpenAICompatible, Reply, ScriptedModel, Usage, as_llm

__all__ = [
    "CodeActAgent",
    "LanguageModel",
    "OpenAICompatible",
    "Reply",
    "ScriptedModel",
    "Usage",
    "as_llm",
    "extract_code",
]

_HOMES = {"CodeActAgent": "codeact.agent", "extract_code": "codeact.extract"}


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(importlib.import_module(f"{__name__}.{_HOMES.get(name, 'llm')}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
