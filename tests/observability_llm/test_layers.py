"""Layers over layers: whoever is outermost counts, once, with the tokens that the innermost learned."""

from __future__ import annotations

import asyncio
import gc
import sys
import textwrap
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import openai
import pytest
from scripted_model_server import HANG, chat_answer, chat_events, chat_stream

from hagane.agents import as_llm
from hagane.agents.llm.base import LanguageModel, Message, Reply

MESSAGES = [{"role": "user", "content": "twelve bytes"}]

# In the shape of AgentFlow's module of this name: a client with a config, `chat` and an async generator `stream`.
CLIENT = """
    import openai

    class LLMConfig:
        def __init__(self, provider, model, base_url):
            self.provider, self.model, self.base_url = provider, model, base_url

    class LLMResponse:
        def __init__(self, content, usage):
            self.content, self.usage = content, usage

    class LLMClient:
        def __init__(self, config):
            self._config = config
            self._client = openai.AsyncOpenAI(api_key="k", base_url=config.base_url, max_retries=0)

        async def complete(self, prompt, **kwargs):
            return await self.chat([{"role": "user", "content": prompt}], **kwargs)

        async def chat(self, messages, **kwargs):
            answer = await self._client.chat.completions.create(model=self._config.model, messages=messages)
            usage = {"prompt_tokens": answer.usage.prompt_tokens, "completion_tokens": answer.usage.completion_tokens}
            return LLMResponse(answer.choices[0].message.content, usage)

        async def stream(self, messages, **kwargs):
            chunks = await self._client.chat.completions.create(
                model=self._config.model, messages=messages, stream=True
            )
            async for chunk in chunks:
                if chunk.choices[0].delta.content:
                    yield chunk.choices[0].delta.content
"""


@pytest.fixture
def client_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, instrumented) -> Any:
    """The module imported after measurement was switched on, as AgentFlow itself is when it is imported late."""
    home = tmp_path / "agentflow" / "llm"
    home.mkdir(parents=True)
    for package in (home.parent, home):
        (package / "__init__.py").write_text("")
    (home / "llm_client.py").write_text(textwrap.dedent(CLIENT))
    monkeypatch.syspath_prepend(tmp_path)
    for name in [name for name in sys.modules if name.partition(".")[0] == "agentflow"]:
        monkeypatch.delitem(sys.modules, name)
    report = instrumented()
    assert "agentflow" in report.awaited
    from agentflow.llm import llm_client

    assert "agentflow" in report.active
    yield llm_client
    for name in [name for name in sys.modules if name.partition(".")[0] == "agentflow"]:
        del sys.modules[name]


@pytest.fixture
async def client(client_module: ModuleType, server, model) -> AsyncIterator[Any]:
    made = client_module.LLMClient(client_module.LLMConfig("openai", model, f"{server.url}/v1"))
    yield made
    await made._client.close()


async def test_a_client_declares_its_model_when_it_is_made(client, counted, model):
    from hagane.observability import get_metrics

    series = f'llm_request_total{{model="{model}",provider="openai",status="error"}} 0'
    assert series in get_metrics().to_prometheus()


async def test_agentflows_chat_over_the_sdk_is_one_call(client, server, counted):
    server.answers = [chat_answer(given=11, taken=3)]
    assert (await client.complete("hi")).content == "hello there"
    assert (counted.calls, counted.tokens) == ({"success": 1}, (11, 3))
    assert counted.value("llm_request_total", provider="openai") == 1


async def test_agentflows_stream_has_the_exact_usage_that_only_the_sdk_saw(client, server, counted):
    server.answers = [chat_stream(["hello ", "there"], given=40, taken=9)]
    # Its loop looks into choices[0] of every chunk: the chunk that only tells the usage would break it.
    assert "".join([text async for text in client.stream(MESSAGES)]) == "hello there"
    assert (counted.calls, counted.tokens, counted.guessed) == ({"success": 1}, (40, 9), (0, 0))
    assert counted.first_tokens == 1


async def test_agentflows_stream_left_half_way(client, server, counted):
    server.answers = [(200, [*chat_events(["twelve bytes"])[:2], HANG])]
    stream = client.stream(MESSAGES)
    assert await stream.__anext__() == "twelve bytes"
    await stream.aclose()
    gc.collect()
    assert (counted.calls, counted.guessed) == ({"cancelled": 1}, (3, 3))


async def test_between_two_texts_of_a_stream_other_calls_are_their_own(client, server, model, counted):
    server.answers = [chat_stream(["a", "b"], given=40, taken=9), chat_answer(given=1, taken=1)]
    async with openai.AsyncOpenAI(api_key="k", base_url=f"{server.url}/v1") as other:
        async for _ in client.stream(MESSAGES):
            await other.chat.completions.create(model=model, messages=MESSAGES)
    assert counted.calls == {"success": 3}
    assert counted.tokens == (42, 11)


async def test_agentflows_failed_and_cancelled_calls(client, server, counted):
    server.answers = [(500, {"error": {"message": "no"}}), (200, [HANG])]
    with pytest.raises(openai.InternalServerError):
        await client.chat(MESSAGES)
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(client.chat(MESSAGES), 0.2)
    assert counted.calls == {"error": 1, "cancelled": 1}


async def test_everything_is_as_it_was_afterwards(client_module):
    from hagane.observability.llm import uninstrument_llm

    owner = client_module.LLMClient
    before = [vars(owner)[name].__wrapped__ for name in ("__init__", "chat", "stream")]
    uninstrument_llm()
    assert [vars(owner)[name] for name in ("__init__", "chat", "stream")] == before


async def test_an_agents_adapter_over_agentflow_over_the_sdk_is_one_call(client, server, model, counted):
    server.answers = [chat_answer(given=11, taken=3)]
    adapted = as_llm(client)
    assert (await adapted.complete(MESSAGES)).text == "hello there"
    assert counted.calls == {}
    from hagane.observability import get_metrics

    line = f'llm_tokens_total{{model="{adapted.model}",provider="custom",type="input"}} 11'
    assert line in get_metrics().to_prometheus()


async def test_an_adapter_in_a_thread_gets_the_tokens_its_answer_does_not_tell(server, instrumented, model, counted):
    instrumented(["openai"])
    server.answers = [chat_answer(given=11, taken=3)]

    class Chat:
        provider = "here"

        def __init__(self) -> None:
            self.model = model

        def chat(self, messages: Sequence[Message]) -> str:
            with openai.OpenAI(api_key="k", base_url=f"{server.url}/v1") as client:
                answers = [client.chat.completions.create(model="inner", messages=messages) for _ in range(2)]
            return answers[-1].choices[0].message.content or ""

    await as_llm(Chat()).complete(MESSAGES)
    assert (counted.calls, counted.tokens, counted.guessed) == ({"success": 1}, (22, 6), (0, 0))


async def test_a_task_that_outlives_its_call_counts_for_itself(server, instrumented, model, counted):
    instrumented(["openai"])
    server.answers = [chat_answer(given=11, taken=3)]
    go = asyncio.Event()
    later: list[asyncio.Task[None]] = []

    class Outer(LanguageModel):
        async def _reply(self, messages: Sequence[Message]) -> Reply:
            later.append(asyncio.create_task(afterwards()))
            return Reply("at once")

    async def afterwards() -> None:
        await go.wait()
        async with openai.AsyncOpenAI(api_key="k", base_url=f"{server.url}/v1") as client:
            await client.chat.completions.create(model=model, messages=MESSAGES)

    await Outer(provider="outer", model=model).complete(MESSAGES)
    go.set()
    await later[0]
    assert counted.calls == {"success": 2}
    assert counted.value("llm_request_total", provider="127.0.0.1") == 1


async def test_tokens_that_come_after_the_call_was_counted_are_not_lost(server, instrumented, model, counted):
    instrumented(["openai"])
    server.answers = [chat_stream(["hello"], given=40, taken=9)]
    streams: list[Any] = []

    class Hasty(LanguageModel):
        async def _reply(self, messages: Sequence[Message]) -> Reply:
            client = openai.OpenAI(api_key="k", base_url=f"{server.url}/v1")
            stream = client.chat.completions.create(model=model, messages=list(messages), stream=True)  # type: ignore[arg-type]
            streams.append((client, stream))
            return Reply("")

    await Hasty(provider="outer", model=model).complete(MESSAGES)
    assert counted.tokens == (0, 0)
    client, stream = streams[0]
    list(stream)
    client.close()
    assert (counted.calls, counted.tokens) == ({"success": 1}, (40, 9))
