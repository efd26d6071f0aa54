"""Pushing to a real Pushgateway and to Prometheus' remote write receiver, and what happens when it fails."""

from __future__ import annotations

import http.server
import math
import threading
import time
import urllib.request
from contextlib import contextmanager

import pytest
from metric_scrapes import Scrape
from private_prometheus import eventually, free_port, prometheus

from hagane.errors import HaganeError, MetricError, MetricsPushError
from hagane.observability import MetricsCollector, get_metrics, push_to_gateway, remote_write

HARD_VALUES = ["a b", "a/b", "", "日本", "100%", ".", "..", "a?b#c", "+"]


@pytest.fixture
def gateway(service):
    return service("pushgateway")


def shown(gateway) -> Scrape:
    with urllib.request.urlopen(f"{gateway}/metrics", timeout=20) as response:
        return Scrape(response.read().decode())


@pytest.mark.needs("pushgateway")
def test_put_replaces_the_group_post_adds_to_it_and_delete_removes_it(gateway):
    first, second = MetricsCollector(prefix=""), MetricsCollector(prefix="")
    first.counter("pushed_total", "", []).inc(2)
    second.gauge("pushed_depth", "", []).set(7)
    labels = {"job": "night", "shift": "1", "instance": ""}
    push_to_gateway(gateway, "night", {"shift": 1}, collector=first)
    assert shown(gateway).value("pushed_total", **labels) == 2
    push_to_gateway(gateway, "night", {"shift": 1}, "post", collector=second)
    assert (shown(gateway).value("pushed_total", **labels), shown(gateway).value("pushed_depth", **labels)) == (2, 7)
    push_to_gateway(gateway, "night", {"shift": 1}, "put", collector=second)
    assert shown(gateway).value("pushed_total", **labels) is None
    push_to_gateway(gateway, "night", {"shift": 1}, "delete")
    assert eventually(lambda: shown(gateway).value("pushed_depth", **labels) is None, "the group's end")


@pytest.mark.needs("pushgateway")
@pytest.mark.parametrize("value", HARD_VALUES)
def test_a_group_may_have_any_label_value(gateway, value):
    collector = MetricsCollector(prefix="")
    collector.counter("hard_total", "", []).inc()
    job = value or "empty"
    push_to_gateway(gateway, job, {"shift": value}, collector=collector)
    expected = {"job": job, "instance": ""} | ({"shift": value} if value else {})
    found = [sample.labels for sample in shown(gateway).samples if sample.name == "hard_total"]
    assert any(
        {**found_labels, "instance": ""} == expected or found_labels == expected | {"shift": value}
        for found_labels in found
    )
    push_to_gateway(gateway, job, {"shift": value}, "delete")


@pytest.mark.needs("pushgateway")
def test_the_process_is_pushed_without_a_collector(gateway):
    get_metrics().counter("of_process_total").inc(3)
    push_to_gateway(gateway, "process")
    assert shown(gateway).value("agentflow_of_process_total", job="process", instance="") == 3
    push_to_gateway(gateway, "process", method="delete")


@pytest.mark.needs("pushgateway")
def test_a_gateway_that_refuses_is_asked_once_and_its_reason_is_told(gateway):
    first, second = MetricsCollector(prefix=""), MetricsCollector(prefix="")
    first.counter("of_one_type", "", []).inc()
    second.histogram("of_one_type", "", []).observe(1)
    push_to_gateway(gateway, "first", collector=first)
    with pytest.raises(MetricsPushError, match=r"answered 400: .*inconsistent") as refused:
        push_to_gateway(gateway, "second", collector=second)
    push_to_gateway(gateway, "first", method="delete")
    assert refused.value.status == 400
    assert isinstance(refused.value, (HaganeError, OSError))


@pytest.mark.needs("prometheus")
def test_remote_write_arrives_exactly_with_labels_and_exemplars(tmp_path):
    collector = MetricsCollector(prefix="")
    values = ['"', "\\", "\n", "日本語", ""]
    hits = collector.counter("hits_total", "Hits.", ["path", "job"])
    for amount, value in enumerate(values, 1):
        hits.inc(amount, {"path": value, "job": "own"}, exemplar={"trace_id": f"t{amount}"})
    collector.gauge("depth", "", []).set(math.nan)
    collector.histogram("seconds", "", [], buckets=(1, 2)).observe(1.5)
    with prometheus(tmp_path) as started:
        url = f"{started.url}/api/v1/write"
        assert remote_write(url, "night", {"shift": 1}, collector=collector) == 1
        arrived = {
            sample["metric"].get("path", ""): float(sample["value"][1])
            for sample in started.vector('hits_total{job="night",shift="1",exported_job="own"}')
        }
        assert arrived == {value: amount for amount, value in enumerate(values, 1)}
        assert math.isnan(started.value("depth"))
        assert started.value('seconds_bucket{le="2.0"}') == 1
        found = started.ask("query_exemplars", query='hits_total{path="日本語"}', start="0", end="4e9")
        assert found[0]["exemplars"][0]["labels"] == {"trace_id": "t4"}
        hits.inc(10, {"path": "", "job": "own"})
        time.sleep(0.01)
        remote_write(url, "night", {"shift": 1}, collector=collector)
        assert started.value('hits_total{path=""}') == 15


@pytest.mark.needs("prometheus")
def test_labels_of_a_remote_write_and_of_a_series_stay_apart_whatever_they_are_called(tmp_path):
    collector = MetricsCollector(prefix="")
    collector.counter("hits_total", "", ["job", "exported_job"]).labels("a", "b").inc(3)
    with prometheus(tmp_path) as started:
        url = f"{started.url}/api/v1/write"
        remote_write(url, "night", {"job": "of the user"}, collector=collector)
        (found,) = started.vector("hits_total")
        assert found["metric"] == {
            "__name__": "hits_total",
            "job": "night",
            "exported_job": "of the user",
            "exported_exported_job": "a",
            "exported_exported_exported_job": "b",
        }
    with pytest.raises(MetricError, match="given twice"):
        remote_write(url, "night", {"job": "one", "exported_job": "other"}, collector=collector)


@pytest.mark.needs("prometheus")
def test_remote_write_of_many_series_takes_several_requests(tmp_path):
    collector = MetricsCollector(prefix="")
    family = collector.counter("many_total", "", ["n"])
    for number in range(4500):
        family.labels(number).inc(number)
    with prometheus(tmp_path) as started:
        assert remote_write(f"{started.url}/api/v1/write", "night", collector=collector) == 3
        assert started.value("count(many_total)") == 4500
        assert started.value("sum(many_total)") == sum(range(4500))


@contextmanager
def answering(*statuses):
    """A server that answers with these statuses in turn, then always the last; yields its URL and the requests."""
    requests, waiting = [], list(statuses)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            requests.append((self.command, self.path, dict(self.headers), body))
            self.send_response(waiting.pop(0) if len(waiting) > 1 else waiting[0])
            self.send_header("Location", "/elsewhere")
            self.end_headers()
            self.wfile.write(b"because")

        do_PUT = do_POST  # noqa: N815

        do_DELETE = do_POST  # noqa: N815

        def log_message(self, *_):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", requests
        finally:
            server.shutdown()
            thread.join()


def test_a_receiver_that_is_not_well_is_asked_again(collector):
    collector.counter("hits_total", "", []).inc()
    with answering(503, 429, 200) as (url, requests):
        push_to_gateway(url, "night", collector=collector)
    assert [(method, path) for method, path, _, _ in requests] == [("PUT", "/metrics/job/night")] * 3
    assert requests[2][3] == collector.to_prometheus().encode()


def test_attempts_come_to_an_end_and_the_last_answer_is_told(collector):
    with answering(500) as (url, requests), pytest.raises(MetricsPushError, match="answered 500: because") as failed:
        push_to_gateway(url, "night", collector=collector, attempts=2)
    assert (len(requests), failed.value.status) == (2, 500)


@pytest.mark.parametrize("status", [302, 400, 401, 404])
def test_a_refusal_is_final(collector, status):
    collector.counter("hits_total", "", []).inc()
    with answering(status) as (url, requests), pytest.raises(MetricsPushError, match=f"answered {status}: because"):
        remote_write(f"{url}/api/v1/write", "night", collector=collector)
    assert len(requests) == 1


def test_nobody_there_is_an_error_that_names_the_address(collector):
    port = free_port()
    with pytest.raises(MetricsPushError, match=f"cannot reach http://127.0.0.1:{port}/metrics/job/night: ") as failed:
        push_to_gateway(f"http://127.0.0.1:{port}", "night", collector=collector, attempts=1)
    assert failed.value.status is None
    assert isinstance(failed.value.__cause__, OSError)


def test_a_password_is_sent_and_never_told(collector):
    with answering(200, 403) as (url, requests):
        address = url.replace("http://", "http://me:p%40ss@")
        push_to_gateway(address, "night", collector=collector)
        assert requests[0][2]["Authorization"] == "Basic bWU6cEBzcw=="
        with pytest.raises(MetricsPushError, match="answered 403") as refused:
            push_to_gateway(address, "night", collector=collector)
        assert "p%40ss" not in str(refused.value)
        assert "p@ss" not in str(refused.value)


def test_a_token_goes_with_every_request(collector):
    collector.counter("hits_total", "", []).inc()
    with answering(200) as (url, requests):
        remote_write(url, "night", collector=collector, bearer_token="s3cret")
    headers = requests[0][2]
    assert headers["Authorization"] == "Bearer s3cret"
    assert (headers["Content-Encoding"], headers["X-Prometheus-Remote-Write-Version"]) == ("snappy", "0.1.0")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("file:///etc/passwd", "night"), "must begin with http"),
        (("gateway:9091", "night"), "must begin with http"),
        (("http://[::1", "night"), "no address to push to"),
        (("http://gateway:port", "night"), "no address to push to"),
        (("http://gateway:99999", "night"), "no address to push to"),
        ((b"http://gateway", "night"), "no address to push to"),
        (("http://gateway/?a=b", "night"), "can have no"),
        (("http://127.0.0.1:1", ""), "job name"),
        (("http://127.0.0.1:1", "night", {"job": "day"}), "leave it out of grouping"),
        (("http://127.0.0.1:1", "night", {"a-b": 1}), "grouping label 'a-b'"),
        (("http://127.0.0.1:1", "night", None, "patch"), "none of put, post and delete"),
    ],
)
def test_what_cannot_be_pushed_at_all_is_said_before_anything_is_sent(arguments, said):
    with pytest.raises(MetricError, match=said):
        push_to_gateway(*arguments)


@pytest.mark.parametrize("url", ["http://me:se/cret@host:9091", "http://me:1#secret@host", "http://me:1/secret@host"])
def test_a_password_that_is_not_encoded_is_refused_and_not_shown(collector, url):
    for push in (push_to_gateway, remote_write):
        with pytest.raises(MetricError, match="percent-encode") as refused:
            push(url, "night", collector=collector)
        assert "cret" not in str(refused.value)
        assert "http://...@host" in str(refused.value)


def test_a_password_with_an_at_sign_is_taken_and_not_shown(collector):
    with answering(200, 403) as (url, requests):
        address = url.replace("http://", "http://me:p@ss@")
        push_to_gateway(address, "night", collector=collector)
        with pytest.raises(MetricsPushError, match=f"{url}/metrics/job/night answered 403") as refused:
            push_to_gateway(address, "night", method="delete", collector=collector)
        assert "p@ss" not in str(refused.value)
    assert [request[2]["Authorization"] for request in requests] == ["Basic bWU6cEBzcw=="] * 2


@pytest.mark.parametrize("timeout", [0, -1, float("nan"), float("inf")])
def test_a_time_limit_must_be_one(collector, timeout):
    with pytest.raises(MetricError, match="timeout a finite number of seconds above 0"):
        push_to_gateway("http://127.0.0.1:1", "night", collector=collector, timeout=timeout)


def test_remote_write_refuses_labels_that_are_not_allowed(collector):
    for labels in ({"a-b": 1}, {"__name__": "x"}):
        with pytest.raises(MetricError, match="remote write: label name"):
            remote_write("http://127.0.0.1:1", "night", labels, collector=collector)
