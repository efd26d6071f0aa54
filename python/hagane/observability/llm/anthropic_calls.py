"""What the Anthropic SDK sends and gets: messages, plain, streamed and through the stream helper; Bedrock, Vertex."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from hagane.observability.llm.call import Call
from hagane.observability.llm.sdk import Described
from hagane.observability.llm.streams import Reader
from hagane.observability.llm.usage import Tokens

__all__ = ["describe"]

PROVIDERS = {"Bedrock": "aws.bedrock", "Vertex": "gcp.vertex_ai"}


def describe(client: Any, url: str, body: Any) -> Described | None:
    """Say what a request is; None if it is no model call."""
    if url.partition("?")[0] != "/v1/messages" or not isinstance(body, dict):
        return None
    kind = type(client).__name__
    return Described(
        provider=next((provider for name, provider in PROVIDERS.items() if name in kind), "anthropic"),
        model=str(body.get("model") or "unknown"),
        operation="chat",
        reader=_reader,
        body=body,
        # Newer versions open a gen_ai span for each call themselves.
        traced=getattr(client, "_tracer", None) is None,
        server=urlsplit(str(client.base_url)).hostname,
    )


def _reader(hide: bool) -> Reader:
    def read(event: Any, call: Call) -> bool:
        kind = getattr(event, "type", "")
        if kind == "message_start":
            # Its output_tokens are only those of the first piece; the true number comes with message_delta.
            call.reported(Tokens.reported(event.message.usage)._replace(output=None))
        elif kind == "content_block_delta":
            for name in ("text", "partial_json", "thinking"):
                call.text(getattr(event.delta, name, None))
            call.first_token()
        elif kind == "message_delta":
            _final(event.usage, call)
        return False

    return read


def _final(usage: Any, call: Call) -> None:
    tokens = Tokens.reported(usage)
    if getattr(usage, "input_tokens", None) is None:
        # Without the input, the cache's numbers here are those of message_start again.
        tokens = Tokens(None, tokens.output)
    call.reported(tokens)
