"""Several processes, one scrape: nothing is lost however a process ends, and nothing hangs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from metric_scrapes import Scrape
from process_helpers import environment, run, shown, start

from hagane import _core
from hagane.errors import HaganeError, MetricError, MetricsDirectoryError
from hagane.observability.multiprocess import MODES

COUNT = """
from hagane.observability import get_metrics
hits = get_metrics().counter("hits_total", "Hits.", ["path"])
seconds = get_metrics().histogram("seconds", "", ["path"], buckets=(1, 2))
for step in range({count}):
    hits.labels("/a").inc()
    seconds.labels("/a").observe(step % 3)
"""


@pytest.mark.parametrize("variable", ["HAGANE_MULTIPROC_DIR", "PROMETHEUS_MULTIPROC_DIR"])
def test_what_ended_processes_counted_is_shown_and_leaves_one_file(tmp_path, variable):
    where = tmp_path / "made" / "here"
    for _ in range(3):
        program = [sys.executable, "-c", COUNT.format(count=30)]
        subprocess.run(program, env=environment(where, variable), check=True, timeout=60)
    for _ in range(2):
        seen = shown(where)
        assert seen.value("agentflow_hits_total", path="/a") == 90
        assert seen.value("agentflow_seconds_count", path="/a") == 90
        assert seen.value("agentflow_seconds_sum", path="/a") == 90
        assert seen.value("agentflow_seconds_bucket", path="/a", le="1.0") == 60
    assert [path.name for path in where.glob("*") if path.suffix == ".cells"] != []
    shown(where)
    assert len(list(where.glob("*.cells"))) == 1


def test_workers_that_are_killed_lose_nothing(tmp_path):
    program = COUNT.format(count=500) + "print('done', flush=True)\nhits.labels('/a').inc()\ninput()\n"
    workers = [start(tmp_path, program) for _ in range(4)]
    for worker in workers:
        assert worker.stdout.readline() == "done\n"
    before = shown(tmp_path).value("agentflow_hits_total", path="/a")
    assert before in (2000, 2001, 2002, 2003, 2004)
    for worker in workers:
        worker.kill()
        worker.communicate(timeout=20)
    for _ in range(3):
        assert 2000 <= shown(tmp_path).value("agentflow_hits_total", path="/a") <= 2004
    assert shown(tmp_path).value("agentflow_seconds_count", path="/a") == 2000


def test_eight_threads_of_several_processes_lose_nothing(tmp_path):
    program = """
import threading
from hagane.observability import get_metrics
counter = get_metrics().counter("hits_total", "", ["path"])
def work():
    for step in range(2000):
        counter.inc(labels={"path": str(step % 5)})
threads = [threading.Thread(target=work) for _ in range(8)]
[thread.start() for thread in threads], [thread.join() for thread in threads]
"""
    for worker in [start(tmp_path, program) for _ in range(3)]:
        worker.communicate(timeout=60)
    seen = shown(tmp_path)
    assert [seen.value("agentflow_hits_total", path=str(path)) for path in range(5)] == [9600] * 5


PRELOAD = """
import os, sys
from hagane.observability import get_metrics
hits = get_metrics().counter("hits_total", "", ["path"]).labels("/a")
seconds = get_metrics().histogram("seconds", buckets=(1, 2)).labels()
hits.inc(1000)
children = []
for number in range(4):
    child = os.fork()
    if child == 0:
        for _ in range(100):
            hits.inc()
            seconds.observe(0.5)
        if number == 0:
            os.kill(os.getpid(), 9)
        os._exit(0)
    children.append(child)
for child in children:
    os.waitpid(child, 0)
print(get_metrics().to_prometheus())
"""


def test_handles_bound_before_a_fork_count_in_the_child_also_if_it_is_killed(tmp_path):
    seen = Scrape(run(tmp_path, PRELOAD).stdout)
    assert seen.value("agentflow_hits_total", path="/a") == 1400
    assert seen.value("agentflow_seconds_count") == 400
    assert shown(tmp_path).value("agentflow_hits_total", path="/a") == 1400


ORPHAN = """
import os, sys
from hagane.observability import get_metrics, serve_metrics
hits = get_metrics().counter("hits_total").labels()
hits.inc(5)
child = os.fork()
if child == 0:
    hits.inc(7)
    print("child", os.getpid(), flush=True)
    sys.stdin.readline()
    hits.inc(100)
    late = get_metrics().counter("late_total")
    late.inc(3)
    with serve_metrics() as server:
        print("serves", server.url, flush=True)
        sys.stdin.readline()
    os._exit(0)
sys.stdout.flush()
os.waitpid(child, 0)
"""


def test_a_child_whose_parent_is_killed_goes_on_and_the_totals_stay_exact(tmp_path):
    parent = start(tmp_path, ORPHAN)
    child = int(parent.stdout.readline().split()[1])
    try:
        assert shown(tmp_path).value("agentflow_hits_total") == 12
        parent.kill()
        parent.wait(timeout=20)
        assert [shown(tmp_path).value("agentflow_hits_total") for _ in range(2)] == [12, 12]
        parent.stdin.write("go on\n")
        parent.stdin.flush()
        url = parent.stdout.readline().split()[1]
        with urllib.request.urlopen(url, timeout=20) as answer:
            own = Scrape(answer.read().decode())
        assert (own.value("agentflow_hits_total"), own.value("agentflow_late_total")) == (112, 3)
        assert shown(tmp_path).value("agentflow_hits_total") == 112
    finally:
        os.kill(child, signal.SIGKILL)
        parent.stdin.close()
        parent.stdout.close()
    assert shown(tmp_path).value("agentflow_hits_total") == 112


def test_a_parent_that_is_killed_and_started_again_has_its_port_and_its_totals(tmp_path):
    program = """
import os, sys, time
from hagane.observability import get_metrics, serve_metrics
hits = get_metrics().counter("hits_total").labels()
server = serve_metrics({port})
child = os.fork()
hits.inc()
if child == 0:
    time.sleep(60)
    os._exit(0)
print(server.port, child, flush=True)
sys.stdin.readline()
"""
    port, children = 0, []
    try:
        for round_number in (1, 2, 3):
            parent = start(tmp_path, program.format(port=port))
            port, child = map(int, parent.stdout.readline().split())
            children.append(child)
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=20) as answer:
                total = Scrape(answer.read().decode()).value("agentflow_hits_total")
            assert total in (2 * round_number - 1, 2 * round_number)
            parent.kill()
            parent.communicate(timeout=20) if parent.stdout.closed else parent.wait(timeout=20)
            parent.stdin.close()
            parent.stdout.close()
    finally:
        for child in children:
            os.kill(child, signal.SIGKILL)
    assert shown(tmp_path).value("agentflow_hits_total") == 6


def test_two_hundred_forks_under_load_do_not_hang_and_lose_nothing(tmp_path):
    program = """
import os, threading, urllib.request
from hagane.observability import get_metrics, serve_metrics
metrics = get_metrics()
hits = metrics.counter("hits_total").labels()
server = serve_metrics()
stop = threading.Event()
def scrape():
    while not stop.is_set():
        urllib.request.urlopen(server.url, timeout=30).read()
def register():
    number = 0
    while not stop.is_set():
        metrics.counter("series_total", "", ["n"]).labels(str(number % 2000)).inc()
        number += 1
threads = [threading.Thread(target=work) for work in (scrape, scrape, register)]
[thread.start() for thread in threads]
for number in range(200):
    child = os.fork()
    if child == 0:
        hits.inc()
        metrics.counter("born_total", "", ["n"]).labels(str(number)).inc()
        os._exit(0)
    os.waitpid(child, 0)
stop.set()
[thread.join() for thread in threads]
"""
    run(tmp_path, program, timeout=240)
    seen = shown(tmp_path)
    assert seen.value("agentflow_hits_total") == 200
    born = [sample.value for sample in seen.samples if sample.name == "agentflow_born_total"]
    assert born == [1] * 200


def test_a_directory_that_cannot_be_used_is_said_and_breaks_no_agent(tmp_path):
    taken = tmp_path / "file"
    taken.write_text("")
    program = """
from hagane.errors import MetricsDirectoryError
from hagane.observability import get_metrics, metrics_tracked, serve_metrics, setup_metrics
@metrics_tracked(agent="a")
def run():
    return "result"
print(run(), get_metrics().counter("agent_execution_total").get({"agent": "a", "status": "success"}))
for refuse in (setup_metrics, serve_metrics):
    try:
        refuse()
    except MetricsDirectoryError as error:
        print(error.errno, error)
"""
    done = run(taken / "below", program)
    first, second, third = done.stdout.splitlines()
    assert (first, third) == ("result 1.0", second)
    assert second.startswith("20 ")
    assert f"cannot keep metrics of several processes in {taken}/below" in second
    assert "only this process's own metrics are shown" in done.stderr


def test_the_error_is_an_os_error_of_ours():
    with pytest.raises(MetricsDirectoryError) as raised:
        _core.MetricsRegistry(directory="/proc/no such directory")
    assert isinstance(raised.value, (HaganeError, OSError))
    assert raised.value.errno


def test_a_gauges_mode_is_checked_and_kept(collector):
    gauge = collector.gauge("depth", multiprocess_mode="max")
    assert collector.gauge("depth") is gauge
    with pytest.raises(MetricError, match="already registered as max, not min"):
        collector.gauge("depth", multiprocess_mode="min")
    with pytest.raises(MetricError, match="use one of livesum, sum, min, max"):
        collector.gauge("other", multiprocess_mode="average")
    for mode in MODES:
        collector.gauge(f"of_{mode}", multiprocess_mode=mode)


def test_damaged_and_newer_files_are_counted_and_break_no_scrape(tmp_path):
    run(tmp_path, COUNT.format(count=3))
    (tmp_path / "1-1.cells").write_bytes(b"nonsense" * 100)
    (tmp_path / "1-2.cells").write_bytes(b"hagane\0m" + (99).to_bytes(8, sys.byteorder) + bytes(48))
    Path(tmp_path / "1-3.cells").mkdir()
    for _ in range(2):
        seen = shown(tmp_path)
        assert seen.value("agentflow_hits_total", path="/a") == 3
        assert seen.value("hagane_multiprocess_files", state="unreadable") == 3
    assert len(list(tmp_path.glob("1-*.cells"))) == 3
