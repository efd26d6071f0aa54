"""What an engine takes from the world around it, so that tests can bring their own."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass


def _new_id() -> str:
    return uuid.uuid4().hex[:16]


@dataclass(frozen=True)
class Environment:
    """Clocks and names.

    Attributes:
        clock: seconds since 1970, for records.
        monotonic: seconds that never go back, for durations and time limits.
        new_id: a text never used before, for runs and threads.
    """

    clock: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic
    new_id: Callable[[], str] = _new_id
