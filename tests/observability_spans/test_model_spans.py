"""Calls of the real SDKs as spans: one per call, under the agent that made it, with the usage that came last."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from typing import Any

import anthropic
import openai
import pytest
from opentelemetry.trace import StatusCode
from scripted_model_server import HANG, chat_answer, chat_events, chat_stream, message_answer

from hagane.engines import PipelineEngine
from hagane.observability.llm import instrument_llm, uninstrument_llm

MESSAGES = [{"role": "user", "content": "hi"}]


@pytest.fixture(autouse=True)
def instrumented() -> Iterator[None]:
    instrument_llm(["openai", "anthropic"])
    yield
    uninstrument_llm()


@pytest.fixture
def client(server) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(api_key="k", base_url=f"{server.url}/v1", max_retries=0) as made:
        yield made


async def test_a_call_within_an_agent_hangs_under_it(server, spans):
    server.answers = [chat_answer(given=11, taken=3, cached=5)]

    async def agent(inputs: dict[str, Any]) -> dict[str, Any]:
        async with openai.AsyncOpenAI(api_key="k", base_url=f"{server.url}/v1") as client:
            await client.chat.completions.create(model="gpt-a", messages=MESSAGES)
        return {"done": True}

    await PipelineEngine([{"name": "ask", "agent": agent}]).run({})
    assert spans.path(spans.one("chat gpt-a"))[1:] == ["stage ask", "invoke_agent agent", "chat gpt-a"]
    found = spans.attributes("chat gpt-a")
    assert found["gen_ai.provider.name"] == found["server.address"] == "127.0.0.1"
    assert (found["gen_ai.usage.input_tokens"], found["gen_ai.usage.output_tokens"]) == (11, 3)
    assert found["gen_ai.usage.cache_read.input_tokens"] == 5
    assert (found["gen_ai.response.model"], found["gen_ai.response.id"]) == ("gpt-test-2024", "chatcmpl-1")


def test_a_streams_span_lasts_to_its_end(client, server, spans):
    server.answers = [chat_stream(["a", "b"], given=40, taken=9)]
    stream = client.chat.completions.create(model="gpt-b", messages=MESSAGES, stream=True)
    assert spans.named("chat gpt-b") == []
    list(stream)
    found = spans.attributes("chat gpt-b")
    assert (found["gen_ai.usage.output_tokens"], found["gen_ai.request.stream"]) == (9, True)
    assert found["gen_ai.response.time_to_first_chunk"] > 0


def test_a_stream_that_is_dropped_ends_its_span(client, server, spans):
    server.answers = [(200, [*chat_events(["a"])[:2], HANG])]
    stream = client.chat.completions.create(model="gpt-c", messages=MESSAGES, stream=True)
    next(stream)
    del stream
    gc.collect()
    assert spans.attributes("chat gpt-c")["error.type"] == "cancelled"


def test_a_refused_call_is_an_error(client, server, spans):
    server.answers = [(429, {"error": {"message": "slow down"}})]
    with pytest.raises(openai.RateLimitError):
        client.chat.completions.create(model="gpt-d", messages=MESSAGES)
    span = spans.one("chat gpt-d")
    assert span.status.status_code is StatusCode.ERROR
    assert span.attributes["error.type"] == "RateLimitError"


def test_the_anthropic_sdk_has_one_span_per_call_whoever_opens_it(server, spans):
    server.answers = [message_answer(given=13, taken=4)]
    with anthropic.Anthropic(api_key="k", base_url=server.url) as client:
        client.messages.create(model="claude-a", max_tokens=9, messages=MESSAGES)
    calls = [span for span in spans.all if (span.attributes or {}).get("gen_ai.provider.name") == "anthropic"]
    assert len(calls) == 1
    assert calls[0].attributes["gen_ai.usage.output_tokens"] == 4
