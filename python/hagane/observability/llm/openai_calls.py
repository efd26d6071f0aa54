"""What the OpenAI SDK sends and gets: chat completions, completions, responses, embeddings; also of Azure."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from hagane.observability.llm.call import Call
from hagane.observability.llm.sdk import Described
from hagane.observability.llm.streams import Reader
from hagane.observability.llm.usage import Tokens, lookup

__all__ = ["describe"]

OPERATIONS = {
    "/chat/completions": "chat",
    "/responses": "chat",
    "/completions": "text_completion",
    "/embeddings": "embeddings",
}
WITH_STREAM_OPTIONS = ("/chat/completions", "/completions")


def describe(client: Any, url: str, body: Any) -> Described | None:
    """Say what a request is; None if it is no model call."""
    path = next((path for path in OPERATIONS if url.partition("?")[0] == path), None)
    if path is None or not isinstance(body, dict):
        return None
    host = urlsplit(str(client.base_url)).hostname or ""
    asking = None
    if path in WITH_STREAM_OPTIONS and body.get("stream") is True:
        asking = _asking_for_usage(body)
    return Described(
        provider=_provider(client, host),
        model=str(body.get("model") or "unknown"),
        operation=OPERATIONS[path],
        reader=_response_reader if path == "/responses" else _chunk_reader,
        body=body,
        usage_asked=asking,
        server=host or None,
    )


def _provider(client: Any, host: str) -> str:
    if "Azure" in type(client).__name__ or host.endswith(".openai.azure.com"):
        return "azure"
    return "openai" if host == "openai.com" or host.endswith(".openai.com") else host or "openai"


def _asking_for_usage(body: dict[str, Any]) -> dict[str, Any] | None:
    given = body.get("stream_options")
    if given is None:
        return {**body, "stream_options": {"include_usage": True}}
    if isinstance(given, dict) and "include_usage" not in given:
        return {**body, "stream_options": {**given, "include_usage": True}}
    return None  # The caller has decided.


def _chunk_reader(hide: bool) -> Reader:
    def read(chunk: Any, call: Call) -> bool:
        usage = getattr(chunk, "usage", None)
        choices = getattr(chunk, "choices", None) or ()
        if usage is not None:
            call.reported(Tokens.reported(usage))
        for choice in choices:
            delta = getattr(choice, "delta", None)
            for name in ("content", "refusal", "reasoning_content", "reasoning"):
                call.text(getattr(delta, name, None))
            call.text(getattr(choice, "text", None))
            for tool in getattr(delta, "tool_calls", None) or ():
                call.text(lookup(getattr(tool, "function", None), "arguments"))
                call.first_token()
        return hide and usage is not None and not choices

    return read


def _response_reader(hide: bool) -> Reader:
    def read(event: Any, call: Call) -> bool:
        kind = str(getattr(event, "type", ""))
        if kind.endswith(".delta"):
            call.text(getattr(event, "delta", None))
            call.first_token()
        elif kind in ("response.completed", "response.incomplete", "response.failed"):
            call.reported(Tokens.reported(lookup(event.response, "usage")))
            if kind == "response.failed":
                call.end("error", str(lookup(lookup(event.response, "error"), "code") or "response.failed"))
        elif kind == "error":
            call.end("error", str(getattr(event, "code", None) or "error"))
        return False

    return read
