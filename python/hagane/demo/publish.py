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


def publish(files: Mapping[str, bytes], directory: Path) -> list[Path]:
    """Write all files beside their places first, then rename each into its place; a crash leaves no half of a file.

    Raises OutputError; the files that were there before are then still there.
    """
    written: list[tuple[str, Path]] = []
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for name, data in files.items():
            written.append((_write_beside(data, directory), directory / name))
        for temporary, target in written:
            os.replace(temporary, target)  # noqa: PTH105  both are on one file system, made so above
    except OSError as error:
        for temporary, _ in written:
            with contextlib.suppress(OSError):
                Path(temporary).unlink()
        raise OutputError(f"cannot write the report to {directory}: {error.strerror or error}") from error
    return [target for _, target in written]


def _write_beside(data: bytes, directory: Path) -> str:
    handle, name = tempfile.mkstemp(prefix=".report-", dir=directory)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    Path(name).chmod(0o644)
    return name
