"""`@metrics_tracked` by itself opens one span for each run, of whatever sort the function is."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.trace import StatusCode

from hagane.engines import PipelineEngine
from hagane.observability import metrics_tracked


async def test_each_sort_of_function_is_a_span(spans):
    @metrics_tracked(agent="s-async")
    async def of_async():
        return trace.get_current_span().get_span_context().span_id

    @metrics_tracked(agent="s-sync")
    def of_sync():
        return trace.get_current_span().get_span_context().span_id

    @metrics_tracked(agent="s-handed")
    def of_handed():
        async def work():
            return trace.get_current_span().get_span_context().span_id

        return work()

    for agent, seen in (("s-async", await of_async()), ("s-sync", of_sync()), ("s-handed", await of_handed())):
        assert spans.one(f"invoke_agent {agent}").context.span_id == seen
        attributes = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": agent}
        assert spans.attributes(f"invoke_agent {agent}") == attributes


async def test_an_agent_within_an_agent_hangs_below_it(spans):
    @metrics_tracked(agent="s-inner")
    def inner():
        return 1

    @metrics_tracked(agent="s-outer")
    async def outer():
        return inner()

    await outer()
    assert spans.path(spans.one("invoke_agent s-inner")) == ["invoke_agent s-outer", "invoke_agent s-inner"]


async def test_what_ends_a_run_ends_its_span(spans):
    @metrics_tracked(agent="s-ends")
    async def run(error):
        raise error

    @metrics_tracked(agent="s-future")
    def future():
        return asyncio.ensure_future(run(KeyError("x")))

    with pytest.raises(ValueError, match="no good"):
        await run(ValueError("no good"))
    span = spans.one("invoke_agent s-ends")
    assert (span.status.status_code, span.attributes["error.type"]) == (StatusCode.ERROR, "ValueError")
    with pytest.raises(KeyError):
        await future()
    await asyncio.sleep(0)
    assert spans.one("invoke_agent s-future").attributes["error.type"] == "KeyError"


def test_a_generators_span_is_current_inside_and_not_for_its_reader(spans):
    inside = []

    @metrics_tracked(agent="s-generator")
    def generate():
        try:
            inside.append(trace.get_current_span().get_span_context().span_id)
            got = yield 1
            inside.append((yield got))
        except ValueError as error:
            inside.append(trace.get_current_span().get_span_context().span_id)
            yield f"caught {error}"
        return "returned"

    before = trace.get_current_span()
    generator = generate()
    assert (next(generator), generator.send("sent")) == (1, "sent")
    assert trace.get_current_span() is before
    assert generator.throw(ValueError("thrown")) == "caught thrown"
    with pytest.raises(StopIteration, match="returned"):
        next(generator)
    assert inside == [spans.one("invoke_agent s-generator").context.span_id] * 2


async def test_a_streams_span_is_current_inside_and_not_for_its_reader(spans):
    inside = []

    @metrics_tracked(agent="s-stream")
    async def stream():
        for item in range(2):
            inside.append(trace.get_current_span().get_span_context().span_id)
            yield item

    before = trace.get_current_span()
    async for _ in stream():
        assert trace.get_current_span() is before
    assert inside == [spans.one("invoke_agent s-stream").context.span_id] * 2


async def test_an_override_that_calls_the_overridden_method_is_one_span(spans):
    class Base:
        name = "s-super"

        @metrics_tracked
        async def run(self):
            return 1

    class Derived(Base):
        @metrics_tracked
        async def run(self):
            return await super().run()

    assert await Derived().run() == 1
    assert spans.one("invoke_agent s-super").parent is None


async def test_a_stream_that_its_reader_leaves_is_no_fault(spans):
    @metrics_tracked(agent="s-left")
    async def stream():
        yield 1
        yield 2

    @metrics_tracked(agent="s-left")
    def generate():
        yield 1
        yield 2

    started = stream()
    async for _ in started:
        break
    await started.aclose()
    for _ in generate():
        break
    ended = spans.named("invoke_agent s-left")
    assert [span.status.status_code for span in ended] == [StatusCode.UNSET] * 2
    assert all("error.type" not in span.attributes for span in ended)


async def test_a_pipeline_opens_no_second_span(spans):
    class Tracked:
        name = "s-tracked"

        @metrics_tracked
        def run(self, inputs: dict[str, Any]) -> dict[str, Any]:
            return {"a": 1}

    class Twice(Tracked):
        name = "s-twice"
        run = metrics_tracked(agent="s-twice")(Tracked.run)

    await PipelineEngine([{"name": "one", "agent": Tracked()}, {"name": "two", "agent": Twice()}]).run({})
    assert spans.path(spans.one("invoke_agent s-tracked"))[1:] == ["stage one", "invoke_agent s-tracked"]
    assert spans.path(spans.one("invoke_agent s-twice"))[1:] == ["stage two", "invoke_agent s-twice"]


PROGRAM = """
import asyncio, {imported}
from hagane.observability import metrics_tracked, tracing
made = []
tracing.start_span = lambda *a, **k: made.append(a)
@metrics_tracked(agent="a")
async def run():
    return "ran"
print(asyncio.run(run()), tracing.is_on(), made)
"""


@pytest.mark.parametrize("imported", ["json", "opentelemetry.trace"])
def test_without_a_provider_no_span_is_started(imported):
    program = PROGRAM.format(imported=imported)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "ran False []"


def test_a_provider_that_comes_after_the_first_run_is_found():
    program = """
import opentelemetry.trace
from hagane.observability import metrics_tracked, tracing
from opentelemetry.sdk.trace import TracerProvider
run = metrics_tracked(agent="a")(lambda: opentelemetry.trace.get_current_span().get_span_context().is_valid)
before = run()
opentelemetry.trace.set_tracer_provider(TracerProvider())
print(before, run())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "False True"
