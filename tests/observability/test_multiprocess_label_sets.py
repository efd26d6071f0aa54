"""One label set is one series, and whoever answers says the same, to the programs that read it."""

from __future__ import annotations

import gc
import subprocess
import tempfile
import urllib.request
from collections import Counter
from contextlib import ExitStack

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from metric_scrapes import Scrape
from private_prometheus import eventually, prometheus
from process_helpers import SHOW, run, shown, start
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_text

from hagane import _core
from hagane.errors import MetricError
from hagane.observability import MetricsCollector

COUNT = """
from hagane.observability import get_metrics
get_metrics().counter("x_total", "X.", {names}).inc({amount}, labels={labels})
"""
# Pairs of programs that name one and the same series.
ALIKE = {
    "other order": ("['a', 'b']", {"a": "1", "b": "2"}, "['b', 'a']", {"a": "1", "b": "2"}),
    "empty label": ("['a']", {"a": "1"}, "['a', 'b']", {"a": "1"}),
    "open": ("['a', 'b']", {"b": "2"}, "None", {"b": "2", "c": ""}),
}


def count_alike(directory, case: str) -> dict[str, str]:
    names, labels, other_names, other_labels = ALIKE[case]
    run(directory, COUNT.format(names=names, amount=3, labels=labels))
    run(directory, COUNT.format(names=other_names, amount=5, labels=other_labels))
    return {name: value for name, value in labels.items() if value}


@pytest.mark.needs("prometheus")
@pytest.mark.parametrize("case", ALIKE)
def test_prometheus_gets_the_sum_of_programs_that_write_their_labels_differently(tmp_path, case):
    metrics = tmp_path / "metrics"
    labels = count_alike(metrics, case)
    serve = """
from hagane.observability import serve_metrics
with serve_metrics() as server:
    print(f"{server.host}:{server.port}", flush=True)
    input()
"""
    with start(metrics, serve) as process:
        address = process.stdout.readline().strip()
        job = f"{{job_name: x, static_configs: [{{targets: ['{address}']}}]}}"
        with prometheus(tmp_path, job) as started:
            (sample,) = started.vector("agentflow_x_total")
        process.communicate("\n", timeout=30)
    assert float(sample["value"][1]) == 8
    assert {name: value for name, value in sample["metric"].items() if name in "abc"} == labels


@pytest.mark.needs("pushgateway")
@pytest.mark.parametrize("case", ALIKE)
def test_the_gateway_takes_what_programs_with_labels_in_their_own_order_counted(tmp_path, case, service):
    labels = count_alike(tmp_path, case)
    gateway = service("pushgateway")
    job = f"alike {case}"
    push = f"from hagane.observability import push_to_gateway; push_to_gateway({gateway!r}, {job!r})"
    run(tmp_path, push)
    with urllib.request.urlopen(f"{gateway}/metrics", timeout=20) as answer:
        seen = Scrape(answer.read().decode())
    assert seen.value("agentflow_x_total", job=job, instance="", **labels) == 8


MANY = """
import sys
from hagane.observability import get_metrics
hits = get_metrics().counter("hits_total", "", ["user"])
for number in range(6000):
    hits.labels(f"{0}{{number}}").inc({1})
for line in sys.stdin:
    text = get_metrics().to_prometheus()
    print(len(text.encode()), flush=True)
    print(text, end="", flush=True)
"""


def answer_of(process: subprocess.Popen[str]) -> dict[str, float]:
    process.stdin.write("\n")
    process.stdin.flush()
    length = int(process.stdout.readline())
    text = process.stdout.read(length)
    lines = (
        line for line in text.splitlines() if line.startswith(("agentflow_hits_total{", "hagane_metrics_overflow"))
    )
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


def test_two_processes_with_more_series_than_one_may_have_answer_alike_and_no_counter_falls(tmp_path):
    workers = [start(tmp_path, MANY.format(prefix, amount)) for prefix, amount in (("a", 1), ("b", 100))]
    with ExitStack() as stack:
        for worker in workers:
            stack.enter_context(worker)
        # What one says before the other has begun is not compared.
        answers = eventually(
            lambda: next(iter([seen] for seen in [answer_of(workers[0])] if len(seen) == 12_000), None), "b"
        )
        answers += [answer_of(worker) for worker in (*reversed(workers), *workers)]
        assert all(seen == answers[0] for seen in answers)
        # Its 6000 and 4000 more of another dead one's are all that the totals take.
        run(tmp_path, MANY.format("c", 7).partition("for line")[0])
        last = answers[-1]
        for worker in [*workers, *workers]:
            now = answer_of(worker)
            assert not {name for name, value in last.items() if now.get(name, value) < value}
            last = now
        workers[0].kill()
        workers[0].wait()
        for _ in range(3):
            now = answer_of(workers[1])
            assert not {name for name, value in last.items() if now.get(name, value) < value}
            last = now
        workers[1].stdin.close()
        workers[1].stdout.close()
    hits = {name: value for name, value in last.items() if name.startswith("agentflow")}
    assert sum(hits.values()) == 6000 * 108
    assert len(hits) == 10_001
    assert last['hagane_metrics_overflow_total{metric="agentflow_hits_total"}'] == 8000
    assert (
        Scrape(run(tmp_path, SHOW).stdout).value("agentflow_hits_total", user="_overflow")
        == hits['agentflow_hits_total{user="_overflow"}']
    )


NAMES = ["a", "b", "c"]
declared = st.one_of(
    st.none(), st.permutations(NAMES).flatmap(lambda names: st.integers(0, 3).map(lambda n: names[:n]))
)
labels = st.dictionaries(st.sampled_from(NAMES), st.sampled_from(["", "1", '"', "\\", "\n", "日本"]), max_size=3)
uses = st.tuples(
    st.sampled_from(["counter", "gauge", "histogram"]),
    st.sampled_from(["m", "m_total", "m_created", "n", "n_sum", "n_created", "n_count_total", "n_seconds"]),
    declared,
    labels,
    st.integers(-5, 5),
)
program = st.lists(uses, min_size=1, max_size=6)


def execute(registry: _core.MetricsRegistry, steps) -> None:
    """A program that goes on after whatever is refused."""
    collector = MetricsCollector._on(registry, "")
    for kind, name, names, given_labels, amount in steps:
        try:
            metric = getattr(collector, kind)(name, "", names)
            if kind == "counter":
                metric.inc(amount, given_labels)
            elif kind == "gauge":
                metric.set(amount, given_labels)
            else:
                metric.observe(amount, given_labels)
        except MetricError:
            continue


def assert_no_series_twice(families) -> None:
    """As Prometheus compares them: by name, without empty labels."""
    samples = [sample for family in families for sample in family.samples]
    keys = Counter((sample.name, frozenset(pair for pair in sample.labels.items() if pair[1])) for sample in samples)
    assert [key for key, count in keys.items() if count > 1] == []


@settings(max_examples=25, deadline=None)
@given(dead=st.lists(program, max_size=2), living=st.lists(program, min_size=1, max_size=3), created=st.booleans())
def test_what_several_programs_wrote_is_read_by_both_parsers_with_no_series_twice(dead, living, created):
    with tempfile.TemporaryDirectory() as directory:
        for steps in dead:
            execute(_core.MetricsRegistry(directory=directory), steps)
        gc.collect()
        registries = [_core.MetricsRegistry(directory=directory) for _ in living]
        for registry, steps in zip(registries, living, strict=True):
            execute(registry, steps)
        alone = _core.MetricsRegistry()
        execute(alone, living[0])
        for registry in [*registries, *registries, alone]:
            exporter = _core.MetricsExporter(registry, created=created, process=False, own_metrics=False)
            page = exporter.answer("GET")[2].decode()
            # The parser gives the samples of a counter `m` the name `m_total`, so here it only shows that it can read.
            assert list(read_text(page)) or not page
            written = Counter(line.rsplit(" ", 1)[0] for line in page.splitlines() if not line.startswith("#"))
            assert [series for series, count in written.items() if count > 1] == []
            answer = exporter.answer("GET", accept="application/openmetrics-text")[2].decode()
            assert_no_series_twice(read_openmetrics(answer))


LONG = """
import logging
logging.basicConfig(format="%(message)s")
from hagane import _core
from hagane.observability import get_metrics
hits = get_metrics().counter("hits_total", "h" * 70_000, ["k"])
for end in "ab":
    hits.labels("x" * 70_000 + end).inc()
    hits.inc(labels={"k": "x" * 70_000 + end})
many = get_metrics().counter("many_total")
many.inc(labels={f"label{number}": '"' * 1000 for number in range(40)})
_core._flush_logs()
"""


def test_long_values_and_descriptions_are_cut_and_what_still_fits_nowhere_is_said(tmp_path):
    said = run(tmp_path, LONG).stderr
    assert said.count("a value of label k has 70001 bytes; values are cut to 1024") == 1
    assert said.count("the description of metric agentflow_hits_total has 70000 bytes and is cut to 8192") == 1
    assert said.count("are more than fit in a file") == 1
    seen = shown(tmp_path)
    assert seen.value("agentflow_hits_total", k="x" * 1024) == 4


def test_whatever_goes_wrong_again_is_said_again(tmp_path):
    where = tmp_path / "metrics"
    program = """
import logging, os
logging.basicConfig(format="%(message)s")
from hagane import _core
from hagane.errors import MetricsDirectoryError
from hagane.observability import get_metrics
def show():
    try:
        get_metrics().to_prometheus()
    except MetricsDirectoryError:
        pass
here = os.environ["HAGANE_MULTIPROC_DIR"]
for _ in range(2):
    os.rename(here, here + "-away")
    show(), show()
    os.rename(here + "-away", here)
    show()
_core._flush_logs()
"""
    assert run(where, program).stderr.count("the other processes' files cannot be read") == 2
