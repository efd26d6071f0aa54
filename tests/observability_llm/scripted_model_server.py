"""A loopback HTTP server that answers model calls from a script, with real SSE and real sockets."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = tuple[int, Any]
"""(status, body): a body that is a list is sent as SSE events, each (event name or None, data)."""

HANG = "hang"
"""Among events: send nothing more until the test is over."""
BREAK = "break"
"""Among events: break the connection off."""


class ModelServer:
    """`answers` are given in order, the last one again and again; a function makes one of the request's body."""

    def __init__(self) -> None:
        self.answers: list[Answer | Callable[[dict[str, Any]], Answer]] = []
        self.requests: list[tuple[str, dict[str, Any]]] = []
        self.over = threading.Event()
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def answer(self, path: str, body: dict[str, Any]) -> Answer:
        self.requests.append((path, body))
        place = min(len(self.requests), len(self.answers)) - 1
        answer = self.answers[place]
        return answer(body) if callable(answer) else answer


@contextmanager
def serving() -> Iterator[ModelServer]:
    server = ModelServer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status, answer = server.answer(self.path, body)
            if isinstance(answer, list):
                self.stream(status, answer)
                return
            data = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def stream(self, status: int, events: list[Any]) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "text/event-stream")
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            try:
                for event in events:
                    if event == HANG:
                        server.over.wait(30)
                        self.close_connection = True
                        return
                    if event == BREAK:
                        self.close_connection = True
                        return
                    name, data = event
                    text = data if isinstance(data, str) else json.dumps(data)
                    self.chunk((f"event: {name}\n" if name else "") + f"data: {text}\n\n")
                self.chunk("")
            except OSError:  # The client has gone, as some tests want.
                self.close_connection = True

        def chunk(self, text: str) -> None:
            data = text.encode()
            self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
            self.wfile.flush()

        def log_message(self, *_: object) -> None:
            """Silent."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        httpd.daemon_threads = True
        server.port = httpd.server_port
        thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.over.set()
            httpd.shutdown()
            thread.join()


# --- what OpenAI answers ---


def chat_answer(text: str = "hello there", given: int = 11, taken: int = 3, cached: int = 0) -> Answer:
    usage = {"prompt_tokens": given, "completion_tokens": taken, "total_tokens": given + taken}
    usage["prompt_tokens_details"] = {"cached_tokens": cached}  # type: ignore[assignment]
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}
    return 200, {**_chat("chat.completion"), "choices": [choice], "usage": usage}


def _chat(kind: str) -> dict[str, Any]:
    return {"id": "chatcmpl-1", "object": kind, "created": 1, "model": "gpt-test-2024"}


def chat_events(texts: list[str]) -> list[Any]:
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}, *({"content": text} for text in texts)]
    choices = [{"index": 0, "delta": delta, "finish_reason": None} for delta in deltas]
    choices.append({"index": 0, "delta": {}, "finish_reason": "stop"})
    return [(None, {**_chat("chat.completion.chunk"), "choices": [choice]}) for choice in choices]


def chat_stream(texts: list[str], given: int = 11, taken: int = 3) -> Callable[[dict[str, Any]], Answer]:
    """As the real server does: usage comes as a last chunk without choices, and only if it was asked for."""

    def answer(body: dict[str, Any]) -> Answer:
        events = chat_events(texts)
        if (body.get("stream_options") or {}).get("include_usage"):
            usage = {"prompt_tokens": given, "completion_tokens": taken, "total_tokens": given + taken}
            events.append((None, {**_chat("chat.completion.chunk"), "choices": [], "usage": usage}))
        return 200, [*events, (None, "[DONE]")]

    return answer


def no_stream_options(then: Callable[[dict[str, Any]], Answer]) -> Callable[[dict[str, Any]], Answer]:
    """A server of an older make: it refuses what it does not know."""

    def answer(body: dict[str, Any]) -> Answer:
        if "stream_options" in body:
            return 400, {"error": {"message": "unknown field stream_options", "type": "invalid_request_error"}}
        return then(body)

    return answer


def embedding_answer(given: int = 5) -> Answer:
    data = [{"object": "embedding", "index": 0, "embedding": [0.1, 0.2]}]
    usage = {"prompt_tokens": given, "total_tokens": given}
    return 200, {"object": "list", "data": data, "model": "emb-test", "usage": usage}


def response_object(given: int = 21, taken: int = 8, status: str = "completed") -> dict[str, Any]:
    details = {"input_tokens_details": {"cached_tokens": 6}, "output_tokens_details": {"reasoning_tokens": 0}}
    usage = {"input_tokens": given, "output_tokens": taken, "total_tokens": given + taken, **details}
    content = [{"type": "output_text", "text": "hello", "annotations": []}]
    message = {"id": "m", "type": "message", "role": "assistant", "status": "completed", "content": content}
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "status": status,
        "model": "gpt-test-2024",
        "output": [message],
        "parallel_tool_calls": False,
        "tool_choice": "auto",
        "tools": [],
        "error": {"code": "server_error", "message": "no"} if status == "failed" else None,
        "usage": usage,
    }


def response_stream(status: str = "completed") -> Answer:
    where = {"item_id": "m", "output_index": 0, "content_index": 0}
    delta = {"type": "response.output_text.delta", "delta": "hello", "sequence_number": 1, "logprobs": [], **where}
    last = {"type": f"response.{status}", "response": response_object(status=status), "sequence_number": 2}
    return 200, [(delta["type"], delta), (last["type"], last)]


# --- what Anthropic answers ---


def message_answer(given: int = 13, taken: int = 4, read: int = 0, written: int = 0) -> Answer:
    usage = {"input_tokens": given, "output_tokens": taken}
    usage |= {"cache_read_input_tokens": read, "cache_creation_input_tokens": written}
    return 200, {**_message([{"type": "text", "text": "hello"}]), "stop_reason": "end_turn", "usage": usage}


def _message(content: list[Any]) -> dict[str, Any]:
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-test-1",
        "content": content,
        "stop_reason": None,
        "stop_sequence": None,
    }


def message_events(texts: list[str], given: int = 13, taken: int = 4) -> list[Any]:
    start = {**_message([]), "usage": {"input_tokens": given, "output_tokens": 1}}
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": start},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "ping"},
        *({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}} for text in texts),
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": taken}},
        {"type": "message_stop"},
    ]
    return [(event["type"], event) for event in events]
