"""Checkpointers on servers: connecting, disconnecting, what they say of themselves, and how long Redis remembers."""

from __future__ import annotations

import socket

import pytest

from hagane.errors import StoreConnectionError
from hagane.hitl import CheckpointData, PostgresCheckpointer, RedisCheckpointer


def data(checkpoint_id="c", thread_id="t", **fields):
    return CheckpointData(checkpoint_id=checkpoint_id, thread_id=thread_id, **fields)


@pytest.mark.needs("redis")
async def test_redis_forgets_after_its_time(opened):
    checkpointer = opened("redis", ttl=1)
    await checkpointer.save(data("a"))
    client = checkpointer._documents._client
    assert 0 < client.ttl(next(key for key in client.keys(f"*{checkpointer._key_prefix}*:doc:*"))) <= 1
    keeping = opened("redis", ttl=0)
    await keeping.save(data("b", "u"))
    names = client.keys(f"*{checkpointer._key_prefix}*:doc:1:u:*")
    assert [client.ttl(name) for name in names] == [-1]
    for name in client.keys(f"*{checkpointer._key_prefix}*:doc:1:t:*"):
        client.delete(name)  # As if its time were over: the indexes still name it.
    assert await checkpointer.load("a") is None
    assert await checkpointer.load_latest("t") is None
    await checkpointer.save(data("c"))
    assert [each.checkpoint_id for each in await checkpointer.list_by_thread("t")] == ["c"]


@pytest.mark.parametrize("server", ["redis", "postgres"])
async def test_connecting_disconnecting_and_status(opened, server):
    checkpointer = opened(server)
    assert not checkpointer.is_connected()
    await checkpointer.connect()
    await checkpointer.connect()
    assert checkpointer.is_connected()
    status = checkpointer.get_status()
    assert (status["backend"].removesuffix("ql"), status["connected"]) == (server, True)
    await checkpointer.disconnect()
    assert not checkpointer.is_connected()
    with pytest.raises(StoreConnectionError, match=rf"disconnected from {server}.*call connect\(\)"):
        await checkpointer.load("c")
    await checkpointer.connect()
    assert await checkpointer.load("c") is None


@pytest.fixture
def closed_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@pytest.mark.parametrize("made", [RedisCheckpointer, PostgresCheckpointer])
async def test_a_server_that_is_not_there_is_a_connection_error_that_says_where(made, closed_port, monkeypatch):
    if made is RedisCheckpointer:
        pytest.importorskip("redis", reason="redis-py is not installed; RedisCheckpointer was not tested")
    for name in ("REDIS_URL", "DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)
    quickly = {"retry_seconds": 0.1} if made is PostgresCheckpointer else {}
    checkpointer = made(host="127.0.0.1", port=closed_port, password="hidden", **quickly)
    with pytest.raises(ConnectionError, match=f"127.0.0.1:{closed_port}") as refused:
        await checkpointer.connect()
    assert isinstance(refused.value, StoreConnectionError)
    assert "hidden" not in str(refused.value)
    assert not checkpointer.is_connected()


@pytest.mark.parametrize(("made", "scheme"), [(RedisCheckpointer, "redis"), (PostgresCheckpointer, "postgresql")])
def test_a_status_shows_no_password(made, scheme):
    checkpointer = made(f"{scheme}://me:hidden@db.example:1/x")
    assert checkpointer.get_status()["url"] == f"{scheme}://me:***@db.example:1/x"
    assert "hidden" not in checkpointer._place()


def test_a_negative_time_to_live_is_refused():
    with pytest.raises(ValueError, match="ttl is -1"):
        RedisCheckpointer(ttl=-1)
