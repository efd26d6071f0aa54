"""Which format and which encoding a scrape gets, over the wire."""

from __future__ import annotations

import gzip
import http.client

import metric_messages
import pytest
from metric_scrapes import Scrape

from hagane.observability import serve_metrics

PROTOBUF = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"


@pytest.fixture
def ask(collector):
    collector.counter("hits_total", "", []).inc(3)
    with serve_metrics(collector=collector) as server:

        def ask(method="GET", path="/metrics", **headers):
            connection = http.client.HTTPConnection(server.host, server.port, timeout=20)
            connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
            response = connection.getresponse()
            return response, response.read()

        yield ask


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("*/*", "text/plain; version=0.0.4; charset=utf-8"),
        ("text/html", "text/plain; version=0.0.4; charset=utf-8"),
        ("application/openmetrics-text; version=1.0.0", "application/openmetrics-text; version=1.0.0; charset=utf-8"),
        ("application/openmetrics-text;q=0.1,text/plain;q=0.2", "text/plain; version=0.0.4; charset=utf-8"),
        (f"{PROTOBUF},text/plain;q=0.5", PROTOBUF.replace(";", "; ")),
    ],
)
def test_the_format_is_the_one_that_is_preferred(ask, accept, content_type):
    response, _ = ask(Accept=accept)
    assert (response.status, response.getheader("Content-Type")) == (200, content_type)
    assert "Accept" in response.getheader("Vary")


def test_gzip_is_used_when_it_is_accepted_and_only_then(ask):
    packed, body = ask(Accept_Encoding="gzip, deflate")
    assert packed.getheader("Content-Encoding") == "gzip"
    assert Scrape(gzip.decompress(body).decode()).value("hits_total") == 3
    for refused in ("identity", "gzip;q=0"):
        plain, body = ask(Accept_Encoding=refused)
        assert plain.getheader("Content-Encoding") is None
        assert Scrape(body.decode()).value("hits_total") == 3


def test_protobuf_and_gzip_go_together(ask):
    response, body = ask(Accept=PROTOBUF, Accept_Encoding="gzip")
    assert response.getheader("Content-Encoding") == "gzip"
    assert metric_messages.families(gzip.decompress(body))["hits_total"].metric[0].counter.value == 3


def test_the_exporter_counts_its_answers_by_format_and_status(ask):
    first = Scrape(ask()[1].decode())
    name = "hagane_exporter_scrapes_total"
    zero = [sample.value for sample in first.samples if sample.name == name]
    assert zero == [0] * 7
    for request in ({"Accept": PROTOBUF}, {"path": "/"}, {"method": "POST"}):
        ask(**request)
    seen = Scrape(ask()[1].decode())
    assert seen.value(name, format="text", status="200") == 1
    assert seen.value(name, format="protobuf", status="200") == 1
    assert seen.value(name, format="none", status="404") == 1
    assert seen.value(name, format="none", status="405") == 1
    assert seen.value("hagane_exporter_scrape_duration_seconds_count", format="text") == 1
    assert seen.value("hagane_exporter_scrape_size_bytes", format="text") > 100
    assert seen.value("hagane_exporter_series") == 1
    assert seen.value("hagane_exporter_dropped_total") == 0
    assert seen.value("hagane_exporter_idle_connections_closed_total") == 0
