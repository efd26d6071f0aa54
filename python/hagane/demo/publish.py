"""Puts the finished report where the user wants it: whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path

from hagane.commands.streams import OutputError
from hagane.demo.places import make_directory


def check_writable(directory: Path, names: Iterable[str], undo: ExitStack) -> None:
    """Make the directory, write in it, and see that no directory stands where a file of these names is to go.

    `undo` removes what was made and stays empty. Raises OutputError before work is spent on a report for nowhere.
    """
    try:
        make_directory(directory, undo)
    except OSError as error:
        raise _refusal(directory, error) from error
    _check_targets(directory / name for name in names)


def publish(files: Mapping[str, bytes], directory: Path, run_id: str) -> list[Path]:
    """Write all files beside their places first, then rename each into its place; a crash leaves no half of a file.

    What a killed run leaves beside them bears `run_id`, so that the resumed run writes over it and renames it away.
    Raises OutputError; the files that were there before are then still there (on a file system without hard links,
    one that was replaced before the renaming failed is not).
    """
    beside = {directory / name: directory / f".{run_id}-{place}" for place, name in enumerate(files)}
    try:
        directory.mkdir(parents=True, exist_ok=True)
        _check_targets(beside)
        for target, temporary in beside.items():
            _write(temporary, files[target.name])
        rename_all(beside)
    except OutputError:
        raise
    except OSError as error:
        raise _refusal(directory, error) from error
    finally:
        for temporary in beside.values():
            _unlink(temporary)
    return list(beside)


def is_published(files: Mapping[str, bytes], directory: Path) -> bool:
    """Whether exactly these files are in their places."""
    try:
        return all((directory / name).read_bytes() == data for name, data in files.items())
    except OSError:
        return False


def rename_all(beside: Mapping[Path, Path]) -> None:
    """Rename each file into its place; if one cannot be, put back those that were replaced. Raises OutputError."""
    replaced: list[tuple[Path, Path]] = []
    for target, temporary in beside.items():
        former = temporary.with_name(f"{temporary.name}-former")
        _unlink(former)  # of a run that was killed here
        existed = os.path.lexists(target)
        with contextlib.suppress(OSError):
            os.link(target, former, follow_symlinks=False)
        try:
            temporary.replace(target)
        except OSError as error:
            _unlink(former)
            for place, kept in replaced:
                _put_back(place, kept)
            raise _refusal(target, error) from error
        if os.path.lexists(former) or not existed:
            replaced.append((target, former))
    for _, kept in replaced:
        _unlink(kept)


def _put_back(target: Path, former: Path) -> None:
    with contextlib.suppress(OSError):
        if os.path.lexists(former):
            former.replace(target)
        else:
            target.unlink()


def _check_targets(targets: Iterable[Path]) -> None:
    """Raise OutputError where a directory stands in a file's place, or where no file of that name can be."""
    for target in targets:
        try:
            if target.is_dir():
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        except OSError as error:
            raise _refusal(target, error) from error


def _refusal(place: Path, error: OSError) -> OutputError:
    return OutputError(f"cannot write the report to {place}: {error.strerror or error}; choose another --report")


def _unlink(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink()


def _write(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o644)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
