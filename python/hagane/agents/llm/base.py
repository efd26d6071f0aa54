"""What an agent needs of a language model: messages in, a text and its real token usage out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hagane.observability import standard
from hagane.observability.llm.call import measured
from hagane.observability.llm.usage import Tokens

Message = Mapping[str, str]
"""`{"role": "system" | "user" | "assistant", "content": str}`."""


@dataclass(frozen=True)
class Usage:
    """Tokens that a provider reported; 0 where it reported none (never an estimate)."""

    input_tokens: int = 0
    output_tokens: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(self.input_tokens + other.input_tokens, self.output_tokens + other.output_tokens)

    @classmethod
    def of(cls, reported: Any) -> Usage:
        """From a mapping or object with prompt_tokens/completion_tokens or input_tokens/output_tokens."""
        return cls(
            _count(reported, "input_tokens", "prompt_tokens"),
            _count(reported, "output_tokens", "completion_tokens"),
        )


@dataclass(frozen=True)
class Reply:
    """One answer of a model."""

    text: str
    usage: Usage = field(default_factory=Usage)


class LanguageModel(ABC):
    """A model under a provider's name. Subclasses give `_reply`; `complete` adds what every call owes the metrics."""

    def __init__(self, *, provider: str, model: str) -> None:
        self.provider = provider
        self.model = model
        standard.declare_llm(provider, model)

    async def complete(self, messages: Sequence[Message]) -> Reply:
        """Answers the conversation.

        Raises whatever the provider raises. Each call's status, seconds and tokens are counted.
        """
        with measured(self.provider, self.model, {"input": messages}) as call:
            reply = await self._reply(messages)
            call.text_whole(reply.text)
            if reply.usage != Usage():
                call.reported(Tokens(reply.usage.input_tokens, reply.usage.output_tokens))
        return reply

    @abstractmethod
    async def _reply(self, messages: Sequence[Message]) -> Reply:
        """One call of the model."""


def lookup(source: Any, name: str) -> Any:
    """`source[name]` or `source.name`, whichever there is; else None."""
    if isinstance(source, Mapping):
        return source.get(name)
    return getattr(source, name, None)


def _count(reported: Any, *names: str) -> int:
    for name in names:
        value = lookup(reported, name)
        if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
            return value
    return 0
