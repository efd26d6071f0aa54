"""A run that is more than one call: traced, or read step by step from a generator."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Generator
from typing import Any

from hagane.observability import tracing
from hagane.observability._meters import Meter, way_of

__all__ = ["Begin", "Run", "relay", "relay_async"]


class Run:
    """One run from its start to its one end, with the span that it is, if any."""

    __slots__ = ("began", "meter", "span")

    def __init__(self, meter: Meter, *, spans: bool) -> None:
        self.meter = meter
        self.span = tracing.start_agent_span(meter.agent) if spans else tracing.NO_SPAN
        self.began = meter.begin()

    @classmethod
    def begun(cls, meter: Meter, began: float) -> Run:
        """A run that `meter` has begun already, without a span."""
        run = cls.__new__(cls)
        run.meter, run.began, run.span = meter, began, tracing.NO_SPAN
        return run

    def active(self) -> tracing.use:
        """Let what happens in a `with` be part of the run's span."""
        return tracing.use(self.span)

    def end(self, error: BaseException | None) -> None:
        """Count the run by what it raised, and end its span."""
        with self.active():
            self.meter.end(self.began, way_of(error), tracing.current_trace_exemplar())
        if error is not None:
            self.span.fail(error)
        self.span.end()

    def __enter__(self) -> Run:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        self.end(error)


Begin = Callable[[tuple[Any, ...]], Run]
"""Begins a run; it is given the arguments of the call."""


def relay(begin: Begin, make: Callable[..., Generator[Any, Any, Any]]) -> Callable[..., Generator[Any, Any, Any]]:
    """Make a generator function that is `make` to its reader; the run lasts from the first step to the end."""

    def relayed(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        with begin(args) as run:
            if run.span is tracing.NO_SPAN:
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
        with begin(args) as run:
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
