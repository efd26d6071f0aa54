"""The real LiteLLM, over the OpenAI SDK and over its own HTTP, by its own callbacks: each call counted once."""

from __future__ import annotations

import asyncio
import gc
import os
import time
import warnings
from collections.abc import Callable
from typing import Any

import pytest
from scripted_model_server import (
    HANG,
    chat_answer,
    chat_events,
    chat_stream,
    embedding_answer,
    message_answer,
    message_events,
)

# Its default is to fetch a list of prices from the network at import.
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import litellm

import openai

from hagane.agents.llm.base import LanguageModel, Reply

pytestmark = [
    # What LiteLLM and its HTTP clients leave open and deprecate is not ours to mend.
    pytest.mark.filterwarnings("ignore"),
]
MESSAGES = [{"role": "user", "content": "twelve bytes"}]


@pytest.fixture
def ask(server, instrumented, model) -> dict[str, Any]:
    instrumented()
    litellm.in_memory_llm_clients_cache.flush_cache()
    return {"model": f"openai/{model}", "messages": MESSAGES, "api_base": f"{server.url}/v1", "api_key": "k"}


def eventually(look: Callable[[], Any], wanted: Any) -> None:
    """LiteLLM calls back from a thread of its own."""
    deadline = time.monotonic() + 10
    while look() != wanted and time.monotonic() < deadline:
        time.sleep(0.01)
    assert look() == wanted


async def eventually_async(look: Callable[[], Any], wanted: Any) -> None:
    deadline = time.monotonic() + 10
    while look() != wanted and time.monotonic() < deadline:
        await asyncio.sleep(0.01)
    assert look() == wanted


def test_a_completion_over_the_openai_sdk_is_one_call(ask, server, counted):
    server.answers = [chat_answer(given=11, taken=3)]
    answer = litellm.completion(**ask)
    assert answer.choices[0].message.content == "hello there"
    eventually(lambda: (counted.calls, counted.tokens), ({"success": 1}, (11, 3)))
    assert counted.value("llm_request_total", provider="openai") == 1
    # A call of the SDK right after, in the same context, is a call of its own.
    with openai.OpenAI(api_key="k", base_url=f"{server.url}/v1") as client:
        client.chat.completions.create(model=counted.model, messages=MESSAGES)
    assert counted.value("llm_request_total", provider="127.0.0.1") == 1
    assert counted.tokens == (22, 6)


async def test_async_completions(ask, server, counted):
    server.answers = [chat_answer(given=11, taken=3)]
    await asyncio.gather(*(litellm.acompletion(**ask) for _ in range(4)))
    await eventually_async(lambda: (counted.calls, counted.tokens), ({"success": 4}, (44, 12)))


def test_a_stream_has_the_servers_own_usage(ask, server, counted):
    server.answers = [chat_stream(["hello ", "there"], given=40, taken=9)]
    text = "".join(chunk.choices[0].delta.content or "" for chunk in litellm.completion(**ask, stream=True))
    assert text == "hello there"
    eventually(lambda: (counted.calls, counted.tokens, counted.first_tokens), ({"success": 1}, (40, 9), 1))
    assert counted.guessed == (0, 0)


async def test_an_async_stream(ask, server, counted):
    server.answers = [chat_stream(["hello ", "there"], given=40, taken=9)]
    stream = await litellm.acompletion(**ask, stream=True)
    assert "".join([chunk.choices[0].delta.content or "" async for chunk in stream]) == "hello there"
    await eventually_async(lambda: (counted.calls, counted.tokens, counted.first_tokens), ({"success": 1}, (40, 9), 1))
    assert counted.guessed == (0, 0)


def test_a_stream_given_up_is_counted_although_litellm_does_not_say_so(ask, server, counted):
    server.answers = [(200, [*chat_events(["hello"])[:2], HANG])]
    stream = litellm.completion(**ask, stream=True)
    next(iter(stream))
    del stream
    # LiteLLM's logging thread may hold it for a moment.
    eventually(lambda: (gc.collect(), counted.calls)[1], {"cancelled": 1})


def test_an_error(ask, server, counted):
    server.answers = [(401, {"error": {"message": "no"}})]
    with pytest.raises(litellm.AuthenticationError):
        litellm.completion(**ask)
    eventually(lambda: counted.calls, {"error": 1})


def test_embeddings(ask, server, counted):
    server.answers = [embedding_answer(given=5)]
    ask.pop("messages")
    litellm.embedding(**ask, input=["words"])
    eventually(lambda: (counted.calls, counted.tokens), ({"success": 1}, (5, 0)))


def test_a_provider_without_the_sdk(ask, server, counted):
    server.answers = [message_answer(given=13, taken=4), (200, message_events(["hel", "lo"], given=13, taken=4))]
    ask |= {"model": f"anthropic/{counted.model}", "api_base": server.url}
    assert litellm.completion(**ask, max_tokens=9).choices[0].message.content == "hello"
    eventually(lambda: counted.calls, {"success": 1})
    assert "".join(c.choices[0].delta.content or "" for c in litellm.completion(**ask, stream=True)) == "hello"
    eventually(lambda: (counted.calls, counted.tokens), ({"success": 2}, (26, 8)))
    assert counted.value("llm_request_total", provider="anthropic") == 2


async def test_an_agents_adapter_over_litellm_over_the_sdk_is_one_call(ask, server, counted):
    class Outer(LanguageModel):
        async def _reply(self, messages: Any) -> Reply:
            answer = await litellm.acompletion(**ask)
            return Reply(answer.choices[0].message.content)  # Says nothing of the usage.

    server.answers = [chat_answer(given=11, taken=3)]
    await Outer(provider="outer", model=counted.model).complete(MESSAGES)
    await eventually_async(lambda: counted.tokens, (11, 3))
    assert counted.calls == {"success": 1}
    assert counted.value("llm_request_total", provider="outer") == 1


def test_taken_out_again_nothing_is_left(ask, server, counted):
    from hagane.observability.llm import uninstrument_llm

    server.answers = [chat_answer()]
    litellm.completion(**ask)
    eventually(lambda: counted.calls, {"success": 1})
    uninstrument_llm()
    lists = [value for name, value in vars(litellm).items() if "callback" in name and isinstance(value, list)]
    assert not [entry for listed in lists for entry in listed if type(entry).__module__.startswith("hagane")]
    litellm.completion(**ask)
    time.sleep(0.2)
    assert counted.calls == {"success": 1}


def test_litellms_own_retry_is_the_same_call(ask, server, counted):
    server.answers = [(500, {"error": {"message": "x"}}), chat_answer(given=11, taken=3)]
    litellm.completion(**ask, max_retries=0, num_retries=1)
    eventually(lambda: (counted.calls, counted.tokens), ({"success": 1}, (11, 3)))
    time.sleep(0.3)
    assert counted.calls == {"success": 1}
