"""A server of the OpenAI chat protocol on loopback, streams included, that fails when it is told to."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

ANSWER = ("We ", "look ", "into ", "it.")
USAGE = {"prompt_tokens": 4000, "completion_tokens": len(ANSWER), "total_tokens": 4000 + len(ANSWER)}


class ModelServer:
    """`url` is the base address; with `failing` set, every call is answered by 503."""

    def __init__(self) -> None:
        self.failing = threading.Event()
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if server.failing.is_set():
                    self._send(503, "application/json", json.dumps({"error": {"message": "overloaded"}}))
                elif request.get("stream"):
                    self._send(200, "text/event-stream", stream_of(request))
                else:
                    self._send(200, "application/json", json.dumps(completion_of(request["model"])))

            def _send(self, status: int, kind: str, body: str) -> None:
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body.encode())))
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"

    def __enter__(self) -> ModelServer:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def completion_of(model: str) -> dict[str, Any]:
    message = {"role": "assistant", "content": "".join(ANSWER)}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return {"id": "c1", "object": "chat.completion", "created": 1, "model": model, "choices": [choice], "usage": USAGE}


def stream_of(request: dict[str, Any]) -> str:
    """The events of a streamed answer; the usage comes last, and only if it was asked for, as the protocol says."""
    base = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": request["model"]}
    chunks = [{**base, "choices": [{"index": 0, "delta": {"content": part}}]} for part in ANSWER]
    chunks.append({**base, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    if (request.get("stream_options") or {}).get("include_usage"):
        chunks.append({**base, "choices": [], "usage": USAGE})
    return "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks) + "data: [DONE]\n\n"
