"""`@metrics_tracked` counts runs and changes nothing else."""

from __future__ import annotations

import asyncio
import functools
import inspect
import logging
import subprocess
import sys
import time
from dataclasses import dataclass

import pytest

from hagane.observability import get_metrics, metrics_tracked, standard


def runs(agent: str, status: str) -> float:
    return get_metrics().counter("agent_execution_total").get({"agent": agent, "status": status})


def durations(agent: str) -> int:
    return get_metrics().histogram("agent_execution_duration_seconds").get_stats({"agent": agent})["count"]


def in_progress(agent: str) -> float:
    return get_metrics().gauge("agent_executions_in_progress").get({"agent": agent})


async def test_a_coroutine_method_counts_its_success_under_its_objects_name():
    class Agent:
        def __init__(self, name):
            self.name = name

        @metrics_tracked
        async def run(self, x, *, y=1):
            assert in_progress("d-coroutine") == 1
            return x + y

    assert await Agent("d-coroutine").run(1, y=2) == 3
    assert (runs("d-coroutine", "success"), durations("d-coroutine"), in_progress("d-coroutine")) == (1, 1, 0)


async def test_a_run_that_raises_is_an_error_and_raises_what_it_raised():
    class Raising:
        @metrics_tracked
        async def run(self):
            raise KeyError("x")

    with pytest.raises(KeyError, match="x"):
        await Raising().run()
    assert (runs("Raising", "error"), runs("Raising", "success"), durations("Raising")) == (1, 0, 1)


async def test_cancellation_is_its_own_status_and_goes_on():
    @metrics_tracked(agent="d-cancelled")
    async def run():
        await asyncio.sleep(60)

    task = asyncio.ensure_future(run())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (runs("d-cancelled", "cancelled"), runs("d-cancelled", "error")) == (1, 0)
    assert in_progress("d-cancelled") == 0


def test_functions_generators_and_class_and_static_methods_are_counted():
    @metrics_tracked
    def d_function(x):
        return x

    class Tools:
        @classmethod
        @metrics_tracked(agent="d-class")
        def of_class(cls):
            return cls

        @metrics_tracked(agent="d-static")
        @staticmethod
        def static(x):
            return x

    @metrics_tracked(agent="d-generator")
    def generate():
        got = yield 1
        return got

    generator = generate()
    assert (d_function(5), Tools.of_class(), Tools.static(3), Tools().static(4)) == (5, Tools, 3, 4)
    assert next(generator) == 1
    with pytest.raises(StopIteration) as stopped:
        generator.send("sent")
    assert stopped.value.value == "sent"
    seen = [runs(agent, "success") for agent in ("d_function", "d-class", "d-static", "d-generator")]
    assert seen == [1, 1, 2, 1]


def test_a_static_method_without_a_name_is_not_named_by_its_argument():
    class Tools:
        @staticmethod
        @metrics_tracked
        def d_static_bare(x):
            return x

        @metrics_tracked
        def run(this):  # noqa: N805
            return this

    tools = Tools()
    assert (tools.d_static_bare(3), tools.run()) == (3, tools)
    assert (runs("d_static_bare", "success"), runs("Tools", "success"), runs("int", "success")) == (1, 1, 0)


async def test_an_async_generator_keeps_send_throw_and_close():
    closed = []

    @metrics_tracked(agent="d-stream")
    async def stream():
        try:
            got = yield "first"
            try:
                yield got
            except ValueError as error:
                yield f"caught {error}"
        finally:
            closed.append(True)

    generator = stream()
    assert inspect.isasyncgenfunction(stream)
    assert await generator.__anext__() == "first"
    assert await generator.asend("sent") == "sent"
    assert await generator.athrow(ValueError("thrown")) == "caught thrown"
    with pytest.raises(StopAsyncIteration):
        await generator.__anext__()
    assert (closed, runs("d-stream", "success")) == ([True], 1)

    half_read = stream()
    await half_read.__anext__()
    await half_read.aclose()
    assert (closed, runs("d-stream", "cancelled")) == ([True, True], 1)
    assert [item async for item in stream()] == ["first", None]
    assert (runs("d-stream", "success"), runs("d-stream", "error"), durations("d-stream")) == (2, 0, 3)


async def test_an_error_inside_an_async_generator_comes_out_and_counts():
    @metrics_tracked(agent="d-broken-stream")
    async def stream():
        yield 1
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        [item async for item in stream()]
    assert runs("d-broken-stream", "error") == 1


def test_decoration_leaves_the_function_what_it_was():
    async def run(self, x: int = 1) -> str:
        """Documentation."""

    tracked = metrics_tracked(run)
    assert inspect.iscoroutinefunction(tracked)
    assert inspect.signature(tracked) == inspect.signature(run)
    assert (tracked.__name__, tracked.__doc__, tracked.__wrapped__) == ("run", "Documentation.", run)
    assert tracked.__hagane_tracked__ is True

    class Agent:
        def __init__(self, size: int = 3) -> None:
            self.size = size

        @metrics_tracked
        async def run(self):
            pass

    assert inspect.isfunction(vars(Agent)["run"])
    assert list(inspect.signature(Agent).parameters) == ["size"]
    assert not [name for name in dir(Agent) if "hagane" in name]


def test_construct_scrape_run_scrape_is_an_increase_of_one(scrape):
    class Agent:
        def __init__(self, name):
            self.name = name

        @metrics_tracked
        def run(self):
            return 1

    agent = Agent("d-increase")
    labels = {"agent": "d-increase", "status": "success"}
    before = scrape().value("agent_execution_total", **labels)
    agent.run()
    after = scrape().value("agent_execution_total", **labels)
    assert (before, after) == (0, 1)
    assert scrape().value("agent_execution_duration_seconds_count", agent="d-increase") == 1
    assert scrape().value("agent_execution_total", agent="d-increase", status="cancelled") == 0


def test_an_agent_named_by_its_class_is_there_before_the_first_object(scrape):
    class NamedByClass:
        name = "d-class-name"

        @metrics_tracked
        def run(self):
            return 1

    assert scrape().value("agent_execution_total", agent="d-class-name", status="success") == 0


def test_a_dataclass_still_gets_its_own_init():
    @dataclass
    class Agent:
        name: str

        @metrics_tracked
        def run(self):
            return self.name

    assert Agent("d-dataclass").run() == "d-dataclass"
    assert runs("d-dataclass", "success") == 1


def test_a_clock_that_is_set_back_gives_no_negative_duration(monkeypatch):
    @metrics_tracked(agent="d-clock")
    def run():
        monkeypatch.setattr(time, "time", lambda: 0.0)

    run()
    stats = get_metrics().histogram("agent_execution_duration_seconds").get_stats({"agent": "d-clock"})
    assert stats["min"] >= 0


async def test_a_metrics_failure_breaks_no_agent_and_is_said_once(monkeypatch, caplog):
    monkeypatch.setattr(standard, "FAMILIES", None)
    monkeypatch.setattr(standard, "_complained", set())

    class Agent:
        @property
        def name(self):
            raise RuntimeError("not ready")

        @metrics_tracked
        async def run(self):
            return "result"

    assert [await Agent().run() for _ in range(3)] == ["result"] * 3
    said = [record.message for record in caplog.records]
    assert len(said) == len(set(said)) > 0
    assert all("the program goes on" in message for message in said)


def test_what_is_no_function_is_refused_with_the_remedy():
    with pytest.raises(TypeError, match=r"@metrics_tracked\(agent='my-agent'\)"):
        metrics_tracked("my-agent")
    with pytest.raises(TypeError, match="put it on a method of Whole"):

        @metrics_tracked
        class Whole:
            pass


@pytest.mark.parametrize(
    ("thing", "remedy"),
    [
        (property(lambda self: 1), "put it below @property"),
        (functools.partialmethod(print, 3), r"partialmethod\(metrics_tracked\(function\), ...\)"),
        (5, "a function or a method, not int"),
    ],
)
def test_what_does_not_run_is_refused_when_it_is_decorated(thing, remedy):
    with pytest.raises(TypeError, match=remedy):
        metrics_tracked(thing)
    with pytest.raises(TypeError, match=remedy):
        metrics_tracked(agent="d-refused")(thing)


async def test_a_bound_method_is_its_objects_and_a_partial_is_its_functions():
    class Bound:
        name = "d-bound"

        def run(self, x):
            return x

    async def d_partial(x, y):
        return x + y

    assert metrics_tracked(Bound().run)(1) == 1
    assert metrics_tracked(functools.partial(Bound().run, 2))() == 2
    assert await metrics_tracked(functools.partial(d_partial, 3))(4) == 7
    assert [runs(agent, "success") for agent in ("d-bound", "d_partial")] == [2, 1]


@pytest.mark.parametrize("hook", ["filter", "handler"])
def test_what_is_hooked_to_the_log_and_raises_breaks_no_agent(monkeypatch, hook):
    def raising(record):
        raise RuntimeError(hook)

    class Raising(logging.Handler):
        def emit(self, record):
            raising(record)

    logger = logging.getLogger("hagane.observability")
    monkeypatch.setattr(standard, "FAMILIES", None)
    monkeypatch.setattr(standard, "_complained", set())
    monkeypatch.setattr(logger, f"{hook}s", [raising if hook == "filter" else Raising()])
    assert metrics_tracked(agent=f"d-log-{hook}")(lambda: "result")() == "result"
    assert standard._complained


def test_importing_the_decorator_loads_no_asyncio():
    program = "import hagane.observability.standard, sys; print({'asyncio', 'pydantic', 'numpy'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "set()"
