"""A plain function that hands out something to be awaited or iterated over ends when that does."""

from __future__ import annotations

import asyncio
import gc
import inspect
import warnings

import pytest

from hagane.observability import get_metrics, metrics_tracked


def counted(agent: str) -> tuple[int, int, int]:
    """How many runs succeeded, failed and were cancelled."""
    total = get_metrics().counter("agent_execution_total")
    return tuple(int(total.get({"agent": agent, "status": s})) for s in ("success", "error", "cancelled"))


def in_progress(agent: str) -> float:
    return get_metrics().gauge("agent_executions_in_progress").get({"agent": agent})


class Later:
    """An awaitable of a sort of its own."""

    extra = "its own"

    def __init__(self, work):
        self.work = work

    def __await__(self):
        return self.work().__await__()


async def fine():
    await asyncio.sleep(0)
    return "result"


async def broken():
    await asyncio.sleep(0)
    raise KeyError("x")


async def endless():
    await asyncio.Event().wait()


HANDED_OUT = {
    "coroutine": lambda work: work(),
    "task": lambda work: asyncio.ensure_future(work()),
    "gathered": lambda work: asyncio.gather(work()),
    "own": Later,
}


@pytest.mark.parametrize("kind", HANDED_OUT)
async def test_the_outcome_is_that_of_what_is_awaited(kind):
    agent = f"later-{kind}"

    @metrics_tracked(agent=agent)
    def run(work):
        return HANDED_OUT[kind](work)

    assert await run(fine) in ("result", ["result"])
    await asyncio.sleep(0)
    assert counted(agent) == (1, 0, 0)
    with pytest.raises(KeyError, match="x"):
        await run(broken)
    await asyncio.sleep(0)
    assert counted(agent) == (1, 1, 0)

    async def awaiting():
        await run(endless)

    task = asyncio.ensure_future(awaiting())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert in_progress(agent) == 1
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.sleep(0)
    assert (counted(agent), in_progress(agent)) == ((1, 1, 1), 0)
    durations = get_metrics().histogram("agent_execution_duration_seconds").get_stats({"agent": agent})
    assert durations["count"] == 3


async def test_what_is_handed_out_is_of_the_sort_that_it_was():
    made = {}

    @metrics_tracked(agent="later-sorts")
    def run(kind, work=fine):
        made[kind] = HANDED_OUT[kind](work)
        return made[kind]

    coroutine, task, own = run("coroutine"), run("task"), run("own")
    assert inspect.iscoroutine(coroutine)
    assert (coroutine.__name__, coroutine.__qualname__) == ("fine", "fine")
    assert task is made["task"]
    assert own.extra == "its own"
    assert [await coroutine, await task, await own] == ["result"] * 3


async def test_a_futures_exception_is_still_told_by_asyncio_if_nobody_looks(caplog):
    @metrics_tracked(agent="later-unseen")
    def run():
        return asyncio.ensure_future(broken())

    task = run()
    while not task.done():
        await asyncio.sleep(0)
    await asyncio.sleep(0)
    del task
    gc.collect()
    assert "Task exception was never retrieved" in caplog.text
    assert counted("later-unseen") == (0, 1, 0)


def test_what_nobody_takes_up_is_neither_counted_nor_in_progress():
    @metrics_tracked(agent="later-dropped")
    def run():
        return fine()

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        assert run() is not None
        gc.collect()
    assert (counted("later-dropped"), in_progress("later-dropped")) == ((0, 0, 0), 0)


def test_a_generator_that_is_handed_out_ends_with_its_last_item():
    def items():
        yield 1
        yield 2
        raise ValueError("after two")

    @metrics_tracked(agent="later-generator")
    def run():
        return items()

    seen = []
    generator = run()
    assert inspect.isgenerator(generator)
    with pytest.raises(ValueError, match="after two"):
        seen.extend(generator)
    assert counted("later-generator") == (0, 1, 0)


async def test_an_asynchronous_generator_that_is_handed_out_ends_with_its_last_item():
    async def items(*, fail):
        got = yield 1
        yield got
        if fail:
            raise ValueError("after two")

    @metrics_tracked(agent="later-stream")
    def run(**options):
        return items(**options)

    stream = run(fail=False)
    assert inspect.isasyncgen(stream)
    assert (await stream.__anext__(), await stream.asend("sent")) == (1, "sent")
    with pytest.raises(StopAsyncIteration):
        await stream.__anext__()
    with pytest.raises(ValueError, match="after two"):
        [item async for item in run(fail=True)]
    assert (counted("later-stream"), in_progress("later-stream")) == ((1, 1, 0), 0)


async def test_what_can_also_be_entered_is_left_as_it_is():
    class Request(Later):
        async def __aenter__(self):
            return self

        async def __aexit__(self, *_):
            return None

    request = Request(fine)

    @metrics_tracked(agent="later-entered")
    def run():
        return request

    assert run() is request
    assert counted("later-entered") == (1, 0, 0)
