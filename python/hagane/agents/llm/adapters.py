"""`as_llm`: whatever the program already has, as a `LanguageModel`."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from hagane.agents.llm.base import LanguageModel, Message, Reply, Usage, lookup
from hagane.agents.llm.scripted import ScriptedModel

ACCEPTED = (
    "a LanguageModel, a list of replies, a callable that takes the messages, "
    "or an object with a method chat(messages), generate(prompt) or complete(prompt)"
)


def as_llm(source: Any) -> LanguageModel:
    """Makes a `LanguageModel` of `source`.

    Accepted: a `LanguageModel`; a list or tuple of replies (a script); a callable, sync or async, that takes the
    messages; an object with `chat(messages)`, or with `generate(prompt)` or `complete(prompt)`, which get the
    conversation as one text. A reply is a str, or a mapping or object with the text under `content`, `text`, `output`,
    `message.content` or `choices[0].message.content`; its `usage` is read where there is one. Sync functions run in a
    thread.

    Raises TypeError for anything else.
    """
    if isinstance(source, LanguageModel):
        return source
    if isinstance(source, (list, tuple)):
        return ScriptedModel(source)
    for name, as_prompt in (("chat", False), ("generate", True), ("complete", True)):
        method = getattr(source, name, None)
        if callable(method):
            return _Adapted(method, source, as_prompt=as_prompt)
    if callable(source) and not isinstance(source, type):
        return _Adapted(source, source, as_prompt=False)
    raise TypeError(f"cannot use {type(source).__name__} as a language model: pass {ACCEPTED}")


class _Adapted(LanguageModel):
    def __init__(self, function: Callable[[Any], Any], owner: Any, *, as_prompt: bool) -> None:
        name = getattr(owner, "__name__", None) or type(owner).__name__
        provider, model = getattr(owner, "provider", None), getattr(owner, "model", None)
        super().__init__(
            provider=provider if isinstance(provider, str) else "custom",
            model=model if isinstance(model, str) else name,
        )
        self._function = function
        self._as_prompt = as_prompt

    async def _reply(self, messages: Sequence[Message]) -> Reply:
        # A copy: a model that edits the list must not edit the agent's conversation.
        argument: Any = _as_text(messages) if self._as_prompt else [dict(message) for message in messages]
        if inspect.iscoroutinefunction(self._function):
            answer = await self._function(argument)
        else:
            answer = await asyncio.to_thread(self._function, argument)
            if inspect.isawaitable(answer):
                answer = await answer
        return as_reply(answer)


def as_reply(answer: Any) -> Reply:
    """A provider's answer in any of its usual shapes; raises TypeError where it holds no text."""
    if isinstance(answer, Reply):
        return answer
    if isinstance(answer, str):
        return Reply(answer)
    text = _text_of(answer)
    if text is None:
        raise TypeError(
            f"the model returned {type(answer).__name__} without a text: return a str, "
            "or something with `content`, `text`, `output` or `choices`"
        )
    usage = lookup(answer, "usage")
    return Reply(text, Usage.of(usage) if usage is not None else Usage())


def _text_of(answer: Any) -> str | None:
    choices = lookup(answer, "choices")
    if isinstance(choices, Sequence) and choices and not isinstance(choices, str):
        return _text_of(lookup(choices[0], "message")) or _text_of(choices[0])
    for name in ("content", "text", "output"):
        value = lookup(answer, name)
        if isinstance(value, str):
            return value
        if isinstance(value, list):  # content in parts
            parts = [lookup(part, "text") for part in value]
            return "".join(part for part in parts if isinstance(part, str))
    message = lookup(answer, "message")
    return message if isinstance(message, str) else _text_of(message) if message is not None else None


def _as_text(messages: Sequence[Mapping[str, str]]) -> str:
    return "\n\n".join(f"{message['role']}:\n{message['content']}" for message in messages) + "\n\nassistant:\n"
