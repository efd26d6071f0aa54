"""How long to wait before a stage that raised runs again."""

from __future__ import annotations

from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Any

__all__ = ["retry_after"]


def retry_after(error: BaseException, now: float) -> float | None:
    """Return the seconds that a service asked for: from the error's `retry_after`, or its response's `Retry-After`.

    Both forms of RFC 9110, section 10.2.3, are understood: seconds and a date. `now` is seconds since 1970. The error's
    causes are looked at too.
    """
    seen: BaseException | None = error
    met: set[int] = set()  # `raise error from error` is its own cause
    while seen is not None and id(seen) not in met:
        met.add(id(seen))
        said = getattr(seen, "retry_after", None)
        found = _seconds(_header(seen) if said is None else said, now)
        if found is not None:
            return found
        seen = seen.__cause__
    return None


def _header(error: BaseException) -> Any:
    for holder in (getattr(error, "response", None), error):
        headers = getattr(holder, "headers", None)
        get = getattr(headers, "get", None)
        if callable(get):
            found = get("Retry-After") or get("retry-after")
            if found is not None:
                return found
    return None


def _seconds(said: Any, now: float) -> float | None:
    if said is None or isinstance(said, bool):
        return None
    try:
        return max(0.0, float(said))
    except (TypeError, ValueError):
        pass
    try:
        moment = parsedate_to_datetime(str(said))
    except ValueError:
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)
    return max(0.0, (moment - datetime.fromtimestamp(now, timezone.utc)).total_seconds())
