"""Which checkpointer `get_checkpointer` gives."""

from __future__ import annotations

import sys

import pytest

from hagane.hitl import (
    MemoryCheckpointer,
    PostgresCheckpointer,
    RedisCheckpointer,
    SqliteCheckpointer,
    get_checkpointer,
)


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch):
    for name in ("CHECKPOINTER_BACKEND", "REDIS_URL", "DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("environment", "kind"),
    [
        ({}, MemoryCheckpointer),
        ({"REDIS_URL": "redis://r"}, RedisCheckpointer),
        ({"DATABASE_URL": "postgresql://d/x"}, PostgresCheckpointer),
        ({"DATABASE_URL": "postgres://d/x"}, PostgresCheckpointer),
        ({"DATABASE_URL": "mysql://d/x"}, MemoryCheckpointer),
        ({"REDIS_URL": "redis://r", "DATABASE_URL": "postgresql://d/x"}, RedisCheckpointer),
        ({"CHECKPOINTER_BACKEND": "memory", "REDIS_URL": "redis://r"}, MemoryCheckpointer),
    ],
)
def test_the_environment_chooses(monkeypatch, environment, kind):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    checkpointer = get_checkpointer()
    assert type(checkpointer) is kind
    if kind in (RedisCheckpointer, PostgresCheckpointer):
        assert checkpointer.get_status()["url"] in environment.values()


def test_an_argument_goes_before_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("CHECKPOINTER_BACKEND", "redis")
    checkpointer = get_checkpointer("sqlite", path=tmp_path / "c.db", keep=3)
    assert (type(checkpointer), checkpointer._keep) == (SqliteCheckpointer, 3)


def test_what_there_is_not_is_refused():
    with pytest.raises(ValueError, match="no checkpointer 'mongo'; there are memory, sqlite, redis, postgres"):
        get_checkpointer("mongo")


async def test_a_missing_client_package_is_an_error_and_never_memory(monkeypatch):
    monkeypatch.setitem(sys.modules, "redis", None)
    checkpointer = get_checkpointer("redis")
    with pytest.raises(ImportError, match=r"pip install 'hagane\[redis\]'"):
        await checkpointer.connect()
