"""A checkpoint of a growing conversation, flushed to disk: wall time, in turns with LangGraph's savers."""

from __future__ import annotations

import sqlite3
import statistics
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from hagane._core import Blob
from hagane.rollback import MemoryStore, PostgresStore, SqliteStore, Store

from .clock import Row
from .states import conversation, message

STEPS = 40
SIZES = ((1_000_000, "1 MB", 2.0), (100_000, "100 KB", 1.0), (1_000, "1 KB", 1 / 1.3))
SMALL = 10_000
Step = Callable[[list[Any]], None]


def rows(postgres: str | None) -> Iterator[Row]:
    with tempfile.TemporaryDirectory() as folder:
        for size, name, least in SIZES:
            path = Path(folder)
            ours = store_steps(SqliteStore(path / f"{name}.hagane"))
            theirs = saver_steps(sqlite_saver(path / f"{name}.langgraph"))
            yield row(f"SQLite commit, state of {name}", size, ours, theirs, "SqliteSaver", least)
        for size, name, _ in SIZES:
            from langgraph.checkpoint.memory import InMemorySaver

            ours, theirs = store_steps(MemoryStore()), saver_steps(InMemorySaver())
            yield row(f"commit to memory, state of {name}", size, ours, theirs, "InMemorySaver", None)
    if postgres:
        yield from postgres_rows(postgres)


def postgres_rows(url: str) -> Iterator[Row]:
    import psycopg
    from langgraph.checkpoint.postgres import PostgresSaver

    schema = f"bench_{uuid.uuid4().hex}"
    own = f"{schema}_own"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {schema}")
        try:
            options = f"{url}{'&' if '?' in url else '?'}options=-csearch_path%3D{schema}"
            for size, name, _ in SIZES:
                with PostgresSaver.from_conn_string(options) as saver:
                    saver.setup()
                    store = PostgresStore(url, schema=own)
                    what = f"PostgreSQL commit, state of {name}"
                    yield row(what, size, store_steps(store), saver_steps(saver), "PostgresSaver", None)
                    store.close()
        finally:
            connection.execute(f"DROP SCHEMA {schema} CASCADE")
            connection.execute(f"DROP SCHEMA IF EXISTS {own} CASCADE")


def sqlite_saver(path: Path) -> Any:
    """Their saver with the synchronisation that ours has: the write-ahead log, flushed at every commit."""
    from langgraph.checkpoint.sqlite import SqliteSaver

    connection = sqlite3.connect(path, check_same_thread=False)
    saver = SqliteSaver(connection)
    saver.setup()
    connection.execute("PRAGMA synchronous=FULL")
    return saver


def row(what: str, size: int, ours: Step, theirs: Step, rival: str, least: float | None) -> Row:
    messages = conversation(size)
    figures: tuple[list[float], list[float]] = ([], [])
    for number in range(STEPS):
        messages.append(message(len(messages) + number))
        if size < SMALL:
            # Growing by a message would soon make another state of it.
            del messages[0]
        for step, figure in zip((ours, theirs) if number % 2 else (theirs, ours), _turn(figures, number), strict=True):
            begun = time.perf_counter()
            step(messages)
            figure.append(time.perf_counter() - begun)
    one, other = (statistics.median(figure[2:]) * 1e3 for figure in figures)
    return Row(what, one, other, rival, "ms", least)


def _turn(figures: tuple[list[float], list[float]], number: int) -> tuple[list[float], list[float]]:
    return figures if number % 2 else (figures[1], figures[0])


def store_steps(store: Store) -> Step:
    thread = uuid.uuid4().hex
    epoch: list[int] = []
    names = {"thread_id": thread, "run_id": thread}

    def step(messages: list[Any]) -> None:
        state = [("messages", Blob(messages)), ("step", Blob(len(messages)))]
        event = [(len(epoch) + 1, "checkpoint", 0, Blob({"step": len(messages)}))]
        if not epoch:
            begun = store.begin(**names, pipeline="p", version="v", at=0, events=event, state=state)
            epoch.append(begun[0])
        else:
            store.commit(**names, epoch=epoch[0], status="running", at=0, events=event, state=state)
            epoch.append(0)

    return step


def saver_steps(saver: Any) -> Step:
    from langgraph.checkpoint.base import empty_checkpoint

    config: list[Any] = [{"configurable": {"thread_id": uuid.uuid4().hex, "checkpoint_ns": ""}}]

    def step(messages: list[Any]) -> None:
        version = len(messages)
        checkpoint = empty_checkpoint() | {"channel_values": {"messages": messages, "step": version}}
        checkpoint["channel_versions"] = {"messages": version, "step": version}
        metadata = {"source": "loop", "step": version, "parents": {}}
        config[0] = saver.put(config[0], checkpoint, metadata, checkpoint["channel_versions"])

    return step
