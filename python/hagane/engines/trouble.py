"""Which failures may pass by themselves: trouble on the way to a service, or of the service."""

from __future__ import annotations

import asyncio
import re

from hagane.engines.backoff import retry_after

__all__ = ["may_pass", "said", "told"]

# RFC 9110 and 6585: request timeout, conflict, too early, too many requests; besides every 5xx.
STATUSES = frozenset({408, 409, 425, 429})
# Clients of services do not derive their errors from the builtin ones, but all name them alike.
NAMES = re.compile(
    r"Timeout|TimedOut|Connect|Network|RateLimit|Throttl|Overloaded|Unavailable|InternalServer|TooManyReq"
)


def may_pass(error: BaseException) -> bool:
    """Whether the same call may succeed later although nothing changes: then a repetition of the error says nothing.

    So for connection errors and timeouts of any library, for an error that names a wait (`Retry-After`), and for the
    HTTP statuses 408, 409, 425, 429 and 5xx. The error's causes are not looked at, but for the wait they name.
    """
    if isinstance(error, (ConnectionError, TimeoutError, asyncio.TimeoutError)):
        return True
    status = _status(error)
    if status is not None:
        return status in STATUSES or 500 <= status < 600
    return retry_after(error, 0.0) is not None or any(NAMES.search(kind.__name__) for kind in type(error).__mro__)


def _status(error: BaseException) -> int | None:
    """The HTTP status that the error or its response carries."""
    for holder in (error, getattr(error, "response", None)):
        for name in ("status_code", "status"):
            status = getattr(holder, name, None)
            if isinstance(status, int) and 100 <= status < 600:
                return int(status)
    return None


def told(error: BaseException) -> str:
    """Name an error for people: its type and text; of a group, also those of the errors in it."""
    inner = getattr(error, "exceptions", ())
    named = f"{type(error).__name__}: {said(error)}"
    return f"{named} [{'; '.join(map(told, inner))}]" if isinstance(inner, tuple) and inner else named


def said(error: BaseException) -> str:
    """Give an error's text, also where it cannot be made or not be stored as it is."""
    try:
        return str(error).encode("utf-8", "backslashreplace").decode("utf-8")
    except Exception as failure:
        return f"(its text cannot be made: {type(failure).__name__})"
