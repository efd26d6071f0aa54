"""What every checkpointer does, whichever store is behind it."""

from __future__ import annotations

import asyncio
import collections
import dataclasses
import datetime as dt
import decimal
import enum
import pathlib
import socket
import threading
import uuid

import pydantic
import pytest

from hagane.errors import CheckpointError, SnapshotError, StoreConnectionError
from hagane.hitl import CheckpointData, InterruptType, PostgresCheckpointer, RedisCheckpointer, SqliteCheckpointer
from hagane.hitl.types import ApprovalRequest, InterruptPayload
from hagane.rollback import register


def data(checkpoint_id="c", thread_id="t", **fields):
    return CheckpointData(checkpoint_id=checkpoint_id, thread_id=thread_id, **fields)


async def test_a_checkpoint_comes_back_whole(checkpointer):
    given = data(
        flow_id="f",
        node_id="n",
        state={"step": 1},
        inputs={"q": "x"},
        results={"a": [1]},
        interrupt_payload={"id": "i", "interrupt_type": "input"},
        parent_checkpoint_id="p",
        metadata={"by": "me"},
    )
    assert await checkpointer.save(given) == "c"
    loaded = await checkpointer.load("c")
    assert loaded.model_copy(update={"updated_at": given.updated_at}) == given
    assert loaded.updated_at >= given.updated_at


async def test_what_is_not_there_is_none(checkpointer):
    assert await checkpointer.load("nothing") is None
    assert await checkpointer.load_latest("nobody") is None
    assert await checkpointer.list_by_thread("nobody") == []
    assert await checkpointer.delete("nothing") is False


async def test_a_deleted_checkpoint_is_gone_from_everywhere(checkpointer):
    await checkpointer.save(data("a"))
    await checkpointer.save(data("b"))
    assert await checkpointer.delete("b") is True
    assert await checkpointer.load("b") is None
    assert (await checkpointer.load_latest("t")).checkpoint_id == "a"
    assert [each.checkpoint_id for each in await checkpointer.list_by_thread("t")] == ["a"]


async def test_a_thread_sees_its_own_checkpoints_the_newest_first(checkpointer):
    for name, thread in [("a", "t"), ("b", "t"), ("x", "t:"), ("c", "t")]:
        await checkpointer.save(data(name, thread))
    assert [each.checkpoint_id for each in await checkpointer.list_by_thread("t")] == ["c", "b", "a"]
    assert [each.checkpoint_id for each in await checkpointer.list_by_thread("t:")] == ["x"]


async def test_c1_nothing_of_the_callers_reaches_a_checkpoint(checkpointer):
    given = data(state={"items": [1]})
    await checkpointer.save(given)
    given.state["items"].append(2)
    first = await checkpointer.load("c")
    first.state["items"].append(3)
    latest = await checkpointer.load_latest("t")
    latest.state["items"].append(4)
    (listed,) = await checkpointer.list_by_thread("t")
    assert listed.state == {"items": [1]}
    assert given.state == {"items": [1, 2]}


async def test_c2_the_latest_is_the_one_that_was_saved_last(checkpointer):
    for name in ("a", "b", "a"):
        await checkpointer.save(data(name, state={"n": name}))
    assert (await checkpointer.load_latest("t")).checkpoint_id == "a"
    assert [each.checkpoint_id for each in await checkpointer.list_by_thread("t")] == ["a", "b"]


async def test_c3_an_id_stays_with_its_thread(checkpointer):
    await checkpointer.save(data("c", "mine", state={"secret": 1}))
    with pytest.raises(CheckpointError, match="'c' belongs to thread 'mine'; give every checkpoint an id of its own"):
        await checkpointer.save(data("c", "yours"))
    assert (await checkpointer.load("c")).thread_id == "mine"
    assert await checkpointer.load_latest("yours") is None


async def test_c4_a_thread_keeps_its_newest_checkpoints(opened, kind):
    checkpointer = opened(kind, keep=3)
    for number in range(6):
        await checkpointer.save(data(f"c{number}"))
    await checkpointer.save(data("other", "u"))
    assert [each.checkpoint_id for each in await checkpointer.list_by_thread("t")] == ["c5", "c4", "c3"]
    assert await checkpointer.load("c2") is None
    assert await checkpointer.load("other") is not None


@pytest.mark.parametrize("kind", ["memory", "sqlite", "postgres", "redis"])
async def test_c4_one_that_is_saved_again_is_new_again(opened, kind):
    checkpointer = opened(kind, keep=2)
    for name in ("a", "b", "a", "c"):
        await checkpointer.save(data(name))
    assert [each.checkpoint_id for each in await checkpointer.list_by_thread("t")] == ["c", "a"]


async def test_c4_memory_keeps_so_many_threads(opened):
    checkpointer = opened("memory", threads=2)
    for name in ("t", "u", "t", "v"):
        await checkpointer.save(data(f"of {name}", name))
    assert await checkpointer.load("of u") is None
    assert (await checkpointer.load_latest("t")).checkpoint_id == "of t"


def test_c5_a_save_in_memory_touches_only_its_own_checkpoint(monkeypatch):
    """Counted, not timed: the same work with ten checkpoints in the thread as with ten thousand."""
    from hagane._core import Blob
    from hagane.hitl.documents import MemoryDocuments

    def lines(count):
        documents = MemoryDocuments()
        for number in range(count):
            documents.put("c", "t", f"k{number}", Blob(1), at=1)
        seen = []
        import sys

        sys.settrace(lambda *_: lambda *_: seen.append(1))
        try:
            documents.put("c", "t", "new", Blob(1), at=1, keep=count)
        finally:
            sys.settrace(None)
        return len(seen)

    assert lines(10) == lines(5000)


class Colour(enum.Enum):
    RED = 1


TYPES = {
    "none": None,
    "bool": True,
    "int": -7,
    "big int": 1 << 200,
    "float": 0.1,
    "infinity": float("-inf"),
    "text": "鋼 \U0001f528 \n",
    "bytes": b"\x00\xff",
    "bytearray": bytearray(b"\x01"),
    "list": [1, [2]],
    "tuple": (1, (2,)),
    "empty tuple": (),
    "set": {1, 2},
    "frozenset": frozenset({"a"}),
    "dict": {"a": {"b": 1}},
    "ordered dict": collections.OrderedDict([("b", 1), ("a", 2)]),
    "deque": collections.deque([1, 2], maxlen=3),
    "datetime": dt.datetime(2026, 11, 23, 17, 30, 1, 5),
    "datetime with zone": dt.datetime(2026, 11, 23, tzinfo=dt.timezone(dt.timedelta(hours=9))),
    "date": dt.date(2026, 11, 23),
    "time": dt.time(17, 30, 1, 5),
    "timedelta": dt.timedelta(days=-1, microseconds=3),
    "decimal": decimal.Decimal("1.10"),
    "uuid": uuid.UUID(int=5),
    "path": pathlib.Path("/tmp/x"),
    "complex": 1 + 2j,
}


@pytest.mark.parametrize("name", TYPES)
async def test_c_every_type_comes_back_as_it_was(checkpointer, name):
    value = TYPES[name]
    await checkpointer.save(data(state={"value": value}, results={"nested": [{"value": value}]}))
    loaded = await checkpointer.load("c")
    for back in (loaded.state["value"], loaded.results["nested"][0]["value"]):
        assert (back, type(back)) == (value, type(value))
    assert getattr(loaded.state["value"], "tzinfo", None) == getattr(value, "tzinfo", None)


class Size(enum.Enum):
    LARGE = "l"


@dataclasses.dataclass
class Point:
    x: int
    tags: set


class Order(pydantic.BaseModel):
    number: int
    price: decimal.Decimal


for registered in (Size, Point, Order):
    register(registered, name=f"tests.hitl.{registered.__name__}")


INSTANCES = [Size.LARGE, Point(1, {"a"}), Order(number=1, price="1.10")]


@pytest.mark.parametrize("value", INSTANCES, ids=lambda each: type(each).__name__)
async def test_c_registered_classes_come_back_as_they_were(checkpointer, value):
    await checkpointer.save(data(state={"value": value}))
    back = (await checkpointer.load("c")).state["value"]
    assert (back, type(back)) == (value, type(value))


async def test_c_an_unknown_type_is_refused_with_its_path_and_nothing_is_saved(checkpointer):
    await checkpointer.save(data(state={"v": 1}))
    for unknown in (Colour.RED, threading.Lock(), object()):
        with pytest.raises(SnapshotError, match=r"checkpoint c\.state\.items\[1\]\.x"):
            await checkpointer.save(data(state={"items": [0, {"x": unknown}]}))
    assert (await checkpointer.load("c")).state == {"v": 1}


async def test_a_dumped_interrupt_payload_can_be_saved(checkpointer):
    request = ApprovalRequest(action="delete", reason="r", context={"when": dt.date(2026, 1, 1)})
    payload = InterruptPayload(interrupt_type=InterruptType.REVIEW, request=request, state={"set": {1}})
    await checkpointer.save(data(interrupt_payload=payload.model_dump()))
    loaded = (await checkpointer.load("c")).interrupt_payload
    assert InterruptPayload(**loaded) == payload


async def test_a_fact_is_written_once_whoever_writes_at_the_same_time(checkpointer):
    wrote = await asyncio.gather(*(checkpointer.put_mark("t", "answer", {"by": by}) for by in range(20)))
    assert sum(wrote) == 1
    assert await checkpointer.get_mark("t", "answer") == {"by": wrote.index(True)}
    assert await checkpointer.get_mark("u", "answer") is None


async def test_two_checkpointers_of_one_store_see_the_same(opened, shared_kind):
    one, other = opened(shared_kind), opened(shared_kind)
    saves = [(each, data(f"{name}{number}")) for number in range(10) for each, name in ((one, "a"), (other, "b"))]
    await asyncio.gather(*(each.save(checkpoint) for each, checkpoint in saves))
    assert len(await one.list_by_thread("t")) == len(await other.list_by_thread("t")) == 20
    wrote = await asyncio.gather(*(each.put_mark("t", "answer", {}) for each in (one, other) * 10))
    assert sum(wrote) == 1


def test_a_checkpointer_that_keeps_nothing_is_refused(open_checkpointer, kind):
    with pytest.raises(ValueError, match="keep is 0"):
        open_checkpointer(kind, keep=0)


async def test_a_closed_file_says_so(tmp_path):
    checkpointer = SqliteCheckpointer(tmp_path / "c.db")
    await checkpointer.save(data())
    await checkpointer.close()
    with pytest.raises(CheckpointError, match="SqliteCheckpointer is closed"):
        await checkpointer.load("c")
    again = SqliteCheckpointer(tmp_path / "c.db")
    assert (await again.load("c")).thread_id == "t"
    await again.close()


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
