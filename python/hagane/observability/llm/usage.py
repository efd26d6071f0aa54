"""Tokens as a provider reported them, whichever of the usual shapes the report has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

__all__ = ["NONE", "Tokens", "answer_text", "estimate", "lookup", "text_bytes"]

# Bytes of UTF-8 per token: near the mean of common tokenizers for English, and of the right order for others.
BYTES_PER_TOKEN = 4
# Where requests keep their text.
TEXTS = ("messages", "system", "instructions", "prompt", "input", "content", "text")


class Tokens(NamedTuple):
    """Token numbers; None where nothing was reported.

    `input` has the cached ones in it; `cached` were read from a cache, `cache_write` written to one.
    """

    input: int | None = None
    output: int | None = None
    cached: int = 0
    cache_write: int = 0

    def __bool__(self) -> bool:
        return self.input is not None or self.output is not None

    def updated(self, later: Tokens) -> Tokens:
        """What is known after a later report of the same call, which wins where it says something."""
        return Tokens(
            self.input if later.input is None else later.input,
            self.output if later.output is None else later.output,
            later.cached or self.cached,
            later.cache_write or self.cache_write,
        )

    def plus(self, other: Tokens) -> Tokens:
        """The sum of two calls."""
        return Tokens(
            _sum(self.input, other.input),
            _sum(self.output, other.output),
            self.cached + other.cached,
            self.cache_write + other.cache_write,
        )

    def minus(self, other: Tokens) -> Tokens:
        """What is in this and was not in `other`; NONE where there is nothing more."""
        given = max(0, (self.input or 0) - (other.input or 0))
        taken = max(0, (self.output or 0) - (other.output or 0))
        cached, written = max(0, self.cached - other.cached), max(0, self.cache_write - other.cache_write)
        return Tokens(given, taken, cached, written) if given or taken else NONE

    @classmethod
    def reported(cls, usage: Any) -> Tokens:
        """Read OpenAI's, Anthropic's or LiteLLM's usage, as an object or mapping; NONE where there is none."""
        if usage is None:
            return NONE
        given, taken = _count(usage, "prompt_tokens"), _count(usage, "completion_tokens")
        if given is not None or taken is not None:
            details = lookup(usage, "prompt_tokens_details")
            return cls(given, taken, _count(details, "cached_tokens") or 0)
        given, taken = _count(usage, "input_tokens"), _count(usage, "output_tokens")
        details = lookup(usage, "input_tokens_details")
        if details is not None:
            return cls(given, taken, _count(details, "cached_tokens") or 0)
        # Anthropic's input_tokens leaves out what went through the cache.
        read, written = _count(usage, "cache_read_input_tokens") or 0, _count(usage, "cache_creation_input_tokens") or 0
        return cls(None if given is None else given + read + written, taken, read, written)


NONE = Tokens()


def lookup(source: Any, name: str) -> Any:
    """`source[name]` or `source.name`, whichever there is; else None."""
    if isinstance(source, Mapping):
        return source.get(name)
    return getattr(source, name, None)


def _count(source: Any, name: str) -> int | None:
    value = lookup(source, name)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _sum(left: int | None, right: int | None) -> int | None:
    return right if left is None else left if right is None else left + right


def answer_text(answer: Any) -> str:
    """The text of a whole answer in OpenAI's or Anthropic's shape; empty where there is none."""
    parts = [lookup(lookup(choice, "message"), "content") for choice in lookup(answer, "choices") or ()]
    blocks = lookup(answer, "content")
    if isinstance(blocks, list):
        parts += [lookup(block, "text") for block in blocks]
    return "".join(part for part in parts if isinstance(part, str))


def estimate(size: int) -> int:
    """Guess the tokens of a text of `size` bytes, rounded up."""
    return -(-size // BYTES_PER_TOKEN)


def text_bytes(content: Any, depth: int = 8) -> int:
    """Bytes of UTF-8 of all text in a request's messages; images and other data count nothing."""
    if isinstance(content, str):
        return len(content.encode("utf-8", "replace"))
    if depth and isinstance(content, Mapping):
        return sum(text_bytes(content.get(name), depth - 1) for name in TEXTS)
    if depth and isinstance(content, (list, tuple)):
        return sum(text_bytes(part, depth - 1) for part in content)
    # A message as an object: AgentFlow's, or a reply that was appended to the conversation as it came.
    return text_bytes(lookup(content, "content"), depth - 1) if depth and content is not None else 0
