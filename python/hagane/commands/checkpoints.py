"""`hagane checkpoints ls|show|diff|prune|du`: what a store holds, for people."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hagane.commands import BAD_INPUT, OK, UNSUCCESSFUL, streams

if TYPE_CHECKING:
    from hagane.rollback import CheckpointRecord, Store
    from hagane.rollback.difference import Difference

__all__ = ["add_commands"]

DEMO = ".hagane/demo.sqlite"
MOST_LINES = 200


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `checkpoints` and its actions; each sets `run`, which returns the exit status."""
    parser = commands.add_parser("checkpoints", help="look into a checkpoint store, and tidy it up")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    listing = _action(actions, "ls", _list, "list checkpoints, newest first")
    listing.add_argument("--thread", metavar="NAME", help="of this thread only")
    listing.add_argument("--run", dest="run_id", metavar="ID", help="of this run only")
    listing.add_argument("--limit", type=_count, default=50, metavar="N", help="at most so many (default: 50)")
    show = _action(actions, "show", _show, "print the state of a checkpoint")
    show.add_argument("checkpoint", type=_number, metavar="NUMBER", help="as `ls` lists it")
    show.add_argument("--key", help="this key of the state only, in full")
    difference = _action(
        actions, "diff", _diff, "print what differs between two checkpoints; status 1 if anything does"
    )
    difference.add_argument("before", type=_number, metavar="BEFORE")
    difference.add_argument("after", type=_number, metavar="AFTER")
    prune = _action(actions, "prune", _prune, "remove old checkpoints and what only they named")
    prune.add_argument("--thread", metavar="NAME", help="of this thread only")
    prune.add_argument("--keep", type=_count, default=50, metavar="N", help="newest of each thread (default: 50)")
    prune.add_argument("--days", type=_days, default=30.0, metavar="DAYS", help="no older than this (default: 30)")
    _action(actions, "du", _usage, "say how much is stored")


def _action(actions: Any, name: str, run: Callable[[Store, Any], int], text: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = actions.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
    parser.add_argument(
        "--db",
        default=os.environ.get("HAGANE_CHECKPOINTS", DEMO),
        metavar="PLACE",
        help=f"a SQLite file or postgresql:// URL (default: HAGANE_CHECKPOINTS, else {DEMO})",
    )
    parser.add_argument("--schema", default="hagane", help="PostgreSQL schema (default: %(default)s)")
    parser.set_defaults(run=lambda arguments: _with_store(arguments, name, run))
    return parser


def _with_store(arguments: argparse.Namespace, name: str, run: Callable[[Store, Any], int]) -> int:
    from hagane.errors import HaganeError

    try:
        store = _open(arguments.db, arguments.schema)
        try:
            return run(store, arguments)
        finally:
            store.close()
    except (HaganeError, OSError, ValueError) as error:
        if isinstance(error, BrokenPipeError):
            raise
        streams.complain(f"checkpoints {name}", str(error))
        return BAD_INPUT


def _open(place: str, schema: str) -> Store:
    from hagane.rollback import PostgresStore, SqliteStore

    if "://" in place:
        return PostgresStore(place, schema=schema)
    # Looking must not create a file, which opening a store would.
    if not place:
        raise ValueError("no checkpoint store is named; name one with --db or HAGANE_CHECKPOINTS")
    if not Path(place).exists():
        raise FileNotFoundError(f"there is no checkpoint store {place}; name one with --db")
    return SqliteStore(Path(place))


def _list(store: Store, arguments: argparse.Namespace) -> int:
    records = store.checkpoints(arguments.thread, arguments.run_id, arguments.limit)
    rows = [_row(record) for record in records]
    _table(("NUMBER", "WHEN (UTC)", "SIZE", "THREAD", "RUN", "LABEL"), rows)
    return OK


def _row(record: CheckpointRecord) -> tuple[str, ...]:
    label = f"{record.label} (superseded)" if record.superseded else record.label
    return str(record.checkpoint), _moment(record.at), _bytes(record.size), record.thread_id, record.run_id, label


def _moment(micros: int) -> str:
    try:
        return (datetime(1970, 1, 1) + timedelta(microseconds=micros)).strftime("%Y-%m-%d %H:%M:%S")
    except OverflowError:
        # A clock that was wrong must not hide the rest.
        return f"({micros} us)"


def _show(store: Store, arguments: argparse.Namespace) -> int:
    state = store.load(arguments.checkpoint)
    if arguments.key is not None:
        if arguments.key not in state:
            raise ValueError(
                f"checkpoint {arguments.checkpoint} has no key {arguments.key!r}; it has {', '.join(state)}"
            )
        streams.say(_text(state[arguments.key], None))
        return OK
    for key, blob in state.items():
        streams.say(f"{streams.one_line(key)} ({_bytes(blob.size)}): {_text(blob, 300)}")
    return OK


def _text(blob: Any, limit: int | None) -> str:
    from hagane.errors import CheckpointError

    try:
        return streams.one_line(repr(blob.value()), limit)
    except CheckpointError as error:
        # One class that this command has not registered must not hide the rest.
        return f"(cannot be shown: {streams.one_line(error, limit)})"


def _diff(store: Store, arguments: argparse.Namespace) -> int:
    from hagane.rollback.difference import differences

    before, after = store.load(arguments.before), store.load(arguments.after)
    # Equal addresses are equal values: what did not change is not even read.
    keys = dict.fromkeys([*before, *after])
    changed = [key for key in keys if key not in before or key not in after or _differ(before, after, key)]
    one, other = ({key: state[key].value() for key in changed if key in state} for state in (before, after))
    found = list(differences(one, other))
    for place in found[:MOST_LINES]:
        streams.say(_line(place))
    if len(found) > MOST_LINES:
        streams.say(f"... and {len(found) - MOST_LINES} more")
    return UNSUCCESSFUL if found else OK


def _line(place: Difference) -> str:
    path = streams.one_line(place.path)
    before, after = (streams.one_line(repr(value), 120) for value in (place.before, place.after))
    if place.kind == "changed":
        return f"~ {path}: {before} -> {after}"
    return f"+ {path}: {after}" if place.kind == "added" else f"- {path}: {before}"


def _differ(before: Any, after: Any, key: str) -> bool:
    return bool(before[key].address != after[key].address)


def _prune(store: Store, arguments: argparse.Namespace) -> int:
    now = int(time.time() * 1e6)
    pruned = store.prune(
        at=now, keep=arguments.keep, max_age_seconds=arguments.days * 86_400, thread_id=arguments.thread
    )
    streams.say(
        f"removed: {pruned.checkpoints} checkpoints, {pruned.runs} runs, {pruned.blobs} parts ({_bytes(pruned.bytes)})"
    )
    return OK


def _usage(store: Store, _: argparse.Namespace) -> int:
    usage = store.usage()
    figures = (
        ("threads", usage.threads),
        ("runs", usage.runs),
        ("checkpoints", usage.checkpoints),
        ("events", usage.events),
        ("documents", usage.documents),
        ("parts of states", f"{usage.blobs} ({_bytes(usage.blob_bytes)})"),
        ("on disk", _bytes(usage.file_bytes)),
    )
    for name, figure in figures:
        streams.say(f"{name:16} {figure}")
    return OK


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    shown = [head, *(tuple(streams.one_line(cell, 60) for cell in row) for row in rows)]
    widths = [max(len(row[column]) for row in shown) for column in range(len(head))]
    for row in shown:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        streams.say("  ".join(cells).rstrip())


def _bytes(number: float) -> str:
    for unit in ("B", "KB", "MB"):
        if number < 1000:
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:.1f} GB"


def _number(text: str) -> int:
    # No further than stores count.
    if not text.isdecimal() or not int(text) < 2**63:
        raise argparse.ArgumentTypeError(f"{text!r} is not the number of a checkpoint; `ls` lists them")
    return int(text)


def _count(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 2**32:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1")
    return int(text)


def _days(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number <= 36_500:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of days from 0 to 36500")
    return number
