"""What every checkpointer does, whichever store is behind it."""

from __future__ import annotations

import asyncio

import pytest

from hagane.errors import CheckpointError
from hagane.hitl import CheckpointData, SqliteCheckpointer


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
