"""What an engine takes from the world around it, so that tests can bring their own."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

__all__ = ["Environment"]


def _new_id() -> str:
    return os.urandom(8).hex()


async def _sleep(seconds: float) -> None:
    import asyncio

    await asyncio.sleep(seconds)


@dataclass(frozen=True)
class Environment:
    """Clocks, names, chance and waiting.

    Attributes:
        clock: seconds since 1970, for records and deadlines of decisions.
        monotonic: seconds that never go back, for durations and time limits.
        new_id: a text never used before, for runs and threads.
        random: a number from 0 to 1, for the jitter of waits.
        sleep: waits so many seconds.
    """

    clock: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic
    new_id: Callable[[], str] = _new_id
    random: Callable[[], float] = random.random
    sleep: Callable[[float], Awaitable[None]] = _sleep
