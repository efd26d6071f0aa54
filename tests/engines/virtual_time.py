"""An event loop whose time passes only when everybody waits, and an environment that goes by it."""

from __future__ import annotations

import asyncio
import itertools
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

from hagane.engines import Environment

T = TypeVar("T")


class _JumpingSelector(selectors.DefaultSelector):  # type: ignore[misc, valid-type]
    """Instead of waiting for a time it moves the clock there."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0

    def select(self, timeout: float | None = None) -> Any:
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        if timeout is None:  # somebody outside has to act
            return super().select(None)
        # Always forward, also where a float has no smaller step.
        self.now += max(timeout, 1e-6)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self.jumping = _JumpingSelector()
        super().__init__(self.jumping)

    def time(self) -> float:
        return self.jumping.now


def environment_of(loop: VirtualLoop, draw: float = 1.0) -> Environment:
    numbers = itertools.count(1)
    return Environment(
        clock=lambda: 1_700_000_000 + loop.time(),
        monotonic=loop.time,
        new_id=lambda: f"{next(numbers):04}",
        random=lambda: draw,
    )


def run_virtually(work: Any) -> Any:
    """Run `work(environment)` to its end in a loop of its own."""
    loop = VirtualLoop()
    try:
        return loop.run_until_complete(_given(work, loop))
    finally:
        loop.close()


def _given(work: Any, loop: VirtualLoop) -> Coroutine[Any, Any, Any]:
    return work(environment_of(loop))  # type: ignore[no-any-return]
