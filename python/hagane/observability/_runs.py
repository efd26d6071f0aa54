"""A run that is more than one call: traced, or read step by step from a generator."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from hagane.observability import tracing
from hagane.observability._meters import Meter, way_of
from hagane.observability._nesting import Within

__all__ = ["Begin", "Run", "relay", "relay_async"]


class Run:
    """One run from its start to its one end, with the span that it is, if any."""

    __slots__ = ("began", "meter", "span", "within")

    def __init__(self, meter: Meter, within: Within | None = None) -> None:
        self.meter = meter
        self.within = within
        self.span = tracing.start_agent_span(meter.agent)
        self.began = meter.begin()

    @classmethod
    def begun(cls, meter: Meter, began: float) -> Run:
        """A run that `meter` has begun already, without a span."""
        run = cls.__new__(cls)
        run.meter, run.began, run.span, run.within = meter, began, tracing.NO_SPAN, None
        return run

    @property
    def is_plain(self) -> bool:
        """Whether nothing need know what is part of the run."""
        return self.span is tracing.NO_SPAN and self.within is None

    def active(self) -> AbstractContextManager[object]:
        """Let what happens in a `with` be part of the run and of its span."""
        return tracing.use(self.span) if self.within is None else _Active(self.within, self.span)

    def end(self, error: BaseException | None) -> None:
        """Count the run by what it raised, and end its span."""
        if self.within is not None:
            self.within.close()
        with tracing.use(self.span):
            self.meter.end(self.began, way_of(error), tracing.current_trace_exemplar())
        # A reader that has read enough is no fault.
        if error is not None and not isinstance(error, GeneratorExit):
            self.span.fail(error)
        self.span.end()

    def __enter__(self) -> Run:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        self.end(error)


class _Active:
    __slots__ = ("_span", "_within")

    def __init__(self, within: Within, span: tracing.Span) -> None:
        self._within, self._span = within, tracing.use(span)

    def __enter__(self) -> None:
        self._span.__enter__()
        self._within.__enter__()

    def __exit__(self, *_: object) -> None:
        self._within.__exit__()
        self._span.__exit__(None, None, None)


Begin = Callable[[tuple[Any, ...]], "Run | None"]
"""Begins a run; it is given the arguments of the call. None if the call is part of a run."""


class _NoRun:
    """In the place of a run where the call is part of another."""

    def active(self) -> AbstractContextManager[object]:
        return nullcontext()

    def __enter__(self) -> None: ...
    def __exit__(self, *_: object) -> None: ...


_NO_RUN = _NoRun()


def relay(begin: Begin, make: Callable[..., Generator[Any, Any, Any]]) -> Callable[..., Generator[Any, Any, Any]]:
    """Make a generator function that is `make` to its reader; the run lasts from the first step to the end."""

    def relayed(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        run = begin(args)
        if run is None:
            return (yield from make(*args, **kwargs))
        with run:
            if run.is_plain:
                return (yield from make(*args, **kwargs))
            inner, sent, thrown = make(*args, **kwargs), None, None
            while True:
                try:
                    # Only while the generator itself runs: the reader's own spans are not part of it.
                    with run.active():
                        item = inner.send(sent) if thrown is None else inner.throw(thrown)
                except StopIteration as stop:
                    return stop.value
                sent = thrown = None
                try:
                    sent = yield item
                except GeneratorExit:
                    inner.close()
                    raise
                except BaseException as error:
                    thrown = error

    return relayed


def relay_async(begin: Begin, make: Callable[..., AsyncGenerator[Any, Any]]) -> Callable[..., AsyncGenerator[Any, Any]]:
    """`relay` for asynchronous generators."""

    async def relayed(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        run = begin(args) or _NO_RUN
        with run:
            inner = make(*args, **kwargs)
            step = inner.__anext__()
            while True:
                try:
                    with run.active():
                        item = await step
                except StopAsyncIteration:
                    return
                try:
                    sent = yield item
                except GeneratorExit:
                    with run.active():
                        await inner.aclose()
                    raise
                except BaseException as thrown:
                    step = inner.athrow(thrown)
                else:
                    step = inner.asend(sent)

    return relayed
