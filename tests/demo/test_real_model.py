"""`--llm`: the same pipeline with a model behind an OpenAI-compatible server, here one on loopback."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from demo_command import Demo

from hagane.demo import script


class Server(BaseHTTPRequestHandler):
    """Answers as the script does, but in the words of a chatty model."""

    keys: list[str | None]

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        type(self).keys.append(self.headers["Authorization"])
        text = f"<think>Let me see.</think>\nSure!\n{script.reply(request['messages'])}\nHope this helps."
        answer = {"choices": [{"message": {"content": text}}], "usage": {"prompt_tokens": 11, "completion_tokens": 7}}
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Silent."""


@pytest.fixture
def server() -> Iterator[tuple[str, list[str | None]]]:
    handler = type("Handler", (Server,), {"keys": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as httpd:
        thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{httpd.server_port}/v1", handler.keys
        httpd.shutdown()
        thread.join()


def test_a_server_can_be_the_model(demo: Demo, server: tuple[str, list[str | None]]) -> None:
    url, keys = server
    done = demo.run("--llm", url, "--model", "some-model", OPENAI_API_KEY="a-secret", no_proxy="*")
    assert (done.returncode, done.stderr) == (0, "")
    assert "run success" in done.stdout
    assert "some-model" in done.stdout
    assert set(keys) == {"Bearer a-secret"}
    assert len(keys) == 5
    assert "a-secret" not in done.stdout
    database = (demo.directory / ".hagane" / "demo.sqlite").read_bytes()
    assert b"a-secret" not in database
