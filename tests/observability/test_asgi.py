"""GET /metrics in a web application: the ASGI convention by itself, and FastAPI and Starlette behind uvicorn."""

from __future__ import annotations

import gzip
import http.client
import os
import subprocess
import sys
import threading
from contextlib import contextmanager

import pytest
import uvicorn
from fastapi import FastAPI
from metric_scrapes import Scrape
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

from hagane.errors import MetricError
from hagane.observability import get_metrics, metrics_app, mount_metrics


@contextmanager
def served(app):
    """Run `app` behind uvicorn; yields a function that asks it."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error", ws="none"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            thread.join(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]

        def ask(path="/metrics", method="GET", **headers):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
            connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
            response = connection.getresponse()
            body = response.read()
            connection.close()
            return response, body

        yield ask
    finally:
        server.should_exit = True
        thread.join()


def test_fastapi_shows_the_metrics_of_the_process_and_its_own_routes(collector):
    app = FastAPI()

    @app.get("/")
    async def root():
        collector.counter("hits_total").inc()
        return {}

    mount_metrics(app, collector=collector)
    with served(app) as ask:
        assert ask("/")[0].status == 200
        response, body = ask()
        assert response.getheader("Content-Type") == "text/plain; version=0.0.4; charset=utf-8"
        assert Scrape(body.decode()).value("hits_total") == 1
        assert b"/metrics" not in ask("/openapi.json")[1]
        assert ask("/metrics", "POST")[0].status == 405


def test_it_is_reached_before_a_route_that_takes_everything(collector):
    async def anything(request):
        return PlainTextResponse("anything")

    app = Starlette(routes=[Route("/{path:path}", anything)])
    mount_metrics(app, "/internal/metrics", collector=collector)
    collector.counter("hits_total", "", []).inc(2)
    with served(app) as ask:
        assert ask("/metrics")[1] == b"anything"
        assert Scrape(ask("/internal/metrics")[1].decode()).value("hits_total") == 2


def test_format_encoding_and_head_are_those_of_the_listener(collector):
    collector.counter("hits_total", "", []).inc(2, exemplar={"trace_id": "x"})
    with served(metrics_app(collector=collector, own_metrics=False)) as ask:
        response, body = ask(Accept="application/openmetrics-text;version=1.0.0", Accept_Encoding="gzip")
        assert response.getheader("Content-Encoding") == "gzip"
        (family,) = text_string_to_metric_families(gzip.decompress(body).decode())
        assert family.samples[0].exemplar.labels == {"trace_id": "x"}
        head, nothing = ask(method="HEAD")
        assert (head.status, nothing) == (200, b"")
        assert head.getheader("Content-Length") == str(len(ask()[1]))


def test_a_token_guards_it_too(collector):
    with served(metrics_app(collector=collector, bearer_token="s3cret")) as ask:
        assert ask()[0].status == 401
        assert ask(Authorization="Bearer s3cret")[0].status == 200
    with pytest.raises(MetricError, match="visible ASCII"):
        metrics_app(bearer_token="")


def test_it_can_be_mounted_as_an_application():
    get_metrics().counter("mounted_total").inc()
    with served(Starlette(routes=[Mount("/metrics", app=metrics_app())])) as ask:
        seen = Scrape(ask("/metrics/")[1].decode())
    assert seen.value("agentflow_mounted_total") == 1
    assert seen.value("process_threads") > 1


def test_what_is_no_such_application_is_refused_with_the_remedy():
    with pytest.raises(TypeError, match=r"object has no router.routes.* mount metrics_app\(\)"):
        mount_metrics(object())


def test_a_path_without_its_slash_is_refused_with_the_remedy():
    with pytest.raises(MetricError, match=r"must begin with a slash: mount_metrics\(app, '/metrics'\)"):
        mount_metrics(FastAPI(), "metrics")


SHARED = """
import asyncio, os, shutil, sys, threading
from hagane import _core
from hagane.observability import asgi, get_metrics, metrics_app

get_metrics().counter("shared_total").inc()
threads, sent = [], []
real = _core.MetricsExporter

class Watched:
    def __init__(self, *arguments):
        self.exporter = real(*arguments)
    def answer(self, *asked):
        threads.append(threading.current_thread() is threading.main_thread())
        return self.exporter.answer(*asked)

_core.MetricsExporter = Watched
application = metrics_app()
if sys.argv[1] == "removed":
    shutil.rmtree(os.environ["HAGANE_MULTIPROC_DIR"])

async def send(message):
    sent.append(message)

scope = {"type": "http", "method": "GET", "headers": []}
asyncio.run(application(scope, None, send))
print(threads, sent[0]["status"], sent[1]["body"].decode())
"""


def answered(*arguments, **environment):
    command = [sys.executable, "-c", SHARED, *arguments]
    given = {**os.environ, **environment}
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60, env=given).stdout


def test_the_files_of_other_processes_are_read_beside_the_event_loop(tmp_path):
    assert answered("there").startswith("[True] 200 ")
    said = answered("there", HAGANE_MULTIPROC_DIR=str(tmp_path / "cells"))
    assert said.startswith("[False] 200 ")
    assert "agentflow_shared_total 1" in said


def test_a_directory_that_cannot_be_read_is_an_answer_of_503_with_the_reason(tmp_path):
    said = answered("removed", HAGANE_MULTIPROC_DIR=str(tmp_path / "cells"))
    assert said.startswith("[False] 503 cannot read the metrics of the other processes in ")


async def test_a_web_socket_is_closed_and_the_lifespan_completes():
    sent = []

    async def send(message):
        sent.append(message["type"])

    def receive_all(*messages):
        waiting = list(messages)

        async def receive():
            return {"type": waiting.pop(0)}

        return receive

    app = metrics_app()
    await app({"type": "lifespan"}, receive_all("lifespan.startup", "lifespan.shutdown"), send)
    await app({"type": "websocket"}, receive_all("websocket.connect"), send)
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete", "websocket.close"]
