"""A real pipeline, a real sandbox and a scripted model under OpenTelemetry's own SDK."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.semconv._incubating.attributes import gen_ai_attributes
from opentelemetry.trace import SpanKind, StatusCode

import hagane.observability
from hagane.agents import CodeActAgent, ScriptedModel
from hagane.engines import PipelineEngine, ResilientPipelineEngine
from hagane.observability import metrics_tracked
from hagane.observability.tracing import current_trace_exemplar
from hagane.sandbox import get_sandbox

ANSWER = "```python\nimport json\njson.dump({'n': 42}, open('answer.json', 'w'))\n```"
BROKEN = "```python\nraise KeyError('x')\n```"


class Coder(CodeActAgent):
    def _prepare(self, input_data: Any) -> Any:
        return {"task": "say 42", **input_data}


class Fails:
    name = "fails"

    async def run(self, inputs: dict[str, Any]) -> dict[str, Any]:
        raise ValueError("no good")


def engine(**agents: Any) -> PipelineEngine:
    return PipelineEngine([{"name": name, "agent": agent} for name, agent in agents.items()])


async def test_a_run_is_a_tree_of_workflow_stage_agent_model_tool_and_sandbox(spans):
    coder = Coder(ScriptedModel([BROKEN, ANSWER], name="script-a"), name="coder")
    result = await engine(work=coder).run({})
    assert result["status"] == "success"
    workflow = spans.all[0].name
    assert workflow.startswith("invoke_workflow ")
    agent = [workflow, "stage work", "invoke_agent coder"]
    assert spans.path(spans.one("invoke_agent coder")) == agent
    assert [spans.path(span) for span in spans.named("chat script-a")] == [[*agent, "chat script-a"]] * 2
    runs = spans.named("sandbox local")
    assert [spans.path(span) for span in runs] == [[*agent, "execute_tool python", "sandbox local"]] * 2
    assert [span.attributes["hagane.sandbox.outcome"] for span in runs] == ["error", "ok"]
    assert [span.status.status_code for span in runs] == [StatusCode.ERROR, StatusCode.UNSET]
    assert len({span.context.trace_id for span in spans.all}) == 1
    assert spans.attributes(workflow)["hagane.run.status"] == "success"


async def test_the_attributes_are_those_of_the_gen_ai_conventions(spans):
    await engine(work=Coder(ScriptedModel([ANSWER], name="script-b"), name="coder")).run({})
    chat = spans.attributes("chat script-b")
    assert chat["gen_ai.operation.name"] == "chat"
    assert chat["gen_ai.provider.name"] == "scripted"
    assert chat["gen_ai.request.model"] == "script-b"
    assert chat["gen_ai.usage.input_tokens"] > 0
    assert chat["gen_ai.usage.output_tokens"] > 0
    assert spans.one("chat script-b").kind is SpanKind.CLIENT
    agent = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "coder"}
    assert spans.attributes("invoke_agent coder") == agent
    tool = spans.attributes("execute_tool python")
    assert (tool["gen_ai.operation.name"], tool["gen_ai.tool.name"]) == ("execute_tool", "python")
    assert spans.all[0].attributes["gen_ai.operation.name"] == "invoke_workflow"


def test_the_names_are_those_of_the_published_conventions():
    names = {value for name, value in vars(gen_ai_attributes).items() if name.startswith("GEN_AI_")}
    text = "".join(path.read_text() for path in Path(hagane.observability.__file__).parent.rglob("*.py"))
    used = set(re.findall(r'"(gen_ai\.[a-z_.]+)"', text))
    assert used
    assert used - names == set()


async def test_agents_side_by_side_hang_under_their_own_stage(spans):
    async def left(inputs: dict[str, Any]) -> dict[str, Any]:
        await asyncio.sleep(0.01)
        return {"l": current_trace_exemplar()}

    def right(inputs: dict[str, Any]) -> dict[str, Any]:  # In a thread of its own.
        return {"r": current_trace_exemplar()}

    pipeline = PipelineEngine([{"name": "both", "agents": [left, right], "parallel": True}])
    result = await pipeline.run({})
    for name, key, place in (("left", "l", "both_0"), ("right", "r", "both_1")):
        span = spans.one(f"invoke_agent {name}")
        assert spans.path(span)[1:] == ["stage both", f"invoke_agent {name}"]
        assert result["results"]["both"][place][key]["span_id"] == f"{span.context.span_id:016x}"


async def test_two_runs_at_once_are_two_traces(spans):
    pipeline = engine(work=Coder(ScriptedModel(lambda messages: ANSWER, name="script-c"), name="coder"))
    await asyncio.gather(pipeline.run({}), pipeline.run({}))
    chats = spans.named("chat script-c")
    assert len({span.context.trace_id for span in chats}) == 2
    assert all(len(spans.path(span)) == 4 for span in chats)


async def test_an_error_is_recorded_where_it_happened_and_on_the_run(spans):
    result = await engine(bad=Fails()).run({})
    assert result["status"] == "failed"
    agent = spans.named("invoke_agent fails")[0]
    assert agent.status.status_code is StatusCode.ERROR
    assert agent.attributes["error.type"] == "ValueError"
    assert agent.events[0].name == "exception"
    assert agent.events[0].attributes["exception.message"] == "no good"
    assert spans.named("stage bad")[0].attributes["error.type"] == "ValueError"
    workflow = spans.all[0]
    assert (workflow.status.status_code, workflow.attributes["hagane.run.status"]) == (StatusCode.ERROR, "failed")


async def test_each_attempt_is_a_stage_span(spans):
    class Second:
        tries = 0

        async def run(self, inputs: dict[str, Any]) -> dict[str, Any]:
            self.tries += 1
            if self.tries == 1:
                raise ConnectionError("first time")
            return {"fine": True}

    await ResilientPipelineEngine([{"name": "flaky", "agent": Second()}]).run({})
    assert [span.attributes["hagane.stage.attempt"] for span in spans.named("stage flaky")] == [1, 2]


async def test_a_stream_of_events_leaves_its_readers_context_alone(spans):
    tracer = trace.get_tracer("test")
    with tracer.start_as_current_span("reader") as reader:
        async for _ in engine(work=lambda inputs: {"a": 1}).run_stream({}):
            assert trace.get_current_span() is reader
            with tracer.start_as_current_span("handling"):
                pass
    assert {tuple(spans.path(span)) for span in spans.named("handling")} == {("reader", "handling")}
    workflow = next(span for span in spans.all if span.name.startswith("invoke_workflow"))
    assert spans.path(workflow)[0] == "reader"


async def test_a_run_that_is_given_up_ends_its_span(spans):
    stream = engine(one=lambda inputs: {"a": 1}, two=lambda inputs: {"b": 1}).run_stream({})
    async for event in stream:
        if event["type"] == "stage_output":
            break
    await stream.aclose()
    workflow = next(span for span in spans.all if span.name.startswith("invoke_workflow"))
    assert workflow.attributes["error.type"] == "cancelled"


async def test_an_agent_that_counts_itself_has_one_span(spans):
    class Tracked:
        name = "tracked"

        @metrics_tracked
        async def run(self, inputs: dict[str, Any]) -> dict[str, Any]:
            return {"a": 1}

    await engine(work=Tracked()).run({})
    assert spans.path(spans.one("invoke_agent tracked"))[1:] == ["stage work", "invoke_agent tracked"]


async def test_an_agent_by_itself_is_a_trace_of_its_own(spans):
    async with CodeActAgent(ScriptedModel([ANSWER], name="script-d"), name="alone") as agent:
        await agent.run({"task": "say 42"})
    assert spans.path(spans.one("chat script-d")) == ["invoke_agent alone", "chat script-d"]


def test_a_sandbox_without_an_event_loop(spans):
    sandbox = get_sandbox("local")
    assert sandbox.run("print(1)").success
    asyncio.run(sandbox.close())
    assert spans.one("sandbox local").attributes["process.exit.code"] == 0


async def test_a_cancelled_agent_is_marked(spans):
    started = asyncio.Event()

    async def slow(inputs: dict[str, Any]) -> dict[str, Any]:
        started.set()
        await asyncio.sleep(60)
        return {}

    task = asyncio.ensure_future(engine(work=slow).run({}))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert spans.one("invoke_agent slow").attributes["error.type"] == "CancelledError"
