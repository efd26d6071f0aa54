"""LiteLLM through its own callbacks. Its calls may pass through the OpenAI SDK, which then tells what it learns."""

from __future__ import annotations

import sys
import threading
from collections import OrderedDict
from contextvars import ContextVar
from typing import Any

from hagane.observability.llm.call import Call
from hagane.observability.llm.usage import Tokens, answer_text, lookup

__all__ = ["call_of_litellm", "make_logger"]

REMEMBERED = 2_000
# Providers whose own streams tell the usage; for others LiteLLM fills in its guess, unless usage was asked for.
TELLS_USAGE = ("anthropic", "bedrock", "gemini", "vertex_ai", "vertex_ai_beta", "cohere", "cohere_chat")

_latest: ContextVar[Call | None] = ContextVar("hagane_litellm_call", default=None)


def call_of_litellm() -> Call | None:
    """Return LiteLLM's call that the running request belongs to; None where LiteLLM did not send it."""
    call = _latest.get()
    if call is None or call.ended:
        return None
    # The variable outlives LiteLLM's call in this context, so look whether LiteLLM really is among the callers.
    frame = sys._getframe(1)
    while frame is not None:
        if str(frame.f_globals.get("__name__", "")).startswith("litellm."):
            return call
        frame = frame.f_back  # type: ignore[assignment]
    return None


class _Calls:
    """LiteLLM's calls by their id: those that run, and those that ended, so that no second callback counts them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls: OrderedDict[str, Call] = OrderedDict()

    def begin(self, details: dict[str, Any]) -> None:
        """A request is about to be sent; a retry of the same call is no second one."""
        key = str(details.get("litellm_call_id"))
        with self._lock:
            call = self._calls.get(key)
        if call is None:
            call = self._new(key, details)
        _latest.set(call)

    def end(self, details: dict[str, Any], response: Any, status: str) -> None:
        key = str(details.get("litellm_call_id"))
        with self._lock:
            call = self._calls.get(key)
        if call is None:  # Answered from a cache, or refused before anything was sent.
            call = self._new(key, details)
        if call.ended:
            return
        tokens = Tokens.reported(lookup(response, "usage"))
        if not call.tokens and tokens and _is_exact(details):
            call.reported(tokens)
        call.text_whole(answer_text(response))
        error = details.get("exception")
        call.end(status, error if isinstance(error, BaseException) else None if status == "success" else status)

    def _new(self, key: str, details: dict[str, Any]) -> Call:
        parameters = details.get("litellm_params") or {}
        provider = details.get("custom_llm_provider") or lookup(parameters, "custom_llm_provider") or "litellm"
        kind = str(details.get("call_type") or "")
        operation = "embeddings" if "embedding" in kind else "text_completion" if "text_comp" in kind else "chat"
        request = {"input": details.get("messages") or details.get("input")}
        model = str(details.get("model") or "unknown")
        call = Call(str(provider), model, operation=operation, request=request, follows=True)
        with self._lock:
            self._calls[key] = call
            while len(self._calls) > REMEMBERED:
                self._calls.popitem(last=False)
        return call


def _is_exact(details: dict[str, Any]) -> bool:
    if not details.get("stream"):
        return True
    options = (details.get("optional_params") or {}).get("stream_options") or {}
    return bool(lookup(options, "include_usage")) or details.get("custom_llm_provider") in TELLS_USAGE


def make_logger() -> Any:
    """Make the callback object; LiteLLM must be imported."""
    from litellm.integrations.custom_logger import CustomLogger

    calls = _Calls()

    class HaganeLogger(CustomLogger):  # type: ignore[misc, unused-ignore]
        """Counts LiteLLM's calls. LiteLLM itself catches what a callback raises."""

        def log_pre_api_call(self, model: Any, messages: Any, kwargs: Any) -> None:
            calls.begin(kwargs)

        def log_success_event(self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any) -> None:
            calls.end(kwargs, response_obj, "success")

        def log_failure_event(self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any) -> None:
            calls.end(kwargs, response_obj, "error")

        async def async_log_success_event(self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any) -> None:
            calls.end(kwargs, response_obj, "success")

        async def async_log_failure_event(self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any) -> None:
            calls.end(kwargs, response_obj, "error")

    return HaganeLogger()
