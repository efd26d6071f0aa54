"""How long to wait before trying again, and which exceptions are no failures at all.

Full jitter, after M. Brooker, "Exponential Backoff And Jitter" (AWS Architecture Blog, 2015): a wait drawn evenly
below a ceiling that grows spreads the callers that failed together. A server that says when to come back is believed.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any

__all__ = ["LONGEST_RETRY_AFTER", "ceiling", "is_control_flow", "jittered", "next_wait", "retry_after"]

# Nobody waits longer than this, in seconds, because a server says so, unless he is told to.
LONGEST_RETRY_AFTER = 60.0
# Beyond, 2.0 ** n is larger than any wait and, in the end, no float.
_MOST_DOUBLINGS = 512


def ceiling(initial: float, growth: float, failures: int, most: float = float("inf")) -> float:
    """Return the longest wait after the n-th failure, n from 1: `initial`, growing by `growth`, at most `most`."""
    try:
        return min(most, initial * growth ** min(failures - 1, _MOST_DOUBLINGS))
    except OverflowError:
        return most


def jittered(least: float, most: float) -> float:
    """Return a wait drawn evenly between two bounds."""
    return random.uniform(least, max(least, most))  # noqa: S311  # no secret


def next_wait(error: BaseException, least: float, most: float, longest: float = LONGEST_RETRY_AFTER) -> float | None:
    """Return how many seconds to wait after `error`: jittered, and as long as the server asks for.

    None says that the server asks for more than `longest`: trying before would be in vain, so it is given up.
    """
    asked = retry_after(error)
    if asked is not None and asked > longest:
        return None
    return max(jittered(least, most), asked or 0.0)


def is_control_flow(error: BaseException) -> bool:
    """Tell whether an exception steers the program (cancellation, exit, an interrupt for a person).

    Such an exception is never retried, never opens a circuit and never counts as a failure.
    """
    if not isinstance(error, Exception):
        return True
    return any(isinstance(error, signal) for signal in _signals())


def _signals() -> list[type]:
    """The classes of interrupts that this program can raise: none, if it has not loaded them."""
    modules = (sys.modules.get(name) for name in ("hagane.hitl.interrupt", "agentflow.hitl.interrupt"))
    found = (getattr(module, "InterruptSignal", None) for module in modules)
    return [signal for signal in found if isinstance(signal, type)]


def retry_after(error: BaseException) -> float | None:
    """Return how many seconds the server asks for, None if it does not say.

    Looks at `error.retry_after` (seconds) and at the header Retry-After of `error.response` or `error` (seconds, or
    an HTTP date; RFC 9110, 10.2.3), where clients of HTTP services put it.
    """
    given = _seconds(getattr(error, "retry_after", None))
    if given is not None:
        return given
    for carrier in (getattr(error, "response", None), error):
        headers = getattr(carrier, "headers", None)
        if isinstance(headers, Mapping):
            for name, value in headers.items():
                if str(name).lower() == "retry-after":
                    return _header(value)
    return None


def _seconds(value: Any) -> float | None:
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        return None
    return seconds if 0 <= seconds < float("inf") else None


def _header(value: Any) -> float | None:
    if (seconds := _seconds(value)) is not None:
        return seconds
    try:
        return max(0.0, parsedate_to_datetime(str(value)).timestamp() - time.time())
    except (TypeError, ValueError):
        return None
