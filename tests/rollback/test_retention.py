"""What goes, what stays, and that nothing is left of what went."""

from __future__ import annotations

from typing import Any

import pytest
from store_helpers import DAY, Opener, begin, commit, values

from hagane._core import Blob
from hagane.errors import UnknownRun
from hagane.rollback import Store


def steps(store: Store, count: int, thread: str = "t", run: str = "r", at: int = 1) -> int:
    epoch = begin(store, run, thread, at=at, s=0)
    for number in range(1, count):
        commit(store, epoch, number + 1, run=run, thread=thread, at=at + number, s=number)
    return epoch


def test_only_the_newest_checkpoints_of_a_thread_stay(make_store: Opener) -> None:
    store = make_store(keep=3)
    steps(store, 6)
    steps(store, 2, "u", "s")
    assert [values(store, one.checkpoint) for one in store.checkpoints("t")] == [{"s": 5}, {"s": 4}, {"s": 3}]
    assert len(store.checkpoints("u")) == 2
    with pytest.raises(UnknownRun):
        store.load(1)
    assert len(store.events("r")) == 6


def test_fifty_stay_unless_said_otherwise(store: Store) -> None:
    steps(store, 55)
    assert len(store.checkpoints(limit=100)) == 50


def test_what_no_checkpoint_names_is_freed(make_store: Opener) -> None:
    store = make_store(keep=None, max_age_seconds=None)
    long = [{"text": f"{number:08d}" * 60} for number in range(400)]
    epoch = begin(store, s=long)
    before = store.usage()
    commit(store, epoch, 2, s=[*long, {"text": "new"}])
    commit(store, epoch, 3, s=[])
    assert store.usage().blobs > before.blobs
    pruned = store.prune(at=3, keep=1, max_age_seconds=None)
    after = store.usage()
    assert (pruned.checkpoints, after.checkpoints, after.blobs) == (2, 1, 1)
    assert pruned.blobs >= before.blobs
    assert after.blob_bytes < 100
    assert values(store, store.head("t").checkpoint) == {"s": []}


def test_parts_that_others_still_name_stay(make_store: Opener) -> None:
    store = make_store(keep=None)
    long = [f"{number:08d}" * 60 for number in range(400)]
    epoch = begin(store, s=long, t=long)
    store.put("c", "t", "k", Blob(long), at=1)
    commit(store, epoch, 2, s=[*long, "more"])
    store.prune(at=3, keep=1)
    assert values(store, store.head("t").checkpoint) == {"s": [*long, "more"]}
    assert store.documents("c")[0].blob.value() == long
    store.remove("c")
    commit(store, epoch, 3, s=1)
    store.prune(at=3, keep=1)
    assert store.usage().blobs == 1


def test_old_runs_that_ended_go_with_their_events(make_store: Opener) -> None:
    store = make_store(max_age_seconds=30 * 86_400)
    commit(store, begin(store, "done", "a", at=DAY, s=1), 2, "success", run="done", thread="a", at=DAY)
    begin(store, "crashed", "b", at=DAY, s=2)
    commit(store, begin(store, "waits", "c", at=DAY, s=3), 2, "escalated", run="waits", thread="c", at=DAY, s=4)
    begin(store, "new", "d", at=40 * DAY, s=5)
    assert sorted(run.run_id for run in store.runs()) == ["crashed", "new", "waits"]
    with pytest.raises(UnknownRun):
        store.events("done")
    with pytest.raises(UnknownRun):
        store.head("a")
    assert values(store, store.head("b").checkpoint) == {"s": 2}
    assert [one.label for one in store.checkpoints("c")] == ["step 2"]


def test_a_run_that_was_superseded_long_ago_goes_and_its_thread_stays(make_store: Opener) -> None:
    store = make_store(max_age_seconds=86_400)
    begin(store, "old", at=DAY, s=1)
    begin(store, "young", at=2 * DAY, s=2)
    begin(store, "now", "u", at=4 * DAY, s=3)
    assert sorted(run.run_id for run in store.runs()) == ["now", "young"]
    assert values(store, store.head("t").checkpoint) == {"s": 2}


def test_a_prune_can_be_of_one_thread(make_store: Opener) -> None:
    store = make_store(keep=None)
    steps(store, 4, "t", "r")
    steps(store, 4, "u", "s")
    assert store.prune(at=10, keep=1, thread_id="t").checkpoints == 3
    assert (len(store.checkpoints("t")), len(store.checkpoints("u"))) == (1, 4)


def test_checkpoints_are_listed_by_thread_and_run(store: Store) -> None:
    epoch = begin(store, s="x" * 100)
    first = store.head("t").checkpoint
    commit(store, epoch, 2, s=1)
    commit(store, epoch, 3, s=2, supersede_after=first)
    begin(store, "other", "u", s=3)
    listed = store.checkpoints(run_id="r")
    assert [(one.label, one.superseded) for one in listed] == [("step 3", False), ("step 2", True), ("start", False)]
    assert listed[-1].size == 103
    assert [one.thread_id for one in store.checkpoints(limit=2)] == ["u", "t"]
    assert "step 3" in repr(listed[0])


def test_usage_counts_what_is_there(store: Store) -> None:
    begin(store, s=1)
    store.put("c", "t", "k", Blob(2), at=1)
    usage = store.usage()
    found = (usage.threads, usage.runs, usage.checkpoints, usage.events, usage.documents, usage.blobs)
    assert found == (1, 1, 1, 1, 1, 2)
    assert (usage.file_bytes > 0) == (store.kind != "memory")


@pytest.mark.parametrize("options", [{"keep": 0}, {"max_age_seconds": -1.0}, {"max_age_seconds": float("nan")}])
def test_a_retention_that_cannot_be_meant_is_refused(make_store: Opener, options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="give"):
        make_store(**options)
