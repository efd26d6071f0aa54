"""Types of options, for `add_argument(type=...)`: what they refuse they refuse in words."""

from __future__ import annotations

import argparse
from pathlib import Path

__all__ = ["path", "port", "seconds"]

MOST_SECONDS = 366 * 86400


def path(text: str) -> Path:
    """Return a path that is not empty."""
    if not text:
        raise argparse.ArgumentTypeError("an empty name is no path: give one, or leave the option out")
    return Path(text)


def seconds(text: str) -> float:
    """Return a number of seconds, at most a year."""
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number <= MOST_SECONDS:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds from 0 to a year")
    return number


def port(text: str) -> int:
    """Return a TCP port; 0 asks for a free one."""
    try:
        number = int(text)
    except ValueError:
        number = -1
    if not 0 <= number <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port from 0 to 65535")
    return number
