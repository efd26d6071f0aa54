"""Where something raised: for logs, and in one line for events."""

from __future__ import annotations

import logging
import traceback
from contextlib import suppress

from hagane.engines.trouble import told

__all__ = ["log_failure", "place_of"]

_log = logging.getLogger("hagane.engines")


def place_of(error: BaseException) -> str | None:
    """Name file, line and function of the frame that raised; None if the error was never raised."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{frames[-1].filename}:{frames[-1].lineno} in {frames[-1].name}" if frames else None


def log_failure(what: str, error: BaseException) -> None:
    """Log an error of users' code with its traceback, at level INFO: events and results say that there was one.

    A program that configures no logging prints nothing of it, as failures that a retry mends are ordinary. Whoever
    listens to the log may fail, which is not passed on.
    """
    with suppress(Exception):
        if _log.isEnabledFor(logging.INFO):
            _log.info("%s: %s", what, told(error), exc_info=error)
