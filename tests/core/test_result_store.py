"""Results of flows: where they go, what comes back, and who goes when there are too many."""

from __future__ import annotations

import datetime as dt
import json
import os
import threading

import pytest

from hagane.core.result_store import FileResultStore, FlowResult, MemoryResultStore, ResultStoreManager
from hagane.errors import SnapshotError, StoreCorrupt


def result(result_id="r", flow_id="f", minute=0, **data):
    at = dt.datetime(2026, 11, 23, 12, minute)
    return FlowResult(result_id=result_id, flow_id=flow_id, data=data, created_at=at, metadata={"by": "me"})


@pytest.fixture(params=["memory", "file"])
def store(request, tmp_path):
    return MemoryResultStore() if request.param == "memory" else FileResultStore(tmp_path / "results")


async def test_a_result_comes_back_as_it_was(store):
    given = result(when=dt.date(2026, 1, 1), pair=(1, 2), some={3}, text="鋼")
    await store.save(given)
    given.data["pair"] = None
    loaded = await store.get("r")
    assert loaded.data == {"when": dt.date(2026, 1, 1), "pair": (1, 2), "some": {3}, "text": "鋼"}
    loaded.data["text"] = None
    assert (await store.get("r")).data["text"] == "鋼"
    assert await store.get("nothing") is None
    assert await store.delete("r")
    assert not await store.delete("r")
    assert await store.list_results() == []


async def test_the_newest_come_first_and_a_flow_sees_its_own(store):
    for number, flow in enumerate("fgff"):
        await store.save(result(f"r{number}", flow, number))
    assert [each.result_id for each in await store.list_results()] == ["r3", "r2", "r1", "r0"]
    assert [each.result_id for each in await store.list_results("f", limit=2)] == ["r3", "r2"]
    assert await store.list_results("nobody") == []


NAMES = [
    "../outside",
    "/absolute",
    "a/../../b",
    "..",
    ".",
    "",
    "a\0b",
    "a\\b",
    "鋼" * 100,
    "x" * 5000,
    "x" * 5001,
    "%2E",
    "CON",
]


async def test_r1_no_id_leads_out_of_the_directory(tmp_path):
    store = FileResultStore(tmp_path / "results")
    for name in NAMES:
        await store.save(result(name, value=name))
    assert os.listdir(tmp_path) == ["results"]
    assert len(os.listdir(tmp_path / "results")) == len(NAMES)
    assert all(each.is_file() for each in (tmp_path / "results").iterdir())
    for name in NAMES:
        assert (await store.get(name)).data == {"value": name}
        assert await store.delete(name)
    assert os.listdir(tmp_path / "results") == []


async def test_r2_a_reader_sees_one_writers_result_or_the_others(tmp_path):
    store = FileResultStore(tmp_path)
    values = ["a" * 200_000, "b" * 300_000]
    await store.save(result(value=values[0]))
    stop = threading.Event()

    def write(value):
        import asyncio

        other = FileResultStore(tmp_path)
        while not stop.is_set():
            asyncio.run(other.save(result(value=value)))

    writers = [threading.Thread(target=write, args=(value,)) for value in values]
    for writer in writers:
        writer.start()
    try:
        for _ in range(200):
            assert (await store.get("r")).data["value"] in values
            assert len(await store.list_results()) == 1
    finally:
        stop.set()
        for writer in writers:
            writer.join()
    assert os.listdir(tmp_path) == ["r.json"]


async def test_r3_an_update_of_a_full_store_evicts_nobody():
    store = MemoryResultStore(max_size=2)
    await store.save(result("a", minute=1))
    await store.save(result("b", minute=2))
    await store.save(result("b", minute=3, changed=True))
    assert [each.result_id for each in await store.list_results()] == ["b", "a"]
    await store.save(result("c", minute=4))
    assert [each.result_id for each in await store.list_results()] == ["c", "b"]


async def test_agentflows_own_file_can_be_read_and_ours_looks_like_one(tmp_path):
    store = FileResultStore(tmp_path)
    theirs = {"result_id": "old", "flow_id": "f", "status": "success", "data": {"n": 1}, "metadata": {}}
    (tmp_path / "old.json").write_text(json.dumps({**theirs, "created_at": "2026-01-13T12:24:13"}))
    loaded = await store.get("old")
    assert (loaded.data, loaded.created_at) == ({"n": 1}, dt.datetime(2026, 1, 13, 12, 24, 13))
    await store.save(loaded)
    written = json.loads((tmp_path / "old.json").read_text())
    assert {key: written[key] for key in theirs} == theirs


@pytest.mark.parametrize("content", ["", "{", "[]", "5", '{"result_id": 1}', '{"hagane": "!"}', '{"hagane": "AAAA"}'])
async def test_a_damaged_file_is_an_error_that_names_it_and_is_left_out_of_lists(tmp_path, content, caplog):
    store = FileResultStore(tmp_path)
    await store.save(result("good"))
    (tmp_path / "bad.json").write_text(content)
    with pytest.raises(StoreCorrupt, match=r"(?s)bad\.json holds no result: .*left as it is"):
        await store.get("bad")
    assert [each.result_id for each in await store.list_results()] == ["good"]
    assert "bad.json holds no result" in caplog.text
    assert (tmp_path / "bad.json").read_text() == content


async def test_what_cannot_be_kept_is_refused_and_what_was_there_stays(tmp_path):
    store = FileResultStore(tmp_path)
    await store.save(result(v=1))
    with pytest.raises(SnapshotError, match=r"result r\.data\.v: object"):
        await store.save(result(v=object()))
    assert (await store.get("r")).data == {"v": 1}


async def test_the_program_has_one_store(monkeypatch, tmp_path):
    monkeypatch.setattr(ResultStoreManager, "_store", None)
    saved = await ResultStoreManager.save("r", {"n": 1}, "f", metadata={"a": 1})
    assert await ResultStoreManager.get("r") == saved
    assert isinstance(ResultStoreManager.get_store(), MemoryResultStore)
    ResultStoreManager.set_store(FileResultStore(tmp_path))
    assert await ResultStoreManager.list_results("f") == []
    assert not await ResultStoreManager.delete("r")


def test_a_store_that_keeps_nothing_is_refused():
    with pytest.raises(ValueError, match="max_size is 0"):
        MemoryResultStore(max_size=0)
