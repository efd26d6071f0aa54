"""Finds out whether a place can be written before any work is spent, and leaves no trace where nothing came of it."""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from contextlib import ExitStack
from pathlib import Path

from hagane.commands.streams import OutputError
from hagane.rollback import SqliteStore


def make_directory(directory: Path, undo: ExitStack) -> None:
    """Make the directory and write in it; `undo` removes again what was made and is still empty. Raises OSError."""
    missing = [place for place in (directory, *directory.parents) if not place.exists()]
    for place in reversed(missing):
        with contextlib.suppress(FileExistsError):  # somebody else was faster, and it is theirs
            place.mkdir()
            undo.callback(_remove, place)
    if not directory.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
    with tempfile.TemporaryFile(dir=directory) as handle:
        handle.write(b"x")


def open_store(path: Path, undo: ExitStack) -> SqliteStore:
    """Open or make the database; `undo` closes it, and removes it if it is new and no run was recorded.

    Raises OutputError where it cannot be written, StoreError and its kind where it is no database of this version.
    """
    try:
        make_directory(path.parent, undo)
        new = not path.exists()
        if not new:
            _check_file(path)
    except OSError as error:
        reason = error.strerror or error
        raise OutputError(
            f"cannot write the checkpoint database {path}: {reason}; make it writable or choose another --db"
        ) from error
    if new:
        undo.callback(_remove_empty, path)
    store = SqliteStore(path)
    undo.callback(_close, store, path, new)
    return store


def _check_file(path: Path) -> None:
    """See that the file is one, and open it for writing: SQLite would fall back to reading. Raises OSError."""
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not path.is_file():
        raise OSError(errno.EINVAL, "it is not a regular file")
    os.close(os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC))


def _close(store: SqliteStore, path: Path, new: bool) -> None:
    unused = False
    try:
        unused = new and not store.runs(1)
    finally:
        store.close()
    if unused:
        # A full disk keeps SQLite from emptying the files beside it, and they must not meet another database.
        for ending in ("", "-wal", "-shm"):
            with contextlib.suppress(OSError):
                path.with_name(path.name + ending).unlink()


def _remove_empty(path: Path) -> None:
    """Remove the file that a failed opening left without a table in it, unless somebody else has it open."""
    import sqlite3

    with contextlib.suppress(OSError, sqlite3.Error):
        if path.with_name(path.name + "-wal").exists():
            return  # the last to close a database removes this file, so there is another
        # Immutable: read as it is, for there may be no room for the files that SQLite keeps beside it.
        with contextlib.closing(sqlite3.connect(f"{path.absolute().as_uri()}?immutable=1", uri=True)) as connection:
            if connection.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,):
                path.unlink()


def _remove(directory: Path) -> None:
    with contextlib.suppress(OSError):  # not empty: something came of it
        directory.rmdir()
