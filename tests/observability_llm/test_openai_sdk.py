"""The real OpenAI SDK over a real socket: counted exactly, and nothing of it changed."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Iterator

import openai
import pytest
from scripted_model_server import (
    BREAK,
    HANG,
    chat_answer,
    chat_events,
    chat_stream,
    embedding_answer,
    no_stream_options,
    response_object,
    response_stream,
)

from hagane.observability.llm import Price, set_prices

MESSAGES = [{"role": "user", "content": "twelve bytes"}]


@pytest.fixture
def client(server, instrumented) -> Iterator[openai.OpenAI]:
    instrumented(["openai"])
    with openai.OpenAI(api_key="k", base_url=f"{server.url}/v1", max_retries=0, timeout=20) as made:
        yield made


@pytest.fixture
async def async_client(server, instrumented) -> AsyncIterator[openai.AsyncOpenAI]:
    instrumented(["openai"])
    async with openai.AsyncOpenAI(api_key="k", base_url=f"{server.url}/v1", max_retries=0, timeout=20) as made:
        yield made


def test_a_chat_completion(client, server, model, counted):
    server.answers = [chat_answer(given=11, taken=3)]
    answer = client.chat.completions.create(model=model, messages=MESSAGES)
    assert answer.choices[0].message.content == "hello there"
    assert (counted.calls, counted.tokens, counted.guessed) == ({"success": 1}, (11, 3), (0, 0))
    assert counted.value("llm_request_total", provider="127.0.0.1") == 1
    assert (counted.first_tokens, counted.value("llm_latency_seconds_count")) == (0, 1)
    assert server.requests == [("/v1/chat/completions", {"model": model, "messages": MESSAGES})]


async def test_an_async_chat_completion(async_client, server, model, counted):
    server.answers = [chat_answer(given=7, taken=2)]
    await asyncio.gather(*(async_client.chat.completions.create(model=model, messages=MESSAGES) for _ in range(5)))
    assert (counted.calls, counted.tokens) == ({"success": 5}, (35, 10))


def test_a_parsed_completion_and_embeddings_and_a_response(client, server, model, counted):
    server.answers = [chat_answer(given=1, taken=2), embedding_answer(given=5), (200, response_object(21, 8))]
    client.chat.completions.parse(model=model, messages=MESSAGES)
    client.embeddings.create(model=model, input="words")
    assert client.responses.create(model=model, input="words").output_text == "hello"
    assert (counted.calls, counted.tokens) == ({"success": 3}, (27, 10))


def test_what_is_no_model_call_is_not_counted(client, server, model, counted):
    server.answers = [(200, {"id": "f", "object": "file", "deleted": True})]
    client.post("/files/x", body={"model": model}, cast_to=object)
    assert counted.calls == {}


def test_a_stream_is_read_as_before_and_its_usage_is_asked_for_and_hidden(client, server, model, counted):
    server.answers = [chat_stream(["hello ", "there"], given=40, taken=9)]
    stream = client.chat.completions.create(model=model, messages=MESSAGES, stream=True)
    assert isinstance(stream, openai.Stream)
    chunks = list(stream)
    assert server.requests[0][1]["stream_options"] == {"include_usage": True}
    assert all(chunk.choices for chunk in chunks)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "hello there"
    assert (counted.calls, counted.tokens, counted.guessed) == ({"success": 1}, (40, 9), (0, 0))
    assert counted.first_tokens == 1


def test_a_caller_who_asked_for_usage_sees_it(client, server, model, counted):
    server.answers = [chat_stream(["hi"], given=40, taken=9)]
    options = {"include_usage": True}
    chunks = list(client.chat.completions.create(model=model, messages=MESSAGES, stream=True, stream_options=options))
    assert chunks[-1].usage.completion_tokens == 9
    assert counted.tokens == (40, 9)


def test_a_caller_who_declined_usage_is_heeded_and_tokens_are_guessed_apart(client, server, model, counted):
    server.answers = [chat_stream(["eight by", "tes more"])]
    options = {"include_usage": False}
    list(client.chat.completions.create(model=model, messages=MESSAGES, stream=True, stream_options=options))
    assert server.requests[0][1]["stream_options"] == options
    assert (counted.tokens, counted.guessed) == ((0, 0), (3, 4))


def test_a_server_that_refuses_the_question_gets_the_callers_own_request(client, server, model, counted):
    server.answers = [no_stream_options(chat_stream(["hi"]))]
    for _ in range(2):
        assert len(list(client.chat.completions.create(model=model, messages=MESSAGES, stream=True))) == 3
    asked = ["stream_options" in body for _, body in server.requests]
    assert asked == [True, False, False]  # Asked once, remembered after that.
    assert counted.calls == {"success": 2}


def test_a_bad_request_stays_the_callers_error(client, server, model, counted):
    server.answers = [(400, {"error": {"message": "bad", "type": "x"}})]
    with pytest.raises(openai.BadRequestError, match="bad"):
        client.chat.completions.create(model=model, messages=MESSAGES, stream=True)
    assert counted.calls == {"error": 1}


async def test_an_async_stream(async_client, server, model, counted):
    server.answers = [chat_stream(["hello ", "there"], given=40, taken=9)]
    stream = await async_client.chat.completions.create(model=model, messages=MESSAGES, stream=True)
    assert isinstance(stream, openai.AsyncStream)
    text = [chunk.choices[0].delta.content or "" async for chunk in stream]
    assert "".join(text) == "hello there"
    assert (counted.calls, counted.tokens, counted.first_tokens) == ({"success": 1}, (40, 9), 1)


def test_the_stream_helper(client, server, model, counted):
    server.answers = [chat_stream(["hello ", "there"], given=40, taken=9)]
    with client.chat.completions.stream(model=model, messages=MESSAGES) as stream:
        kinds = [event.type for event in stream]
        final = stream.get_final_completion()
    assert "content.delta" in kinds
    assert final.choices[0].message.content == "hello there"
    assert (counted.calls, counted.tokens) == ({"success": 1}, (40, 9))


def test_the_stream_helper_left_early(client, server, model, counted):
    server.answers = [(200, [*chat_events(["hello "])[:2], HANG])]
    with client.chat.completions.stream(model=model, messages=MESSAGES) as stream:
        next(iter(stream))
    assert counted.calls == {"cancelled": 1}


def test_responses_as_a_stream(client, server, model, counted):
    server.answers = [response_stream(), response_stream("failed")]
    kinds = [event.type for event in client.responses.create(model=model, input="words", stream=True)]
    assert kinds == ["response.output_text.delta", "response.completed"]
    assert (counted.calls, counted.tokens, counted.first_tokens) == ({"success": 1}, (21, 8), 1)
    list(client.responses.create(model=model, input="words", stream=True))
    assert counted.calls == {"success": 1, "error": 1}


@pytest.mark.parametrize("how", ["close", "with", "drop"])
def test_a_stream_given_up_half_way_is_counted_once_as_cancelled(how, client, server, model, counted):
    server.answers = [(200, [*chat_events(["twelve bytes"])[:2], HANG])]
    stream = client.chat.completions.create(model=model, messages=MESSAGES, stream=True)
    next(stream)
    next(stream)
    assert counted.calls == {}
    if how == "close":
        stream.close()
        stream.close()
    elif how == "with":
        with stream:
            pass
    del stream
    gc.collect()
    assert counted.calls == {"cancelled": 1}
    assert (counted.tokens, counted.guessed) == ((0, 0), (3, 3))


def test_a_stream_that_nobody_reads_is_counted_when_it_is_dropped(client, server, model, counted):
    server.answers = [(200, [HANG])]
    stream = client.chat.completions.create(model=model, messages=MESSAGES, stream=True)
    del stream
    gc.collect()
    assert counted.calls == {"cancelled": 1}
    assert counted.first_tokens == 0


async def test_a_cancelled_task_in_the_middle_of_a_stream(async_client, server, model, counted):
    server.answers = [(200, [*chat_events(["hello"])[:2], HANG])]
    reached = asyncio.Event()

    async def read() -> None:
        stream = await async_client.chat.completions.create(model=model, messages=MESSAGES, stream=True)
        async for chunk in stream:
            if chunk.choices[0].delta.content:
                reached.set()

    task = asyncio.ensure_future(read())
    await asyncio.wait_for(reached.wait(), 20)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (counted.calls, counted.first_tokens) == ({"cancelled": 1}, 1)


async def test_a_call_cancelled_before_its_answer(async_client, server, model, counted):
    server.answers = [(200, [HANG])]
    call = async_client.chat.completions.create(model=model, messages=MESSAGES)
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(call, 0.2)
    assert counted.calls == {"cancelled": 1}


def test_a_stream_whose_connection_breaks_is_an_error(client, server, model, counted):
    server.answers = [(200, [*chat_events(["hello"])[:2], BREAK])]
    stream = client.chat.completions.create(model=model, messages=MESSAGES, stream=True)
    with pytest.raises(Exception, match=r"incomplete|closed|peer"):
        list(stream)
    assert counted.calls == {"error": 1}


def test_an_error_within_a_stream(client, server, model, counted):
    server.answers = [(200, [*chat_events(["hello"])[:2], (None, {"error": {"message": "overloaded"}})])]
    with pytest.raises(openai.APIError, match="overloaded"):
        list(client.chat.completions.create(model=model, messages=MESSAGES, stream=True))
    assert counted.calls == {"error": 1}


def test_retries_of_the_sdk_are_one_call(client, server, model, counted):
    server.answers = [(500, {"error": {"message": "x"}}), (429, {"error": {"message": "x"}}), chat_answer()]
    retrying = client.with_options(max_retries=2)
    retrying.chat.completions.create(model=model, messages=MESSAGES)
    assert len(server.requests) == 3
    assert counted.calls == {"success": 1}


@pytest.mark.parametrize("status", [400, 401, 404, 422, 429, 500])
def test_a_refused_call_is_an_error_and_the_same_exception(status, client, server, model, counted):
    server.answers = [(status, {"error": {"message": "no"}})]
    with pytest.raises(openai.APIStatusError) as caught:
        client.chat.completions.create(model=model, messages=MESSAGES)
    assert caught.value.status_code == status
    assert (counted.calls, counted.guessed) == ({"error": 1}, (0, 0))


def test_a_server_that_is_not_there(instrumented, monkeypatch, model, counted):
    monkeypatch.setenv("no_proxy", "*")
    instrumented(["openai"])
    client = openai.OpenAI(api_key="k", base_url="http://127.0.0.1:9/v1", max_retries=0)
    with pytest.raises(openai.APIConnectionError):
        client.chat.completions.create(model=model, messages=MESSAGES)
    assert counted.calls == {"error": 1}


def test_raw_responses(client, server, model, counted):
    server.answers = [chat_answer(given=2, taken=1), chat_stream(["hi"], given=40, taken=9)]
    raw = client.chat.completions.with_raw_response.create(model=model, messages=MESSAGES)
    assert (raw.status_code, counted.calls, counted.tokens) == (200, {"success": 1}, (2, 1))
    assert raw.parse().choices[0].message.content == "hello there"
    raw = client.chat.completions.with_raw_response.create(model=model, messages=MESSAGES, stream=True)
    assert len(list(raw.parse())) == 3
    assert (counted.calls, counted.tokens) == ({"success": 2}, (42, 10))


def test_streamed_responses(client, server, model, counted):
    server.answers = [chat_answer(given=2, taken=1)]
    with client.chat.completions.with_streaming_response.create(model=model, messages=MESSAGES) as response:
        assert response.parse().choices[0].message.content == "hello there"
    with client.chat.completions.with_streaming_response.create(model=model, messages=MESSAGES):
        pass
    assert (counted.calls, counted.tokens) == ({"success": 1, "cancelled": 1}, (2, 1))


async def test_async_raw_and_streamed_responses(async_client, server, model, counted):
    server.answers = [chat_stream(["hi"], given=40, taken=9), chat_answer(given=2, taken=1)]
    raw = await async_client.chat.completions.with_raw_response.create(model=model, messages=MESSAGES, stream=True)
    assert len([chunk async for chunk in raw.parse()]) == 3
    streamed = async_client.chat.completions.with_streaming_response
    async with streamed.create(model=model, messages=MESSAGES) as response:
        assert (await response.parse()).choices[0].message.content == "hello there"
    assert (counted.calls, counted.tokens) == ({"success": 2}, (42, 10))


def test_a_client_and_its_resources_made_before_are_measured_too(server, instrumented, model, counted):
    server.answers = [chat_answer()]
    with openai.OpenAI(api_key="k", base_url=f"{server.url}/v1") as client:
        create = client.chat.completions.create
        instrumented(["openai"])
        create(model=model, messages=MESSAGES)
    assert counted.calls == {"success": 1}


def test_cost_by_the_prices_given(client, server, model, counted):
    set_prices({model: Price(2.0, 8.0, cached_input=1.0, currency="EUR")})
    server.answers = [chat_answer(given=1_000_000, taken=500_000, cached=400_000)]
    client.chat.completions.create(model=model, messages=MESSAGES)
    assert counted.value("llm_cost_total", currency="EUR") == pytest.approx(0.6 * 2 + 0.4 * 1 + 0.5 * 8)


def test_without_a_price_there_is_no_cost(client, server, model, counted):
    server.answers = [chat_answer()]
    client.chat.completions.create(model=model, messages=MESSAGES)
    assert "llm_cost_total" not in {name for name in [counted.value("llm_cost_total")] if name}
