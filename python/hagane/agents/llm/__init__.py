"""Language models for agents: one small interface, and adapters that make anything that answers fit it."""

from __future__ import annotations

from hagane.agents.llm.adapters import as_llm
from hagane.agents.llm.base import LanguageModel, Message, Reply, Usage
from hagane.agents.llm.openai_compatible import OpenAICompatible
from hagane.agents.llm.scripted import ScriptedModel

__all__ = ["LanguageModel", "Message", "OpenAICompatible", "Reply", "ScriptedModel", "Usage", "as_llm"]
