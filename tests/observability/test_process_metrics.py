"""`process_*`: of the process that answers, and only where it makes sense."""

from __future__ import annotations

import os
import time
import urllib.request
from pathlib import Path

from metric_scrapes import Scrape

from hagane.observability import serve_metrics


def scrape(server) -> Scrape:
    with urllib.request.urlopen(server.url, timeout=20) as response:
        return Scrape(response.read().decode())


def test_the_process_is_shown_with_its_own_metrics():
    with serve_metrics() as server:
        seen = scrape(server)
    descriptors = len(list(Path("/proc/self/fd").iterdir()))
    assert abs(seen.value("process_open_fds") - descriptors) < 10
    resident = int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    assert 0.5 < seen.value("process_resident_memory_bytes") / resident < 2
    assert 0 < time.time() - seen.value("process_start_time_seconds") < 24 * 3600
    assert seen.value("process_threads") >= 2
    # The crate counts whole seconds.
    assert abs(seen.value("process_cpu_seconds_total") - time.process_time()) < 3


def test_a_collector_by_itself_does_not_show_the_process_unless_told(collector):
    with serve_metrics(collector=collector) as server:
        assert not any(name.startswith("process_") for name in scrape(server).names())
    with serve_metrics(collector=collector, process_metrics=True) as server:
        assert "process_cpu_seconds_total" in scrape(server).names()


def test_no_name_is_shown_twice():
    with serve_metrics() as server:
        names = [family.name for family in scrape(server).families]
    assert len(names) == len(set(names))
