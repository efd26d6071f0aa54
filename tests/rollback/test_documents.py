"""Values beside runs: the newest first, put once, taken once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from store_helpers import Opener, begin

from hagane._core import Blob
from hagane.errors import LeaseLost
from hagane.rollback import Store


def shown(store: Store, *names: str | None) -> list[tuple[str, str, object]]:
    return [(one.thread_id, one.key, one.blob.value()) for one in store.documents("c", *names)]


def test_what_was_put_last_comes_first(store: Store) -> None:
    for thread, key in (("a", "1"), ("a", "2"), ("b", "1")):
        assert store.put("c", thread, key, Blob([thread, key]), at=7)
    store.put("other", "a", "1", Blob("elsewhere"), at=7)
    assert shown(store) == [("b", "1", ["b", "1"]), ("a", "2", ["a", "2"]), ("a", "1", ["a", "1"])]
    assert shown(store, "a") == shown(store)[1:]
    assert shown(store, None, "1") == [shown(store)[0], shown(store)[2]]
    assert shown(store, "a", "1") == [("a", "1", ["a", "1"])]
    assert len(store.documents("c", limit=1)) == 1
    assert store.documents("c")[0].at == 7


def test_a_replaced_one_is_the_newest(store: Store) -> None:
    for key in ("1", "2", "1"):
        store.put("c", "a", key, Blob(key * 2), at=1)
    assert [key for _, key, _ in shown(store)] == ["1", "2"]
    seqs = [one.seq for one in store.documents("c")]
    assert seqs == sorted(seqs, reverse=True)


def test_put_once_leaves_what_is_there(store: Store) -> None:
    assert store.put("c", "a", "1", Blob("first"), at=1, once=True)
    assert not store.put("c", "a", "1", Blob("second"), at=1, once=True)
    assert shown(store) == [("a", "1", "first")]


def test_only_so_many_are_kept(store: Store) -> None:
    for number in range(5):
        store.put("c", "a", str(number), Blob(number), at=1, keep=2)
    store.put("c", "b", "x", Blob(9), at=1, keep=2)
    assert [value for _, _, value in shown(store)] == [9, 4, 3]


def test_a_fenced_writer_puts_nothing(store: Store) -> None:
    stale = begin(store)
    fresh = store.adopt("t").epoch
    for epoch, thread in ((stale, "t"), (1, "nobody")):
        with pytest.raises(LeaseLost):
            store.put("c", thread, "k", Blob(1), at=1, epoch=epoch)
    assert store.documents("c") == []
    assert store.put("c", "t", "k", Blob(1), at=1, epoch=fresh)


def test_what_was_removed_is_given_back_and_gone(store: Store) -> None:
    for key in ("1", "2"):
        store.put("c", "a", key, Blob(key), at=1)
    assert [one.blob.value() for one in store.remove("c", "a", "1")] == ["1"]
    assert store.remove("c", "a", "1") == []
    assert shown(store) == [("a", "2", "2")]
    store.put("c", "a", "1", Blob("again"), at=1)
    assert [one.blob.value() for one in store.remove("c")] == ["again", "2"]
    assert store.usage().documents == 0


def test_a_document_is_taken_by_one_of_many(opened: Opener) -> None:
    stores = [opened() for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        for number in range(25):
            stores[0].put("c", "a", "decision", Blob(number), at=1)
            taken = list(pool.map(lambda store: store.remove("c", "a", "decision"), stores))
            assert [one.blob.value() for found in taken for one in found] == [number]


def test_put_once_is_won_by_one_of_many(opened: Opener) -> None:
    stores = [opened() for _ in range(4)]

    def attempt(number: int, key: str) -> bool:
        return stores[number].put("c", "a", key, Blob(number), at=1, once=True)

    with ThreadPoolExecutor(4) as pool:
        for key in map(str, range(25)):
            won = list(pool.map(attempt, range(4), [key] * 4))
            assert won.count(True) == 1
            assert shown(stores[0], "a", key) == [("a", key, won.index(True))]
