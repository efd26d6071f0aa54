"""Puts the finished report where the user wants it: whole or not at all."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path


class OutputError(OSError):
    """The report cannot be written; the message is one line for the user."""


def check_writable(directory: Path) -> None:
    """Make the directory and write in it. Raises OutputError before work is spent on a report for nowhere."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=directory) as handle:
            handle.write(b"x")
    except OSError as error:
        raise OutputError(
            f"cannot write the report to {directory}: {error.strerror or error}; choose another --report"
        ) from error


def publish(files: Mapping[str, bytes], directory: Path, run_id: str) -> list[Path]:
    """Write all files beside their places first, then rename each into its place; a crash leaves no half of a file.

    What a killed run leaves beside them bears `run_id`, so that the resumed run writes over it and renames it away.
    Raises OutputError; the files that were there before are then still there.
    """
    beside = {directory / name: directory / f".{run_id}-{name}" for name in files}
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for target, temporary in beside.items():
            _write(temporary, files[target.name])
        for target, temporary in beside.items():
            temporary.replace(target)
    except OSError as error:
        for temporary in beside.values():
            with contextlib.suppress(OSError):
                temporary.unlink()
        raise OutputError(f"cannot write the report to {directory}: {error.strerror or error}") from error
    return list(beside)


def is_published(files: Mapping[str, bytes], directory: Path) -> bool:
    """Whether exactly these files are in their places."""
    try:
        return all((directory / name).read_bytes() == data for name, data in files.items())
    except OSError:
        return False


def _write(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o644)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
