"""Exposition of 10 000 series, and how long a scrape waits while a C call holds the GIL."""

from __future__ import annotations

import ctypes
import json
import statistics
import subprocess
import sys

import prometheus_client as rival

from hagane.observability import MetricsCollector, serve_metrics

from .clock import Row, alternately

SERIES = 10_000
SCRAPES = 200
# Asks over and over, says how long the answers took, and only then lets the other process's C call return.
ASK = """
import json, sys, time, urllib.request
took = []
for _ in range(int(sys.argv[2])):
    begin = time.perf_counter()
    urllib.request.urlopen(sys.argv[1], timeout=60).read()
    took.append(time.perf_counter() - begin)
print(json.dumps(took), file=sys.stderr)
print("x", flush=True)
"""


def rows() -> list[Row]:
    ours, registry = MetricsCollector(prefix=""), rival.CollectorRegistry()
    counter = ours.counter("requests_total", "Requests.", ["path", "status"])
    theirs = rival.Counter("requests", "Requests.", ["path", "status"], registry=registry)
    for number in range(SERIES):
        counter.labels(f"/path/{number}", "200").inc(number)
        theirs.labels(f"/path/{number}", "200").inc(number)
    names = {"show": ours.to_prometheus, "they_show": rival.generate_latest, "registry": registry}
    one, other = alternately("show()", "they_show(registry)", names, 3)
    found = [Row("text of 10 000 series", one * 1e3, other * 1e3, "prometheus_client", "ms", 50)]
    return [*found, _while_the_gil_is_held()]


def _while_the_gil_is_held() -> Row:
    collector = MetricsCollector(prefix="")
    for number in range(100):
        collector.counter("requests_total", "", ["path"]).labels(str(number)).inc()
    with serve_metrics(collector=collector) as server:
        arguments = [sys.executable, "-c", ASK, server.url, str(SCRAPES)]
        asker = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert asker.stdout is not None
        # PyDLL keeps the GIL, and read() returns only once every scrape has been answered.
        ctypes.PyDLL(None).read(asker.stdout.fileno(), ctypes.create_string_buffer(1), 1)
        said = asker.communicate(timeout=60)[1]
    took = json.loads(said)
    return Row(
        "scrape p50 while a C call holds the GIL (wall clock)", statistics.median(took) * 1e3, None, "", "ms", None, 2
    )
