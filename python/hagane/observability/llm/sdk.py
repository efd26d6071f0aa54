"""The one place that all calls of the OpenAI and Anthropic SDKs pass: `request` of their base clients.

`create`, `parse`, `stream`, raw and streamed responses, clients of Azure, Bedrock and Vertex: all end there, with the
SDK's own retries inside. What is done here never changes what the caller gets and never raises.
"""

from __future__ import annotations

import inspect
import json
import logging
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any

from hagane.observability.llm.call import Call
from hagane.observability.llm.litellm_calls import call_of_litellm
from hagane.observability.llm.streams import Reader, is_stream, on_close, watch_stream
from hagane.observability.llm.usage import Tokens, answer_text, lookup

__all__ = ["Described", "wrap_request"]

_log = logging.getLogger("hagane.observability")


@dataclass
class Described:
    """What an SDK's module knows of a request. `usage_asked` is a copy of the body that also asks for usage, or None.

    `reader(hide)` gives what reads the stream's items; with `hide` it hides items that only the usage made appear.
    """

    provider: str
    model: str
    operation: str
    reader: Callable[[bool], Reader]
    body: Any
    usage_asked: dict[str, Any] | None = None
    traced: bool = True
    server: str | None = None


Describe = Callable[[Any, str, Any], "Described | None"]


class _Begun:
    """A request on its way: the call, and the arguments with which the SDK is to be called."""

    def __init__(self, client: Any, args: tuple[Any, ...], kwargs: dict[str, Any], described: Described) -> None:
        self.client = client
        self.described = described
        self.given = (args, kwargs)
        self.sent = self.given
        self.asks = described.usage_asked is not None and _server(client) not in _refusing
        if self.asks:
            options = _options(args, kwargs)
            copy = getattr(options, "model_copy", None) or options.copy
            asking = copy(update={"json_data": described.usage_asked})
            self.sent = _with_options(args, kwargs, asking)
        self.call = Call(
            described.provider,
            described.model,
            operation=described.operation,
            request=described.body,
            parent=call_of_litellm(),
            traced=described.traced,
            attributes={
                "server.address": described.server,
                "gen_ai.request.stream": bool(lookup(described.body, "stream")) or None,
            },
        )

    def refused_to_tell_usage(self, error: BaseException) -> bool:
        """Whether the server may have stumbled over the question, so that the caller's own request is to be sent."""
        return self.asks and getattr(error, "status_code", None) in (400, 422)

    def without_usage(self) -> None:
        self.asks = False
        self.sent = self.given

    def remember_refusal(self) -> None:
        """The caller's own request was taken: do not ask this server again."""
        _refusing.add(_server(self.client))

    def took(self, result: Any) -> Any:
        """Watch what the SDK gave, and give it on."""
        try:
            self._watch(result)
        except Exception as error:
            _log.debug("a model call's result could not be watched: %s: %s", type(error).__name__, error)
            self.call.end("success")
        return result

    def _watch(self, result: Any) -> None:
        if is_stream(result):
            watch_stream(result, self.call, self.described.reader(self.asks))
        elif hasattr(result, "http_response") and hasattr(result, "parse"):
            self._watch_raw(result)
        else:
            self._note(result)
            self.call.end("success")

    def _note(self, parsed: Any) -> None:
        self.call.reported(Tokens.reported(lookup(parsed, "usage")))
        self.call.text_whole(answer_text(parsed))
        self.call.span.set(
            {"gen_ai.response.model": lookup(parsed, "model"), "gen_ai.response.id": lookup(parsed, "id")}
        )

    def _watch_raw(self, raw: Any) -> None:
        """`with_raw_response` and `with_streaming_response`: the body is read already, or will be by the caller."""
        http = raw.http_response
        if hasattr(http, "_content"):
            if "json" in http.headers.get("content-type", ""):
                self._note(json.loads(http.content))
            self.call.end("success")
            return
        call, state = self.call, _RawState()
        target = weakref.ref(http)

        def closed() -> None:
            if not state.parsing and not state.streams:
                # Read by the caller in pieces: how far is not known, only whether reading was begun.
                call.end("success" if getattr(target(), "is_stream_consumed", False) else "cancelled")

        _on_parse(raw, state, lambda parsed: self._watch_parsed(parsed, state))
        on_close(http, closed)
        weakref.finalize(http, closed)

    def _watch_parsed(self, parsed: Any, state: _RawState) -> None:
        if not is_stream(parsed):
            self._note(parsed)
            self.call.end("success")
        elif not state.streams:
            state.streams = True
            watch_stream(parsed, self.call, self.described.reader(self.asks))


@dataclass
class _RawState:
    """`parsing`: the SDK reads, and closes, the body itself; `streams`: the call ends with the stream it gave."""

    parsing: bool = False
    streams: bool = False


_refusing: set[str] = set()
"""Servers that refuse `stream_options`; bounded by how many a program talks to."""


def _server(client: Any) -> str:
    return str(getattr(client, "base_url", ""))


def _on_parse(raw: Any, state: _RawState, parsed: Callable[[Any], None]) -> None:
    original = raw.parse

    def told(result: Any) -> Any:
        try:
            parsed(result)
        except Exception as error:
            _log.debug("a model call's raw result could not be watched: %s", error)
        return result

    def parse(*args: Any, **kwargs: Any) -> Any:
        state.parsing = True
        try:
            result = original(*args, **kwargs)
            return awaited(result) if inspect.isawaitable(result) else told(result)
        finally:
            state.parsing = False

    async def awaited(result: Any) -> Any:
        state.parsing = True
        try:
            return told(await result)
        finally:
            state.parsing = False

    raw.parse = parse


def _options(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return kwargs["options"] if "options" in kwargs else args[1]


def _with_options(args: tuple[Any, ...], kwargs: dict[str, Any], options: Any) -> tuple[tuple[Any, ...], Any]:
    if "options" in kwargs:
        return args, {**kwargs, "options": options}
    return (args[0], options, *args[2:]), kwargs


def _begin(describe: Describe, client: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> _Begun | None:
    try:
        options = _options(args, kwargs)
        described = describe(client, str(options.url), options.json_data)
        return None if described is None else _Begun(client, args, kwargs, described)
    except Exception as error:
        _log.debug("a model call could not be measured: %s: %s", type(error).__name__, error)
        return None


def wrap_request(original: Any, describe: Describe) -> Any:
    """Make the measuring form of a base client's `request`, sync or async like `original`."""
    return (_async if inspect.iscoroutinefunction(original) else _sync)(original, describe)


def _sync(original: Any, describe: Describe) -> Any:
    @wraps(original)
    def request(self: Any, *args: Any, **kwargs: Any) -> Any:
        begun = _begin(describe, self, args, kwargs)
        if begun is None:
            return original(self, *args, **kwargs)
        try:
            with begun.call.active():
                try:
                    args, kwargs = begun.sent
                    result = original(self, *args, **kwargs)
                except Exception as error:
                    if not begun.refused_to_tell_usage(error):
                        raise
                    begun.without_usage()
                    args, kwargs = begun.sent
                    result = original(self, *args, **kwargs)
                    begun.remember_refusal()
        except BaseException as error:
            begun.call.failed(error)
            raise
        return begun.took(result)

    return request


def _async(original: Any, describe: Describe) -> Any:
    @wraps(original)
    async def request(self: Any, *args: Any, **kwargs: Any) -> Any:
        begun = _begin(describe, self, args, kwargs)
        if begun is None:
            return await original(self, *args, **kwargs)
        try:
            with begun.call.active():
                try:
                    args, kwargs = begun.sent
                    result = await original(self, *args, **kwargs)
                except Exception as error:
                    if not begun.refused_to_tell_usage(error):
                        raise
                    begun.without_usage()
                    args, kwargs = begun.sent
                    result = await original(self, *args, **kwargs)
                    begun.remember_refusal()
        except BaseException as error:
            begun.call.failed(error)
            raise
        return begun.took(result)

    return request
