"""Collecting what 8 processes with 10 000 series each hold, all of them alive."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from typing import Any

from .clock import Row

PROCESSES, SERIES = 8, 10_000
OURS = """
from hagane.observability import get_metrics
counter = get_metrics().counter("requests_total", "Requests.", ["path", "status"])
"""
THEIRS = """
from prometheus_client import Counter
counter = Counter("requests", "Requests.", ["path", "status"])
"""
FILL = f"""
for number in range({SERIES}):
    counter.labels(f"/path/{{number}}", "200").inc(number)
print("ready", flush=True)
input()
"""
COLLECT = """
import statistics, time
took = []
for _ in range({rounds}):
    begin = time.process_time()
    text = collect()
    took.append(time.process_time() - begin)
total = sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith({sample!r}))
print(statistics.median(took), total)
"""
COLLECT_OURS = """
from hagane.observability import get_metrics
collect = get_metrics().to_prometheus
"""
COLLECT_THEIRS = """
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
registry = CollectorRegistry()
MultiProcessCollector(registry)
collect = lambda: generate_latest(registry).decode()
"""


def rows() -> list[Row]:
    ours = _collect("HAGANE_MULTIPROC_DIR", OURS, COLLECT_OURS + COLLECT.format(rounds=15, sample="agentflow_requests"))
    theirs = _collect(
        "PROMETHEUS_MULTIPROC_DIR", THEIRS, COLLECT_THEIRS + COLLECT.format(rounds=3, sample="requests_total")
    )
    return [Row("collect 8 processes x 10 000 series", ours * 1e3, theirs * 1e3, "prometheus_client", "ms", 60)]


def _collect(variable: str, fill: str, collect: str) -> float:
    with tempfile.TemporaryDirectory() as directory:
        environment = {**os.environ, variable: directory}
        options: dict[str, Any] = {
            "env": environment,
            "stdin": subprocess.PIPE,
            "stdout": subprocess.PIPE,
            "text": True,
        }
        workers = [subprocess.Popen([sys.executable, "-c", fill + FILL], **options) for _ in range(PROCESSES)]
        try:
            for worker in workers:
                assert worker.stdout is not None
                worker.stdout.readline()
            done = subprocess.run(
                [sys.executable, "-c", collect],
                env=environment,
                capture_output=True,
                text=True,
                check=True,
                timeout=600,
            )
        finally:
            for worker in workers:
                worker.communicate("\n")
    seconds, total = map(float, done.stdout.split())
    expected = PROCESSES * SERIES * (SERIES - 1) / 2
    if total != expected:
        raise SystemExit(f"{variable}: collected {total}, not {expected}: this is no measurement")
    return seconds
