"""A client for servers that speak the OpenAI chat protocol, with nothing but the standard library."""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.request
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from hagane.agents.llm.adapters import as_reply
from hagane.agents.llm.base import LanguageModel, Message, Reply
from hagane.errors import ModelError

MAX_ANSWER_BYTES = 16 * 1024 * 1024
MAX_DETAIL = 300


class OpenAICompatible(LanguageModel):
    """`OpenAICompatible("http://127.0.0.1:8000/v1", "my-model")`.

    `url` is the base (`.../v1`) or the full address of `chat/completions`; `api_key` goes into the Authorization header
    and nowhere else; `timeout` is in seconds per call. Redirects are refused, so the key stays with the named server.

    Raises ValueError for an address that is not http or https, and `hagane.errors.ModelError` when a call fails.
    """

    def __init__(self, url: str, model: str, api_key: str | None = None, *, timeout: float = 120.0) -> None:
        address = urlsplit(url)
        if address.scheme not in {"http", "https"} or not address.hostname:
            raise ValueError(f"{url!r} is not the address of a model server: give http://HOST/v1 or https://HOST/v1")
        super().__init__(provider=address.hostname, model=model)
        base = url.rstrip("/")
        self.url = base if base.endswith("/chat/completions") else base + "/chat/completions"
        self._api_key = api_key
        self._timeout = timeout
        self._opener = urllib.request.build_opener(_NoRedirect)

    def __repr__(self) -> str:
        return f"OpenAICompatible({self.url!r}, {self.model!r})"

    async def _reply(self, messages: Sequence[Message]) -> Reply:
        body = json.dumps({"model": self.model, "messages": [dict(message) for message in messages]}).encode()
        answer = await asyncio.to_thread(self._post, body)
        try:
            return as_reply(answer)
        except TypeError as error:
            raise ModelError(f"{self.url} answered without a text: is it a chat completions server?") from error

    def _post(self, body: bytes) -> Any:
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if self._api_key:
            headers["Authorization"] = f"Bearer {self._api_key}"
        request = urllib.request.Request(self.url, data=body, headers=headers, method="POST")  # noqa: S310  scheme checked
        try:
            with self._opener.open(request, timeout=self._timeout) as response:
                return json.loads(response.read(MAX_ANSWER_BYTES))
        except urllib.error.HTTPError as error:
            with error:
                detail = error.read(MAX_DETAIL).decode("utf-8", "replace").strip()
            raise ModelError(f"{self.url} answered {error.code} {error.reason}: {detail}") from error
        except ValueError as error:
            raise ModelError(f"{self.url} answered something that is not JSON") from error
        except OSError as error:
            reason = getattr(error, "reason", error)
            raise ModelError(
                f"cannot reach {self.url}: {reason}. Check the address and that the server runs"
            ) from error


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *arguments: Any, **options: Any) -> None:
        return None
