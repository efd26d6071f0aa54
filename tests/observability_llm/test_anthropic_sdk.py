"""The real Anthropic SDK over a real socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import anthropic
import pytest
from scripted_model_server import HANG, message_answer, message_events

ASK = {"max_tokens": 100, "messages": [{"role": "user", "content": "twelve bytes"}]}


@pytest.fixture
def client(server, instrumented) -> Iterator[anthropic.Anthropic]:
    instrumented(["anthropic"])
    with anthropic.Anthropic(api_key="k", base_url=server.url, max_retries=0, timeout=20) as made:
        yield made


@pytest.fixture
async def async_client(server, instrumented) -> AsyncIterator[anthropic.AsyncAnthropic]:
    instrumented(["anthropic"])
    async with anthropic.AsyncAnthropic(api_key="k", base_url=server.url, max_retries=0, timeout=20) as made:
        yield made


def test_a_message(client, server, model, counted):
    server.answers = [message_answer(given=13, taken=4)]
    assert client.messages.create(model=model, **ASK).content[0].text == "hello"
    assert (counted.calls, counted.tokens) == ({"success": 1}, (13, 4))
    assert counted.value("llm_request_total", provider="anthropic") == 1


def test_input_includes_what_went_through_the_cache(client, server, model, counted):
    server.answers = [message_answer(given=10, taken=4, read=100, written=20)]
    client.messages.create(model=model, **ASK)
    assert counted.tokens == (130, 4)


def test_the_beta_and_raw_forms(client, server, model, counted):
    server.answers = [message_answer(given=13, taken=4)]
    client.beta.messages.create(model=model, **ASK)
    assert client.messages.with_raw_response.create(model=model, **ASK).parse().content[0].text == "hello"
    assert (counted.calls, counted.tokens) == ({"success": 2}, (26, 8))


async def test_async_messages(async_client, server, model, counted):
    server.answers = [message_answer(given=13, taken=4)]
    await asyncio.gather(*(async_client.messages.create(model=model, **ASK) for _ in range(3)))
    assert (counted.calls, counted.tokens) == ({"success": 3}, (39, 12))


def test_a_plain_stream(client, server, model, counted):
    server.answers = [(200, message_events(["hel", "lo"], given=13, taken=4))]
    stream = client.messages.create(model=model, stream=True, **ASK)
    kinds = [event.type for event in stream]
    assert kinds[0] == "message_start"
    assert kinds[-1] == "message_stop"
    assert (counted.calls, counted.tokens, counted.first_tokens) == ({"success": 1}, (13, 4), 1)


def test_the_stream_helper_read_as_text(client, server, model, counted):
    server.answers = [(200, message_events(["hel", "lo"], given=13, taken=4))]
    with client.messages.stream(model=model, **ASK) as stream:
        assert "".join(stream.text_stream) == "hello"
        assert stream.get_final_message().usage.output_tokens == 4
    assert (counted.calls, counted.tokens, counted.guessed) == ({"success": 1}, (13, 4), (0, 0))


async def test_the_async_stream_helper(async_client, server, model, counted):
    server.answers = [(200, message_events(["hel", "lo"], given=13, taken=4))]
    async with async_client.messages.stream(model=model, **ASK) as stream:
        assert "".join([text async for text in stream.text_stream]) == "hello"
    assert (counted.calls, counted.tokens, counted.first_tokens) == ({"success": 1}, (13, 4), 1)


def test_a_stream_left_half_way_counts_its_real_input_and_guesses_its_output(client, server, model, counted):
    server.answers = [(200, [*message_events(["twelve bytes"])[:4], HANG])]
    with client.messages.stream(model=model, **ASK) as stream:
        assert next(stream.text_stream) == "twelve bytes"
    assert counted.calls == {"cancelled": 1}
    assert (counted.tokens, counted.guessed) == ((13, 0), (0, 3))


async def test_a_cancelled_stream(async_client, server, model, counted):
    server.answers = [(200, [*message_events(["hello"])[:4], HANG])]

    async def read() -> None:
        async with async_client.messages.stream(model=model, **ASK) as stream:
            async for text in stream.text_stream:
                reached.set_result(text)

    reached: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    task = asyncio.ensure_future(read())
    assert await asyncio.wait_for(reached, 20) == "hello"
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert counted.calls == {"cancelled": 1}


def test_an_error_within_a_stream(client, server, model, counted):
    failure = ("error", {"type": "error", "error": {"type": "overloaded_error", "message": "busy"}})
    server.answers = [(200, [*message_events(["hello"])[:4], failure])]
    with pytest.raises(anthropic.APIStatusError, match="busy"):
        list(client.messages.create(model=model, stream=True, **ASK))
    assert counted.calls == {"error": 1}


@pytest.mark.parametrize("status", [400, 401, 429, 529])
def test_a_refused_call(status, client, server, model, counted):
    server.answers = [(status, {"type": "error", "error": {"type": "x", "message": "no"}})]
    with pytest.raises(anthropic.APIStatusError):
        client.messages.create(model=model, **ASK)
    assert counted.calls == {"error": 1}


def test_retries_are_one_call(client, server, model, counted):
    server.answers = [(529, {"error": {"message": "x"}}), message_answer()]
    client.with_options(max_retries=1).messages.create(model=model, **ASK)
    assert (len(server.requests), counted.calls) == (2, {"success": 1})
