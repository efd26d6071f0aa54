"""The listener: what it answers, that it needs neither the GIL nor luck at a fork, and how it fails."""

from __future__ import annotations

import ctypes
import errno
import gc
import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
import warnings
from contextlib import contextmanager

import pytest
from metric_scrapes import Scrape

from hagane import _core
from hagane.errors import HaganeError, MetricsServerError
from hagane.observability import get_metrics, serve_metrics


@pytest.fixture
def server(collector):
    with serve_metrics(collector=collector, own_metrics=False) as server:
        yield server


def ask(server, method="GET", path="/metrics"):
    connection = http.client.HTTPConnection(server.host, server.port, timeout=20)
    connection.request(method, path)
    response = connection.getresponse()
    return response, response.read().decode()


def fork():
    """Newer Pythons warn that a child of a threaded process may hang, which is what these tests look into."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


def in_child(work):
    """Runs `work` in a forked child; its exit status is 0 if `work` returned, and -9 if it hung."""
    child = fork()
    if child == 0:
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_a_scrape_shows_what_the_collector_exports(server, collector):
    collector.counter("hits_total", "Hits of 日本.", ["path"]).inc(2, {"path": "/"})
    response, text = ask(server)
    assert (response.status, response.getheader("Content-Type")) == (200, _core.METRICS_CONTENT_TYPE)
    assert response.getheader("Content-Type") == "text/plain; version=0.0.4; charset=utf-8"
    assert text == collector.to_prometheus()
    assert Scrape(text).value("hits_total", path="/") == 2
    head, nothing = ask(server, "HEAD")
    assert (head.status, nothing, head.getheader("Content-Length")) == (200, "", str(len(text.encode())))


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/", 404), ("POST", "/metrics", 405), ("GET", "/x", 404)]
)
def test_anything_else_is_refused(server, method, path, status):
    assert ask(server, method, path)[0].status == status


def test_without_a_collector_the_process_is_shown_also_when_nobody_holds_the_server():
    get_metrics().counter("served_total").inc()
    url, address = (lambda server: (server.url, (server.host, server.port)))(serve_metrics())
    gc.collect()
    with urllib.request.urlopen(url, timeout=20) as response:
        assert Scrape(response.read().decode()).value("agentflow_served_total") == 1
    # Nobody can close it now: as in a program that serves until it ends.
    assert socket.create_connection(address, timeout=20).close() is None


def test_a_closed_server_frees_its_port_and_closing_again_does_nothing(collector):
    server = serve_metrics(collector=collector)
    assert repr(server) == f"<MetricsServer http://127.0.0.1:{server.port}/metrics>"
    server.close()
    server.close()
    assert server.closed
    assert repr(server).endswith(", closed>")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((server.host, server.port), timeout=20)
    with serve_metrics(server.port, collector=collector) as again:
        assert again.port == server.port


def test_a_port_in_use_is_an_os_error_that_names_it_and_the_remedy(server):
    with pytest.raises(MetricsServerError, match=f"port {server.port}: the port is in use; stop") as raised:
        serve_metrics(server.port)
    assert isinstance(raised.value, (HaganeError, OSError))
    assert raised.value.errno == errno.EADDRINUSE


@pytest.mark.parametrize(
    ("port", "host", "said"),
    [
        (65_536, "127.0.0.1", "a port is a number from 0 to 65535"),
        (-1, "127.0.0.1", "a port is a number from 0 to 65535"),
        (0, "192.0.2.1", "pass an address of this machine"),
        (0, "not a host", "cannot serve metrics on"),
    ],
)
def test_an_address_that_cannot_be_had_says_why(port, host, said):
    with pytest.raises(MetricsServerError, match=said):
        serve_metrics(port, host)


def test_idle_connections_give_their_places_to_a_scrape_and_are_counted(collector):
    with serve_metrics(collector=collector) as server:
        idle = [socket.create_connection((server.host, server.port), timeout=20) for _ in range(64)]
        text = ask(server)[1]
        # 64 idle ones and the scrape shared 32 places; on a machine that stands still some may have timed out before.
        assert 0 < Scrape(text).value("hagane_exporter_idle_connections_closed_total") <= 64 + 1 - 32
        for connection in idle:
            connection.close()


def test_a_scrape_is_answered_while_a_c_call_holds_the_gil(server, collector):
    collector.counter("held_total").inc()
    program = (
        f"import sys, urllib.request; print(urllib.request.urlopen({server.url!r}, timeout=20).status, flush=True)"
    )
    scraper = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
    answer = ctypes.create_string_buffer(3)
    # PyDLL keeps the GIL, and read() returns only when the scraper has had its answer (or has given up).
    received = ctypes.PyDLL(None).read(scraper.stdout.fileno(), answer, 3)
    scraper.communicate(timeout=20)
    assert (received, answer.raw) == (3, b"200")


@contextmanager
def child_that_waits():
    """A forked child that is up (its after-fork hooks have run) and does nothing until the block ends."""
    (up, say_up), (end, say_end) = os.pipe(), os.pipe()
    child = fork()
    if child == 0:
        os.write(say_up, b"x")
        os.read(end, 1)
        os._exit(0)
    os.read(up, 1)
    try:
        yield
    finally:
        os.write(say_end, b"x")
        assert os.waitpid(child, 0)[1] == 0
        for descriptor in (up, say_up, end, say_end):
            os.close(descriptor)


def test_a_forked_child_does_not_hold_the_parents_port(collector):
    server = serve_metrics(collector=collector)
    with child_that_waits():
        server.close()
        with serve_metrics(server.port, collector=collector) as again:
            assert ask(again)[0].status == 200


def test_a_forked_child_does_not_keep_a_connection_open(collector):
    server = serve_metrics(collector=collector)
    with socket.create_connection((server.host, server.port), timeout=20) as connection:
        connection.sendall(b"GET /metrics HTTP/1.1\r\n")
        time.sleep(0.2)  # Until the connection is accepted, in the parent, before the fork.
        with child_that_waits():
            server.close()
            # Ends, rather than times out, only when nobody has the other end any more.
            assert connection.recv(1) == b""


def test_a_forked_child_counts_scrapes_itself_and_may_serve_itself(server, collector):
    counter = collector.counter("hits_total")
    counter.inc()

    def work():
        assert server.closed
        server.close()
        counter.inc()
        collector.counter("of_child_total", labels={"a": "b"}).inc()
        with serve_metrics(collector=collector) as own:
            assert Scrape(ask(own)[1]).value("hits_total") == 2

    assert in_child(work) == 0
    assert (server.closed, counter.get()) == (False, 1)
    assert ask(server)[0].status == 200


def test_forks_beside_scrapes_and_new_series_never_hang(server, collector):
    stop = threading.Event()
    counter = collector.counter("hits_total", "", ["n"])

    def write():
        n = 0
        while not stop.is_set():
            counter.inc(labels={"n": n % 5000})
            n += 1

    def read():
        while not stop.is_set():
            ask(server)

    threads = [threading.Thread(target=work) for work in (write, read)]
    for thread in threads:
        thread.start()
    try:
        statuses = [
            in_child(lambda: (counter.inc(labels={"n": "child"}), collector.to_prometheus())) for _ in range(25)
        ]
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert statuses == [0] * 25


def test_a_process_that_serves_exits_at_once():
    program = "from hagane.observability import serve_metrics; print(serve_metrics().port)"
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
