"""A plain function that hands out something to be awaited or iterated over ends when that does."""

from __future__ import annotations

import asyncio
import gc
import inspect
import threading
import warnings
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from hagane.observability import get_metrics, metrics_tracked


def counted(agent: str) -> tuple[int, int, int]:
    """How many runs succeeded, failed and were cancelled."""
    total = get_metrics().counter("agent_execution_total")
    return tuple(int(total.get({"agent": agent, "status": s})) for s in ("success", "error", "cancelled"))


def in_progress(agent: str) -> float:
    return get_metrics().gauge("agent_executions_in_progress").get({"agent": agent})


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

    coroutine, task = run("coroutine"), run("task")
    assert inspect.iscoroutine(coroutine)
    assert (coroutine.__name__, coroutine.__qualname__) == ("fine", "fine")
    assert task is made["task"]
    assert [await coroutine, await task] == ["result"] * 2


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


class Reference:
    """An awaitable of a sort of its own, which can be compared and awaited as often as one likes."""

    def __init__(self, value):
        self.value = value

    def __await__(self):
        yield from ()
        return self.value

    def __eq__(self, other):
        return isinstance(other, Reference) and self.value == other.value

    def __hash__(self):
        return hash(self.value)

    def __len__(self):
        return 3


class Request(Reference):
    """What an HTTP client returns: a coroutine by its methods, and to be entered as well."""

    def send(self, value):
        return next(iter(self.__await__()))

    def throw(self, *error):
        raise error[0]

    def close(self):
        return None

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        return None


@pytest.mark.parametrize("sort", [Reference, Request])
async def test_an_awaitable_of_a_sort_of_its_own_is_handed_out_as_it_is_and_counts_once(sort):
    agent = f"later-own-{sort.__name__}"
    made = sort(4)

    @metrics_tracked(agent=agent)
    def run():
        return made

    handed = run()
    assert (handed is made, handed == sort(4), len(handed)) == (True, True, 3)
    assert (counted(agent), in_progress(agent)) == ((1, 0, 0), 0)
    assert [await handed, await handed, await handed] == [4, 4, 4]
    assert (counted(agent), in_progress(agent)) == ((1, 0, 0), 0)


def test_a_future_of_a_thread_pool_is_followed_to_its_end():
    gate = threading.Event()

    @metrics_tracked(agent="later-threads")
    def run(pool, work):
        return pool.submit(work)

    def failing():
        gate.wait(60)
        raise KeyError("x")

    with ThreadPoolExecutor(1) as pool:
        futures = [run(pool, work) for work in (failing, gate.wait, gate.wait)]
        while_waiting = (counted("later-threads"), in_progress("later-threads"))
        cancelled = futures[2].cancel()
        gate.set()
    assert (while_waiting, cancelled) == (((0, 0, 0), 3), True)
    assert [type(future) for future in futures] == [Future] * 3
    assert repr(futures[0].exception()) == "KeyError('x')"
    assert (counted("later-threads"), in_progress("later-threads")) == ((1, 1, 1), 0)


@pytest.mark.parametrize("close", [True, False])
def test_a_coroutine_that_nobody_awaits_warns_as_often_as_it_does_untracked(close):
    def plain():
        return fine()

    def warned(function):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            coroutine = function()
            if close:
                coroutine.close()
            del coroutine
            gc.collect()
        return [str(warning.message) for warning in caught]

    said = warned(plain)
    assert len(said) == (0 if close else 1)
    assert warned(metrics_tracked(agent="later-closed")(plain)) == said


async def test_a_coroutine_that_somebody_else_has_too_is_left_open():
    kept = []

    @metrics_tracked(agent="later-kept")
    def run():
        kept.append(fine())
        return kept[0]

    run().close()
    assert await kept[0] == "result"


async def test_closing_a_half_read_stream_closes_it():
    closed = []

    async def items():
        try:
            for item in range(3):
                yield item
        finally:
            closed.append(True)

    stream = items()
    assert await stream.__anext__() == 0
    handed = metrics_tracked(agent="later-half-read")(lambda: stream)()
    await handed.aclose()
    assert closed == [True]
