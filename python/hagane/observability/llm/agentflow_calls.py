"""AgentFlow's `LLMClient`: the outer layer, which counts; the SDK beneath it tells what it learns."""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator
from functools import wraps
from typing import Any

from hagane.observability import standard
from hagane.observability.llm.call import Call, measured
from hagane.observability.llm.usage import Tokens, lookup

__all__ = ["wrap_chat", "wrap_init", "wrap_stream"]


def _names(client: Any) -> tuple[str, str]:
    """Provider and model, as configured. Without its SDK or key the client answers by itself: that is no provider's."""
    config = getattr(client, "_config", None)
    provider = lookup(config, "provider") if getattr(client, "_client", None) is not None else "mock"
    return str(provider or "agentflow"), str(lookup(config, "model") or "unknown")


def wrap_init(original: Any) -> Any:
    """Let a client declare its series at 0 when it is made."""

    @wraps(original)
    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        standard.declare_llm(*_names(self))

    return init


def wrap_chat(original: Any) -> Any:
    """Make the measuring form of `async chat(messages, **options)`."""

    @wraps(original)
    async def chat(self: Any, *args: Any, **kwargs: Any) -> Any:
        with measured(*_names(self), request=_messages(args, kwargs)) as call:
            response = await original(self, *args, **kwargs)
            call.text_whole(lookup(response, "content"))
            call.reported(Tokens.reported(lookup(response, "usage")))
            return response

    return chat


def wrap_stream(original: Any) -> Any:
    """Make the measuring form of `stream(messages, **options)`, an async generator of texts."""
    if not inspect.isasyncgenfunction(original):
        raise TypeError("LLMClient.stream is no async generator")

    @wraps(original)
    async def stream(self: Any, *args: Any, **kwargs: Any) -> AsyncGenerator[Any, None]:
        call = Call(*_names(self), request=_messages(args, kwargs))
        inner = original(self, *args, **kwargs)
        try:
            while True:
                # Active only while the client works: between two texts this context is the caller's.
                with call.active():
                    try:
                        text = await inner.__anext__()
                    except StopAsyncIteration:
                        break
                call.text(text)
                yield text
        except BaseException as error:
            with call.active():
                await inner.aclose()
            call.failed(error)
            raise
        call.end("success")

    return stream


def _messages(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return {"input": args[0] if args else kwargs.get("messages")}
