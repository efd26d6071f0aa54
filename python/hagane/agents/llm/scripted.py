"""A model that follows a script: for tests, demonstrations and reproducible runs; no network, no key."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from hagane.agents.llm.base import LanguageModel, Message, Reply, Usage

# This model's own tokens, of which it therefore knows the exact number: words and single marks.
TOKEN = re.compile(r"\w+|[^\w\s]")


class ScriptedModel(LanguageModel):
    """Replies from a list, in order, or from a function of the conversation.

    A function is the better script for runs that may be resumed: it holds no position that a crash could lose.
    `usage` counts words and punctuation marks, which are this model's tokens.
    """

    def __init__(self, script: Sequence[str] | Callable[[Sequence[Message]], str], *, name: str = "script") -> None:
        super().__init__(provider="scripted", model=name)
        self._script = script
        self._position = 0

    async def _reply(self, messages: Sequence[Message]) -> Reply:
        """Raises IndexError where a list has no reply left."""
        text = self._script(messages) if callable(self._script) else self._next()
        read = sum(len(TOKEN.findall(message["content"])) for message in messages)
        return Reply(text, Usage(read, len(TOKEN.findall(text))))

    def _next(self) -> str:
        assert not callable(self._script)
        if self._position >= len(self._script):
            raise IndexError(
                f"the script {self.model!r} has {len(self._script)} replies and was asked for one more: "
                "add a reply or lower max_steps"
            )
        self._position += 1
        return self._script[self._position - 1]
