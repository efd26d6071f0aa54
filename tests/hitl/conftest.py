"""The same tests over every checkpointer."""

from __future__ import annotations

import datetime as dt
import sys
import uuid

import pytest
from approval_helpers import settle

from hagane._core import PostgresStore, SqliteStore
from hagane.hitl import (
    Checkpointer,
    InterruptSignal,
    MemoryCheckpointer,
    PostgresCheckpointer,
    RedisCheckpointer,
    SqliteCheckpointer,
    set_checkpointer,
    set_thread_id,
)
from hagane.hitl.approval_wait import Waits
from hagane.hitl.redis_documents import RedisDocuments

interrupts = sys.modules["hagane.hitl.interrupt"]


class Foreign(Checkpointer):
    """A program's own checkpointer, with AgentFlow's interface and nothing else."""

    def __init__(self):
        self.kept = {}

    async def save(self, data):
        self.kept.pop(data.checkpoint_id, None)
        self.kept[data.checkpoint_id] = data.model_copy()
        return data.checkpoint_id

    async def load(self, checkpoint_id):
        return self.kept.get(checkpoint_id)

    async def load_latest(self, thread_id):
        return next(iter(await self.list_by_thread(thread_id)), None)

    async def delete(self, checkpoint_id):
        return self.kept.pop(checkpoint_id, None) is not None

    async def list_by_thread(self, thread_id):
        return [each for each in reversed(self.kept.values()) if each.thread_id == thread_id]


@pytest.fixture
def open_checkpointer(request, tmp_path, service):
    """A function that opens a checkpointer of a kind; twice is the same documents seen by two."""
    name = uuid.uuid4().hex

    def open_one(kind, **options):
        if kind == "memory":
            return MemoryCheckpointer(**options)
        if kind == "sqlite":
            return SqliteCheckpointer(tmp_path / "checkpoints.db", **options)
        if kind == "redis":
            pytest.importorskip("redis", reason="redis-py is not installed; RedisCheckpointer was not tested")
            return RedisCheckpointer(service("redis"), key_prefix=f"test-{name}", **options)
        if kind == "postgres":
            # Of its own by its name: nothing of one test is seen by another.
            return PostgresCheckpointer(service("postgres"), table_name=name, schema="hagane_hitl_tests", **options)
        raise AssertionError(kind)

    return open_one


async def close(checkpointer):
    for method in ("disconnect", "close"):
        if hasattr(checkpointer, method):
            await getattr(checkpointer, method)()


@pytest.fixture
async def opened(open_checkpointer):
    """As `open_checkpointer`, and everything is closed after the test."""
    made = []

    def open_one(kind, **options):
        made.append(open_checkpointer(kind, **options))
        return made[-1]

    yield open_one
    for each in made:
        await close(each)


KINDS = ["memory", "sqlite", "postgres", "redis"]


@pytest.fixture
def open_documents(tmp_path, service):
    """A function that opens the documents of a kind that several processes can share; twice sees the same."""
    name = f"test-{uuid.uuid4().hex}"
    made = []

    def open_one(kind):
        if kind == "sqlite":
            made.append(SqliteStore(tmp_path / "documents.db"))
        elif kind == "postgres":
            made.append(PostgresStore(service("postgres"), schema="hagane_hitl_tests"))
        else:
            pytest.importorskip("redis", reason="redis-py is not installed; documents in Redis were not tested")
            made.append(RedisDocuments(service("redis"), prefix=name))
        return made[-1]

    open_one.queue = name
    yield open_one
    for each in made:
        each.close()


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


@pytest.fixture(params=KINDS[1:])
def shared_kind(request):
    """A kind that several processes can share."""
    return request.param


@pytest.fixture
async def checkpointer(kind, opened):
    return opened(kind)


@pytest.fixture(params=[*KINDS, "foreign"])
async def any_checkpointer(request, opened):
    return Foreign() if request.param == "foreign" else opened(request.param)


@pytest.fixture(autouse=True)
def nobody_to_ask():
    """No checkpointer and no thread from another test."""
    for variable in (interrupts._current_checkpointer, interrupts._current_thread_id, interrupts._current_execution):
        variable.set(None)
    interrupts.clear_interrupt()


class Clock:
    """UTC, which passes only while somebody waits."""

    def __init__(self):
        self.now = dt.datetime(2026, 11, 23, 12)
        self.began = self.now

    def __call__(self):
        return self.now

    @property
    def passed(self):
        return (self.now - self.began).total_seconds()


@pytest.fixture
def clock(monkeypatch):
    """Virtual time: a wait ends when it is woken, else when its time has passed at once."""
    clock = Clock()

    async def pause(_waits, wait, seconds):
        await settle()
        if not wait.event.is_set():
            clock.now += dt.timedelta(seconds=seconds)
        wait.event.clear()

    monkeypatch.setattr(Waits, "pause", pause)
    return clock


@pytest.fixture
def asked(any_checkpointer):
    """Execute a function for a thread, from its start; return its result, or the payload that it stopped for."""
    set_checkpointer(any_checkpointer)

    async def execute(function, thread_id="t"):
        set_thread_id(thread_id)
        try:
            return await function()
        except InterruptSignal as signal:
            return signal.payload

    return execute
