"""What goes wrong around several processes: sums beyond numbers, programs that changed, files that cannot be read."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
import urllib.error
import urllib.request

import pytest
from process_helpers import environment, run, shown, start

from hagane import _core
from hagane.errors import MetricsDirectoryError
from hagane.observability.multiprocess import served_directory


def test_counts_beyond_the_greatest_number_stay_there_and_hide_no_others(tmp_path):
    program = """
from hagane.observability import get_metrics
metrics = get_metrics()
metrics.counter("huge_total").inc(1e308)
metrics.histogram("sizes", buckets=(1,)).observe({sign}1e308)
metrics.counter("others_total").inc()
"""
    for sign in ("", "", "-", "-", "-"):
        run(tmp_path, program.format(sign=sign))
    for _ in range(3):
        seen = shown(tmp_path)
        assert seen.value("agentflow_huge_total") == sys.float_info.max
        assert abs(seen.value("agentflow_sizes_sum")) <= sys.float_info.max
        assert (seen.value("agentflow_sizes_count"), seen.value("agentflow_others_total")) == (5, 5)
        assert seen.value("hagane_multiprocess_files", state="unreadable") == 0


def test_a_total_of_one_process_stays_at_the_greatest_number_too(collector):
    counter, gauge = collector.counter("huge_total"), collector.gauge("low")
    for _ in range(2):
        counter.inc(1e308)
        gauge.dec(1e308)
    assert (counter.get(), gauge.get()) == (sys.float_info.max, -sys.float_info.max)


def test_programs_with_other_buckets_before_and_after_lose_no_count_and_leave_no_file(tmp_path):
    program = """
from hagane.observability import get_metrics
seconds = get_metrics().histogram("seconds", buckets={buckets})
for value in (0.5, 1.5, 4, 99):
    seconds.observe(value)
"""
    for buckets in ("(1, 2, 10)", "(1, 2, 10)", "(1, 5, 10)"):
        run(tmp_path, program.format(buckets=buckets))
    for _ in range(3):
        seen = shown(tmp_path)
        bounds = ("1.0", "2.0", "5.0", "10.0", "+Inf")
        # Those that both had are exact; at 5 the two values of 4 that the older ones counted in (2, 10] are missing.
        counts = [seen.value("agentflow_seconds_bucket", le=bound) for bound in bounds]
        assert counts == [3, None, 2 + 2 + 3, 9, 12]
        assert (seen.value("agentflow_seconds_sum"), seen.value("agentflow_seconds_count")) == (315, 12)
        assert len(list(tmp_path.glob("*.cells"))) == 1


def test_a_metric_of_another_type_costs_itself_is_counted_and_said_once(tmp_path):
    run(
        tmp_path,
        "from hagane.observability import get_metrics as m; m().counter('depth').inc(); m().counter('n_total').inc(2)",
    )
    program = """
import logging
logging.basicConfig(format="%(name)s %(message)s")
from hagane import _core
from hagane.observability import get_metrics
get_metrics().gauge("depth").set(7)
get_metrics().counter("n_total").inc()
for _ in range(3):
    text = get_metrics().to_prometheus()
    _core._flush_logs()
print(text)
"""
    done = run(tmp_path, program)
    assert "agentflow_depth 7\n" in done.stdout
    assert "agentflow_n_total 3\n" in done.stdout
    assert 'hagane_multiprocess_left_out{what="families"} 1\n' in done.stdout
    assert done.stderr.count("the metric agentflow_depth, which has another type or mode elsewhere, is left out") == 1
    assert len(list(tmp_path.glob("*.cells"))) == 2 - 1


SHORT_OF_DESCRIPTORS = """
import os, resource, sys
from hagane import _core
from hagane.errors import MetricsDirectoryError
from hagane.observability import get_metrics, push_to_gateway, remote_write, serve_metrics
get_metrics().counter("hits_total").inc()
server = serve_metrics()
exporter = _core.MetricsExporter(get_metrics()._registry)
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
held = []
try:
    while True:
        held.append(os.open("/dev/null", os.O_RDONLY))
except OSError:
    pass
status, _, body = exporter.answer("GET")
assert (status, body.count(b"\\n")) == (503, 1), (status, body)
for show in (get_metrics().to_prometheus, lambda: remote_write("http://127.0.0.1:9", "j"),
             lambda: push_to_gateway("http://127.0.0.1:9", "j")):
    try:
        show()
    except MetricsDirectoryError as error:
        assert error.errno == 24, error
    else:
        raise AssertionError(show)
# One for the connection, and none for the files.
os.close(held.pop())
print(server.url, flush=True)
sys.stdin.readline()
for descriptor in held:
    os.close(descriptor)
print("free", flush=True)
sys.stdin.readline()
"""


def answered(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=20) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_without_descriptors_a_scrape_is_refused_and_not_short(tmp_path):
    run(tmp_path, "from hagane.observability import get_metrics; get_metrics().counter('hits_total').inc(5)")
    with start(tmp_path, SHORT_OF_DESCRIPTORS) as process:
        url = process.stdout.readline().strip()
        status, said = answered(url)
        assert (status, said.count("\n")) == (503, 1)
        assert f"cannot read the metrics of the other processes in {tmp_path}: Too many open files" in said
        process.stdin.write("free them\n")
        process.stdin.flush()
        assert process.stdout.readline() == "free\n"
        status, text = answered(url)
        assert status == 200
        assert "agentflow_hits_total 6\n" in text


REMOVED = """
import asyncio, sys
from hagane.errors import MetricsDirectoryError
from hagane.observability import get_metrics, metrics_app, serve_metrics
get_metrics().counter("hits_total").inc()
sent = []
async def send(message):
    sent.append(message)
app = metrics_app()
with serve_metrics(own_metrics=True) as server:
    print(server.url, flush=True)
    sys.stdin.readline()
    asyncio.run(app({"type": "http", "method": "GET", "headers": []}, None, send))
    print(sent[0]["status"], sent[1]["body"].decode(), end="")
    try:
        get_metrics().to_prometheus()
    except MetricsDirectoryError as error:
        print(error.errno)
"""


@pytest.mark.parametrize("again", [False, True], ids=["removed", "made anew"])
def test_without_its_directory_a_scrape_is_refused_and_not_short(tmp_path, again):
    where = tmp_path / "metrics"
    with start(where, REMOVED) as process:
        url = process.stdout.readline().strip()
        assert answered(url)[0] == 200
        shutil.rmtree(where)
        if again:
            run(where, "from hagane.observability import get_metrics; get_metrics().counter('hits_total').inc()")
        status, said = answered(url)
        assert status == 503
        assert "restart the processes if it was removed" in said
        out, _ = process.communicate("\n", timeout=30)
        assert out == f"503 {said}2\n"


IN_A_RUN = """
import os
from hagane.observability import get_metrics, metrics_tracked
metrics = get_metrics()
def seen():
    running = metrics.gauge("agent_executions_in_progress").get({"agent": "a"})
    return running, metrics.counter("agent_execution_total").get({"agent": "a", "status": "success"})
@metrics_tracked(agent="b")
def later():
    return metrics.gauge("agent_executions_in_progress").get({"agent": "b"})
@metrics_tracked(agent="a")
def run():
    child = os.fork()
    if child:
        os.waitpid(child, 0)
    return child
child = run()
print("parent" if child else "child", *seen(), later(), flush=True)
"""


@pytest.mark.parametrize("shared", [True, False])
def test_a_run_that_a_forked_child_inherits_counts_where_it_began(tmp_path, shared):
    variables = environment(tmp_path)
    if not shared:
        variables.pop("HAGANE_MULTIPROC_DIR")
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", IN_A_RUN]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=True, timeout=60)
    # A child that shares nothing goes on with a copy of the parent's numbers, so there the run ends too.
    child = "child 0.0 0.0 1.0" if shared else "child 0.0 1.0 1.0"
    assert done.stdout.splitlines() == [child, "parent 0.0 1.0 1.0"]
    if shared:
        seen = shown(tmp_path)
        assert seen.value("agent_execution_total", agent="a", status="success") == 1
        assert seen.value("agent_execution_duration_seconds_count", agent="a") == 1
        assert seen.value("agent_execution_total", agent="b", status="success") == 2


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o1777])
def test_a_directory_that_others_may_write_to_is_refused(tmp_path, mode):
    tmp_path.chmod(mode)
    with pytest.raises(MetricsDirectoryError, match="chmod go-w") as refused:
        _core.MetricsRegistry(directory=tmp_path)
    assert str(tmp_path) in str(refused.value)
    assert (refused.value.errno, "Errno None" in str(refused.value)) == (errno.EPERM, False)
    tmp_path.chmod(0o700)
    assert os.listdir(tmp_path) == []


def test_a_directory_to_serve_must_be_named_and_be_there(tmp_path, monkeypatch):
    for name in ("HAGANE_MULTIPROC_DIR", "PROMETHEUS_MULTIPROC_DIR"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "file").touch()
    with pytest.raises(MetricsDirectoryError, match="name it with --dir or in HAGANE_MULTIPROC_DIR"):
        served_directory(None)
    for wrong in ("typo", "file"):
        with pytest.raises(MetricsDirectoryError, match=f"{wrong} is no directory"):
            served_directory(tmp_path / wrong)
    assert served_directory(tmp_path) == str(tmp_path)
    monkeypatch.setenv("HAGANE_MULTIPROC_DIR", "elsewhere")
    assert served_directory(None) == "elsewhere"
