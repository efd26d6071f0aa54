"""A server that goes away in the middle, and replies that are lost on the way."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from tcp_proxy import Proxy

from hagane._core import Blob
from hagane.errors import StoreConnectionError, StoreError
from hagane.hitl import CheckpointData, RedisCheckpointer
from hagane.hitl.redis_documents import RedisDocuments

pytestmark = pytest.mark.needs("redis")
pytest.importorskip("redis", reason="redis-py is not installed; Redis was not tested")


@pytest.fixture
def proxy(service):
    proxy = Proxy(urlsplit(service("redis")).port)
    yield proxy
    proxy.close()


@pytest.fixture
async def checkpointer(proxy, request):
    checkpointer = RedisCheckpointer(f"redis://127.0.0.1:{proxy.port}/0", key_prefix=f"lost-{proxy.port}", ttl=60)
    yield checkpointer
    await checkpointer.disconnect()


async def test_a_fact_whose_reply_was_lost_is_still_the_one_that_was_written_first(checkpointer, proxy):
    await checkpointer.connect()
    assert await checkpointer.put_mark("t", "warm up: the server knows the script now", {})
    proxy.lose = 1
    assert await checkpointer.put_mark("t", "answer", {"by": "me"})
    assert proxy.lose == 0
    assert not await checkpointer.put_mark("t", "answer", {"by": "you"})
    assert await checkpointer.get_mark("t", "answer") == {"by": "me"}


async def test_a_save_whose_reply_was_lost_is_there_once(checkpointer, proxy):
    await checkpointer.save(CheckpointData(checkpoint_id="a", thread_id="t"))
    proxy.lose = 1
    await checkpointer.save(CheckpointData(checkpoint_id="b", thread_id="t", state={"v": 1}))
    assert [each.checkpoint_id for each in await checkpointer.list_by_thread("t")] == ["b", "a"]


async def test_a_removal_whose_reply_was_lost_still_gives_what_it_took(checkpointer, proxy):
    await checkpointer.save(CheckpointData(checkpoint_id="a", thread_id="t"))
    await checkpointer.delete("nothing")
    proxy.lose = 1
    assert await checkpointer.delete("a")
    assert proxy.lose == 0
    assert not await checkpointer.delete("a")


@pytest.fixture
def two(proxy, service):
    """One that writes through the proxy, and somebody else."""
    ends = [RedisDocuments(f"redis://127.0.0.1:{proxy.port}/0"), RedisDocuments(service("redis"))]
    for each in ends:
        each._prefix, each._ttl = f"two-{proxy.port}", 60
        each.put("c", "warm up", "k", Blob(0), at=1)
        each.remove("c", "warm up")
    yield ends
    for each in ends:
        each.close()


def meanwhile(proxy, write, act):
    """Let `write` lose its reply, `act` happen before it is sent again; return what both gave."""
    acted = []
    proxy.lose, proxy.when_lost = 1, lambda: acted.append(act())
    told = write()
    assert proxy.lose == 0
    return told, acted[0]


def test_what_was_put_and_taken_before_the_put_is_sent_again_is_taken_once(two, proxy):
    far, near = two
    told, taken = meanwhile(
        proxy,
        lambda: far.put("c", "t", "a", Blob("approve"), at=1, once=True),
        lambda: [each.blob.value() for each in near.remove("c", "t", "a")],
    )
    assert (told, taken) == (True, ["approve"])
    assert near.remove("c", "t", "a") == []


@pytest.mark.parametrize("once", [False, True])
def test_a_put_that_is_sent_again_does_not_replace_what_is_newer(two, proxy, once):
    far, near = two

    def newer():
        near.remove("c", "t", "d")
        return near.put("c", "t", "d", Blob("new"), at=2)

    told, _ = meanwhile(proxy, lambda: far.put("c", "t", "d", Blob("old"), at=1, once=once), newer)
    assert told
    assert [each.blob.value() for each in near.documents("c", "t", "d")] == ["new"]


def test_a_write_is_remembered_as_long_as_it_may_be_sent_again(two, proxy, service):
    _, near = two
    before = set(near._client.keys("*:written:*"))
    assert near.put("c", "t", "k", Blob(1), at=1)
    (token,) = set(near._client.keys("*:written:*")) - before
    # Six tries of 5 and 5 seconds, and five pauses of 1.
    assert 65 < near._client.ttl(token) <= 75
    patient = RedisDocuments(f"{service('redis')}?socket_timeout=100", socket_connect_timeout=None)
    assert patient._remembered > 6 * 700
    patient.close()


async def test_without_the_server_it_says_so_and_goes_on_when_it_is_back(checkpointer, proxy):
    await checkpointer.save(CheckpointData(checkpoint_id="a", thread_id="t"))
    proxy.cut()
    with pytest.raises(StoreConnectionError, match=f"Redis at redis://127.0.0.1:{proxy.port}/0 cannot be reached"):
        await checkpointer.save(CheckpointData(checkpoint_id="b", thread_id="t"))
    proxy.open = True
    assert (await checkpointer.load_latest("t")).checkpoint_id == "a"


def test_what_the_server_refuses_is_an_error_of_the_store(service):
    documents = RedisDocuments(service("redis"), prefix="refused", ttl=60)
    # A hash is expected under the counter's name.
    documents._client.hset("{refused}:c:seq", "a", 1)
    documents._client.expire("{refused}:c:seq", 60)
    with pytest.raises(StoreError, match=r"Redis at redis://127.* refused: .*wrong kind") as refused:
        documents.put("c", "t", "k", Blob(1), at=1)
    assert not isinstance(refused.value, StoreConnectionError)
    documents.close()


def test_an_address_that_is_none_and_a_search_for_everything_are_refused(service):
    with pytest.raises(StoreConnectionError, match="no address of a Redis server"):
        RedisDocuments("http://127.0.0.1")
    documents = RedisDocuments(service("redis"))
    with pytest.raises(ValueError, match="by thread or by key"):
        documents.documents("c")
    documents.close()
