"""One model call, whoever makes it: counted exactly once, however many layers it passes through.

The layers (an agent's adapter, AgentFlow's client, LiteLLM, the provider's SDK) each open a `Call`. The outermost one
counts; those inside it, found by a ContextVar, only tell it what they learn: tokens, the first token, the end.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache, reduce
from typing import Any

from hagane.observability import standard, tracing
from hagane.observability.llm.prices import cost_of, price_of
from hagane.observability.llm.usage import NONE, Tokens, estimate, text_bytes

__all__ = ["Call", "current_call", "measured", "status_of"]

_current: ContextVar[Call | None] = ContextVar("hagane_llm_call", default=None)


def current_call() -> Call | None:
    """Return the call that this code runs inside of; None outside, or when that call has ended."""
    call = _current.get()
    return None if call is None or call.ended else call


def status_of(error: BaseException | None) -> str:
    """How a call ended that raised `error`: success, error or cancelled."""
    return "success" if error is None else "error" if isinstance(error, Exception) else "cancelled"


class Call:
    """A call from its start to its one end. `request` is what was sent, looked at only if tokens must be guessed.

    `follows`: its own layer does not hear of a stream that is given up, so it is cancelled when its part is.
    """

    __slots__ = (
        "__weakref__",
        "_begun",
        "_counted",
        "_first",
        "_output_bytes",
        "_own",
        "_parts",
        "_request",
        "_unended",
        "follows",
        "model",
        "operation",
        "parent",
        "provider",
        "span",
    )

    def __init__(
        self,
        provider: str,
        model: str,
        *,
        operation: str = "chat",
        request: Any = None,
        parent: Call | None = None,
        traced: bool = True,
        attributes: dict[str, Any] | None = None,
        follows: bool = False,
    ) -> None:
        self.provider, self.model, self.operation = provider, model, operation
        self.parent = parent or current_call()
        self._request = request
        self.follows = follows
        self._own = self._counted = NONE
        self._parts: list[Call] = []
        self._output_bytes = 0
        self._first: float | None = None
        self._unended = [True]
        self.span = tracing.NO_SPAN
        if self.parent is None:
            _declare_once(provider, model)
            if traced:
                named = {
                    "gen_ai.operation.name": operation,
                    "gen_ai.provider.name": provider,
                    "gen_ai.request.model": model,
                }
                self.span = tracing.start_span(f"{operation} {model}", {**named, **(attributes or {})}, kind="CLIENT")
        else:
            self.parent._parts.append(self)
        self._begun = time.perf_counter()

    @property
    def ended(self) -> bool:
        """Whether it was counted already."""
        return not self._unended

    @contextmanager
    def active(self) -> Iterator[None]:
        """Let calls within the block, in this task or thread and those it starts, be part of this one."""
        token = _current.set(self)
        try:
            with tracing.use(self.span):
                yield
        finally:
            _current.reset(token)

    def first_token(self) -> None:
        """Note that a token came; only the first time matters."""
        if self._first is None:
            self._first = time.perf_counter() - self._begun
            if self.parent is not None:
                self.parent.first_token()

    def text(self, text: Any) -> None:
        """Note text that came in a stream."""
        if isinstance(text, str) and text:
            self.first_token()
            self._output_bytes += len(text.encode("utf-8", "replace"))

    def text_whole(self, text: Any) -> None:
        """Note the text of an answer that came in one piece."""
        if isinstance(text, str):
            self._output_bytes = len(text.encode("utf-8", "replace"))

    def reported(self, tokens: Tokens) -> None:
        """Note what the provider says was used; a later report wins where it says something."""
        self._own = self._own.updated(tokens)

    def end(self, status: str, error: BaseException | str | None = None) -> None:
        """Count the call, or tell the one that it is part of. Only the first end counts; never raises."""
        try:
            self._unended.pop()  # One bytecode, so that of two threads only one comes through.
        except IndexError:
            return
        seconds = time.perf_counter() - self._begun
        if self.parent is not None:
            if self.parent.follows and status == "cancelled":
                self.parent.end(status)
            self.parent._part_ended()
        else:
            with tracing.use(self.span):
                self._count(status, seconds)
            self._end_span(status, error)
        self._request = None

    def failed(self, error: BaseException) -> None:
        """Count the call by the exception that ended it."""
        self.end(status_of(error), error)

    @property
    def tokens(self) -> Tokens:
        """The tokens of this call: its own report, else the sum of what its parts reported."""
        return self._own or reduce(Tokens.plus, (part.tokens for part in self._parts), NONE)

    @property
    def _size(self) -> int:
        return max([self._output_bytes, *(part._size for part in self._parts)])

    def _part_ended(self) -> None:
        if self.parent is not None:
            self.parent._part_ended()
        elif self.ended:
            # A part has outlived the whole, which was counted without what has come since.
            self._count_tokens(self.tokens.minus(self._counted))

    def _count(self, status: str, seconds: float) -> None:
        tokens = self.tokens
        standard.llm_call(
            self.provider,
            self.model,
            status=status,
            seconds=seconds,
            input_tokens=tokens.input or 0,
            output_tokens=tokens.output or 0,
        )
        self._counted = tokens
        if self._first is not None:
            standard.llm_first_token(self.provider, self.model, self._first)
        self._count_cost(tokens)
        if status != "error":
            self._estimate(tokens)

    def _count_tokens(self, tokens: Tokens) -> None:
        if not tokens:
            return
        self._counted = self._counted.plus(tokens)
        standard.llm_tokens(self.provider, self.model, tokens.input or 0, tokens.output or 0)
        self._count_cost(tokens)

    def _count_cost(self, tokens: Tokens) -> None:
        cost = cost_of(self.provider, self.model, tokens) if tokens else None
        if cost is not None:
            standard.llm_cost(self.provider, self.model, *cost)

    def _estimate(self, tokens: Tokens) -> None:
        given = 0 if tokens.input is not None else estimate(_request_size(self._request))
        taken = 0 if tokens.output is not None else estimate(self._size)
        if given or taken:
            standard.llm_estimated_tokens(self.provider, self.model, given, taken)

    def _end_span(self, status: str, error: BaseException | str | None) -> None:
        tokens = self.tokens
        self.span.set(
            {
                "gen_ai.usage.input_tokens": tokens.input,
                "gen_ai.usage.output_tokens": tokens.output,
                "gen_ai.usage.cache_read.input_tokens": tokens.cached or None,
                "gen_ai.response.time_to_first_chunk": self._first,
            }
        )
        if error is not None or status != "success":
            self.span.fail(error if error is not None else status)
        self.span.end()


@lru_cache(maxsize=1024)
def _declare_once(provider: str, model: str) -> None:
    standard.declare_llm(provider, model)
    price = price_of(provider, model)
    if price is not None:
        standard.declare_llm_cost(provider, model, price.currency)


def _request_size(request: Any) -> int:
    try:
        return text_bytes(request)
    except Exception:  # Whatever the request is made of: no guess is better than a failed call.
        return 0


@contextmanager
def measured(provider: str, model: str, request: Any = None) -> Iterator[Call]:
    """Make the block one call: active within it, ended by how the block ends."""
    call = Call(provider, model, request=request)
    try:
        with call.active():
            yield call
    except BaseException as error:
        call.failed(error)
        raise
    call.end("success")
