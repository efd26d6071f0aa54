"""Watching a stream that an SDK has returned, from within: it stays the very object that the caller expects.

Only the iterator inside it is replaced, and the `close` of its HTTP response is listened to. A stream ends once: read
to its end, failed, cancelled, closed, or dropped unread.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from hagane.observability.llm.call import Call

__all__ = ["is_stream", "on_close", "watch_stream"]

Reader = Callable[[Any, Call], bool]
"""`reader(item, call)` tells the call what an item says; True if the caller is not to see the item."""


class _Watch:
    """What is known of a stream's end; a `with` around the wait for each item tells it how that went.

    It refers to no part of the stream, which may thus be dropped.
    """

    __slots__ = ("busy", "call", "read")

    def __init__(self, call: Call, read: Reader) -> None:
        self.call = call
        self.read = read
        self.busy = False

    def closed(self) -> None:
        # While an item is awaited the SDK itself closes the response; how that wait ends tells more.
        if not self.busy:
            self.call.end("cancelled")

    def __enter__(self) -> None:
        self.busy = True

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        if isinstance(error, (StopIteration, StopAsyncIteration)):
            self.call.end("success")
        elif error is not None:
            self.call.failed(error)
        self.busy = False

    def hides(self, item: Any) -> bool:
        try:
            return self.read(item, self.call)
        except Exception:  # An item of an unknown shape is the caller's to judge.
            return False


class _Watched:
    """An iterator that tells its watch what passes; all else is passed on."""

    def __init__(self, inner: Any, watch: _Watch) -> None:
        self._inner = inner
        self._watch = watch

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class _Items(_Watched):
    def __iter__(self) -> _Items:
        return self

    def __next__(self) -> Any:
        while True:
            with self._watch:
                item = next(self._inner)
            if not self._watch.hides(item):
                return item


class _AsyncItems(_Watched):
    def __aiter__(self) -> _AsyncItems:
        return self

    async def __anext__(self) -> Any:
        while True:
            with self._watch:
                item = await self._inner.__anext__()
            if not self._watch.hides(item):
                return item


def is_stream(result: Any) -> bool:
    """Whether `result` is a stream of the OpenAI or Anthropic SDK."""
    return hasattr(type(result), "__stream__") and hasattr(result, "response")


def watch_stream(stream: Any, call: Call, read: Reader) -> None:
    """Let `call` end when `stream` does."""
    inner = stream._iterator
    watch = _Watch(call, read)
    wrap = _AsyncItems if hasattr(inner, "__anext__") else _Items
    on_close(stream.response, watch.closed)
    stream._iterator = wrap(inner, watch)
    # At interpreter exit too, so that a stream that nobody ended is counted in what is pushed or scraped last.
    weakref.finalize(stream, call.end, "cancelled")


def on_close(response: Any, closed: Callable[[], None]) -> None:
    """Call `closed` when an HTTP response is closed, whichever way."""
    for method in ("close", "aclose"):
        with suppress(AttributeError, TypeError):
            _listen(response, method, closed)


def _listen(response: Any, method: str, closed: Callable[[], None]) -> None:
    # By weak reference: the response must not keep itself alive, or a dropped one would wait for the collector.
    target, original = weakref.ref(response), getattr(type(response), method)

    def close() -> Any:
        closed()
        alive = target()
        return original(alive) if alive is not None else None

    setattr(response, method, close)
