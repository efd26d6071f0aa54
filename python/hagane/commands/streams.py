"""Standard output and standard error as they are found: closed, full, or unable to show an arrow."""

from __future__ import annotations

import contextlib
import os
import sys


class OutputError(OSError):
    """Something that has to be written cannot be; the message is one line for the user."""


def one_line(text: object, limit: int | None = 300) -> str:
    """Text for a terminal: one line of at most `limit` characters, nothing that a terminal would obey."""
    line = " ".join("".join(mark if mark.isprintable() else " " for mark in str(text)).split())
    return line if limit is None or len(line) <= limit else line[: limit - 3] + "..."


def make_ready() -> None:
    """Put /dev/null where a standard stream is closed, and make both outputs take any text.

    Without that the next file opened, a pipe of the sandbox or the database, would stand in the stream's place.
    """
    if None in (sys.stdin, sys.stdout, sys.stderr):
        descriptor = os.open(os.devnull, os.O_RDWR)
        while descriptor <= 2:
            descriptor = os.open(os.devnull, os.O_RDWR)
        os.close(descriptor)
    for name, number in (("stdout", 1), ("stderr", 2)):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, "w", encoding="utf-8", closefd=False))
        stream = getattr(sys, name)
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # an arrow must not end a command on a terminal without one


def say(line: str) -> None:
    """Print a line at once. Raises BrokenPipeError if the reader has gone, OutputError if it cannot be written."""
    try:
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        silence_stdout()
        raise OutputError(
            f"cannot write to standard output: {error.strerror or error}; send it to another place"
        ) from error


def complain(command: str, text: str) -> None:
    """Print a command's last word as one whole line on standard error; a remedy must not be cut off."""
    with contextlib.suppress(OSError):
        sys.stderr.write(f"{f'hagane {command}'.strip()}: {one_line(text, None)}\n")
        sys.stderr.flush()


def silence_stdout() -> None:
    """Let what is still to be printed, at the exit at the latest, go nowhere."""
    with contextlib.suppress(OSError, ValueError):
        descriptor = os.open(os.devnull, os.O_WRONLY)
        os.dup2(descriptor, sys.stdout.fileno())
        os.close(descriptor)
