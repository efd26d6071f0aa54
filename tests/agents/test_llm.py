"""Whatever answers becomes a model, and every call is counted with the tokens that the provider reported."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any

import pytest

from hagane.agents import OpenAICompatible, ScriptedModel, Usage, as_llm
from hagane.errors import ModelError
from hagane.observability import standard

MESSAGES = [{"role": "user", "content": "two words"}]


class Chat:
    model = "chatty"
    provider = "here"

    def chat(self, messages: list[dict[str, str]]) -> dict[str, Any]:
        messages.clear()
        return {"content": "hi", "usage": {"prompt_tokens": 3, "completion_tokens": 4}}


class Generate:
    async def generate(self, prompt: str) -> Any:
        assert "user:\ntwo words" in prompt
        return SimpleNamespace(text="hi", usage=SimpleNamespace(input_tokens=3, output_tokens=4))


class Complete:
    def complete(self, prompt: str) -> Any:
        return SimpleNamespace(
            choices=[SimpleNamespace(message=SimpleNamespace(content="hi"))],
            usage=SimpleNamespace(prompt_tokens=3, completion_tokens=4),
        )


async def callable_model(messages: object) -> str:
    return "hi"


SOURCES = {
    "list": (["hi"], Usage(2, 1)),
    "sync callable": (lambda messages: {"message": {"content": "hi"}}, Usage()),
    "async callable": (callable_model, Usage()),
    "chat": (Chat(), Usage(3, 4)),
    "generate": (Generate(), Usage(3, 4)),
    "complete": (Complete(), Usage(3, 4)),
    "content in parts": (lambda messages: {"content": [{"type": "text", "text": "h"}, {"text": "i"}]}, Usage()),
}


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    seen: list[dict[str, Any]] = []
    monkeypatch.setattr(standard, "llm_call", lambda provider, model, **rest: seen.append({"model": model, **rest}))
    return seen


@pytest.mark.parametrize("name", SOURCES)
async def test_anything_that_answers_is_a_model(name: str, calls: list[dict[str, Any]]) -> None:
    source, usage = SOURCES[name]
    reply = await as_llm(source).complete(MESSAGES)
    assert (reply.text, reply.usage) == ("hi", usage)
    assert len(MESSAGES) == 1
    assert calls[0]["status"] == "success"
    assert (calls[0]["input_tokens"], calls[0]["output_tokens"]) == (usage.input_tokens, usage.output_tokens)
    assert calls[0]["seconds"] >= 0


@pytest.mark.parametrize("source", [None, 3, "model-name", Chat])
def test_what_cannot_answer_is_refused(source: object) -> None:
    if source is Chat:
        source = dict
    with pytest.raises(TypeError, match="cannot use"):
        as_llm(source)


async def test_an_answer_without_text_is_refused(calls: list[dict[str, Any]]) -> None:
    with pytest.raises(TypeError, match="without a text"):
        await as_llm(lambda messages: 3).complete(MESSAGES)
    assert calls[0]["status"] == "error"


async def test_a_cancelled_call_is_counted_as_cancelled(calls: list[dict[str, Any]]) -> None:
    async def slow(messages: object) -> str:
        await asyncio.sleep(30)
        return ""

    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(as_llm(slow).complete(MESSAGES), 0.05)
    assert calls[0]["status"] == "cancelled"


async def test_a_script_that_is_at_its_end_says_so() -> None:
    model = ScriptedModel(["one"], name="short")
    await model.complete(MESSAGES)
    with pytest.raises(IndexError, match="'short' has 1 replies"):
        await model.complete(MESSAGES)


class Server(BaseHTTPRequestHandler):
    answer: tuple[int, dict[str, str], bytes] = (200, {}, b"")
    requests: list[tuple[str, str | None, Any]]

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        type(self).requests.append((self.path, self.headers["Authorization"], body))
        status, headers, answer = self.answer
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        """Silent."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, type[Server]]]:
    monkeypatch.setenv("no_proxy", "*")
    handler = type("Handler", (Server,), {"requests": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as httpd:
        thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{httpd.server_port}/v1", handler
        httpd.shutdown()
        thread.join()


async def test_an_openai_compatible_server(server: tuple[str, type[Server]], calls: list[dict[str, Any]]) -> None:
    url, handler = server
    answer = {"choices": [{"message": {"content": "hé"}}], "usage": {"prompt_tokens": 5, "completion_tokens": 2}}
    handler.answer = (200, {}, json.dumps(answer).encode())
    reply = await OpenAICompatible(url, "m", "secret").complete(MESSAGES)
    assert (reply.text, reply.usage) == ("hé", Usage(5, 2))
    assert handler.requests == [("/v1/chat/completions", "Bearer secret", {"model": "m", "messages": MESSAGES})]
    assert calls[0]["model"] == "m"


BAD_ANSWERS = {
    "refused": ((401, {}, b'{"error": "bad key"}'), "answered 401 .*bad key"),
    "not JSON": ((200, {}, b"<html>"), "not JSON"),
    "another protocol": ((200, {}, b'{"hello": 1}'), "without a text"),
    "redirect": ((302, {"Location": "http://127.0.0.1:1/"}, b""), "answered 302"),
}


@pytest.mark.parametrize("name", BAD_ANSWERS)
async def test_a_server_that_answers_badly(name: str, server: tuple[str, type[Server]]) -> None:
    url, handler = server
    handler.answer, message = BAD_ANSWERS[name]
    with pytest.raises(ModelError, match=message):
        await OpenAICompatible(url, "m", "secret").complete(MESSAGES)


async def test_a_server_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")
    with pytest.raises(ModelError, match="cannot reach"):
        await OpenAICompatible("http://127.0.0.1:1/v1", "m").complete(MESSAGES)


@pytest.mark.parametrize("url", ["file:///etc/passwd", "localhost:8000", ""])
def test_an_address_that_is_no_server_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="not the address"):
        OpenAICompatible(url, "m")


def test_the_key_is_not_shown() -> None:
    assert "secret" not in repr(OpenAICompatible("http://127.0.0.1/v1", "m", "secret"))
