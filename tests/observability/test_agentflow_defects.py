"""The faults of AgentFlow's metrics, by their ids, that must not come back."""

from __future__ import annotations

import functools
import subprocess
import sys
import threading
import time

import pytest

from hagane import _core
from hagane.errors import MetricError
from hagane.observability import Counter, Histogram, MetricsCollector, get_metrics, setup_metrics
from hagane.observability.metrics import Gauge


def test_m1_every_series_of_a_labelled_counter_is_exported(collector, scrape):
    counter = collector.counter("runs_total", "", ["agent"])
    counter.inc(2, {"agent": "a"})
    counter.inc(labels={"agent": "b"})
    seen = scrape(collector)
    assert (seen.value("runs_total", agent="a"), seen.value("runs_total", agent="b")) == (2, 1)
    assert seen.value("runs_total") is None


def test_m2_every_series_of_a_labelled_histogram_is_exported(collector, scrape):
    collector.histogram("seconds", "", ["agent"], (1, 2)).observe(1.5, {"agent": "a"})
    seen = scrape(collector)
    assert seen.value("seconds_bucket", agent="a", le="2.0") == 1
    assert seen.value("seconds_count", agent="a") == 1


def test_m4_labels_without_label_names_are_series_of_their_own(collector, scrape):
    counter = collector.counter("requests_total")
    counter.inc()
    counter.inc(labels={"method": "POST"})
    counter.inc(3, labels={"method": "GET"})
    seen = scrape(collector)
    assert seen.value("requests_total") == 1
    assert (seen.value("requests_total", method="POST"), seen.value("requests_total", method="GET")) == (1, 3)


def test_m5_an_unknown_label_is_refused(collector):
    counter = collector.counter("runs_total", "", ["agent"])
    with pytest.raises(MetricError, match=r"runs_total has the labels \[agent\], not \[agnet\]"):
        counter.inc(labels={"agnet": "a"})
    assert collector.collect()["counters"]["runs_total"]["series"] == []


def test_m6_a_second_registration_with_other_labels_is_refused(collector):
    collector.counter("runs_total", "", ["agent"])
    with pytest.raises(MetricError, match=r"already registered with the labels \[agent\], not \[model\]"):
        collector.counter("runs_total", "", ["model"])
    collector.histogram("seconds", buckets=(1, 2))
    with pytest.raises(MetricError, match="already registered with the buckets"):
        collector.histogram("seconds", buckets=(1, 3))


def test_m7_one_name_is_one_type(collector):
    collector.counter("depth")
    with pytest.raises(MetricError, match="already registered as a counter, so it cannot be a gauge"):
        collector.gauge("depth")
    collector.histogram("seconds")
    with pytest.raises(MetricError, match="would write samples named seconds_count, which seconds already does"):
        collector.counter("seconds_count")


def test_m8_a_newline_in_help_injects_no_sample(collector, scrape):
    collector.counter("runs_total", "Runs.\nother_total 5").inc()
    seen = scrape(collector)
    assert seen.names() == {"runs_total"}
    assert seen.families[0].documentation == "Runs.\nother_total 5"


def test_m9_the_text_ends_its_last_line_and_the_empty_text_is_empty(collector):
    assert collector.to_prometheus() == ""
    collector.counter("runs_total")
    assert collector.to_prometheus().endswith("runs_total 0\n")


@pytest.mark.parametrize("name", ["", "9lives", "a-b", "a.b", "a b", "名前", "a\nb"])
def test_m10_an_invalid_name_is_a_value_error_at_creation(name):
    for make in (Counter, Gauge, Histogram):
        with pytest.raises(ValueError, match=r"metric name .* is not allowed"):
            make(name)


@pytest.mark.parametrize("label", ["", "9a", "a:b", "__a", "a-b"])
def test_m10_an_invalid_label_name_is_refused(label):
    with pytest.raises(MetricError, match=r"label name .* is not allowed"):
        Counter("runs_total", "", [label])
    with pytest.raises(MetricError, match=r"label name .* is not allowed"):
        Counter("runs_total").inc(labels={label: "x"})
    with pytest.raises(MetricError, match="it is given twice"):
        Counter("runs_total", "", ["a", "a"])
    with pytest.raises(MetricError, match="a histogram writes its buckets under it"):
        Histogram("seconds", "", ["le"])


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_m11_nothing_that_would_poison_a_total_is_added(bad):
    counter, gauge, histogram = Counter("a"), Gauge("b"), Histogram("c")
    for write in (counter.inc, gauge.inc, gauge.dec, histogram.observe, counter.labels().inc, gauge.labels().inc):
        with pytest.raises(MetricError, match="pass a finite number"):
            write(bad)
    with pytest.raises(MetricError, match="a counter can only go up"):
        counter.inc(-1)
    assert (counter.get(), gauge.get(), histogram.get_stats()["count"]) == (0, 0, 0)


def test_m11_a_refused_value_leaves_no_series_behind(collector, scrape):
    labels = {"agent": "a"}
    for metric in (collector.counter("a", "", ["agent"]), collector.gauge("b", "", ["agent"])):
        with pytest.raises(MetricError):
            metric.inc(float("nan"), labels)
    with pytest.raises(MetricError):
        collector.histogram("c", "", ["agent"]).observe(float("nan"), labels)
    assert scrape(collector).samples == []


def test_m13_reading_creates_no_series(collector, scrape):
    assert collector.counter("runs_total", "", ["agent"]).get({"agent": "a"}) == 0
    assert collector.histogram("seconds", "", ["agent"]).get_stats({"agent": "a"})["count"] == 0
    assert scrape(collector).samples == []


def test_m15_unsorted_buckets_are_sorted_and_cumulative(collector, scrape):
    histogram = collector.histogram("seconds", buckets=(10, 1, 5, 1, float("inf")))
    for value in (0.5, 3, 7, 20):
        histogram.observe(value)
    seen = scrape(collector)
    assert [sample.value for sample in seen.samples if sample.name == "seconds_bucket"] == [1, 2, 3, 4]
    with pytest.raises(MetricError, match="buckets need at least one finite upper bound"):
        Histogram("other", buckets=(float("nan"),))


def test_m20_setup_metrics_keeps_live_instruments(scrape):
    before = get_metrics()
    try:
        live = before.counter("m20_live_total")
        collector = setup_metrics("m20")
        assert get_metrics() is collector
        live.inc()
        collector.counter("later_total").inc(2)
        seen = scrape()
        assert (seen.value("agentflow_m20_live_total"), seen.value("m20_later_total")) == (1, 2)
    finally:
        setup_metrics()


@pytest.mark.parametrize("prefix", ["a-b", "9a", "a b", "\u00e9"])
def test_a_prefix_that_no_name_may_begin_with_is_refused_when_it_is_given(prefix):
    before = get_metrics()
    for make in (setup_metrics, MetricsCollector):
        with pytest.raises(MetricError, match=r"prefix .* is not allowed"):
            make(prefix)
    assert get_metrics() is before


def test_m22_threads_that_import_at_once_share_one_registry():
    program = """
import threading
barrier, seen = threading.Barrier(8), []
def get():
    barrier.wait()
    from hagane.observability import get_metrics, standard
    get_metrics().counter("m22_total").inc()
    seen.append(get_metrics())
threads = [threading.Thread(target=get) for _ in range(8)]
[thread.start() for thread in threads], [thread.join() for thread in threads]
print(len(set(map(id, seen))), seen[0].counter("m22_total").get())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == ["1", "8.0"]


def test_m23_a_clock_that_is_set_back_gives_no_negative_duration(monkeypatch):
    histogram = Histogram("seconds")
    with histogram.time():
        monkeypatch.setattr(time, "time", lambda: 0.0)
    assert histogram.get_stats()["min"] >= 0


def test_eight_threads_lose_no_increment():
    collector = MetricsCollector(prefix="")
    counter = collector.counter("runs_total", "", ["thread"])

    def run() -> None:
        for step in range(5_000):
            counter.inc(labels={"thread": str(step % 3)})

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert collector.collect()["counters"]["runs_total"]["value"] == 40_000


async def test_document_the_decorator_as_it_stands_there_counts_a_successful_and_a_failing_agent(scrape):
    def metrics_tracked(func):
        """The document's section 3.4 B, line for line, over this package's get_metrics."""

        @functools.wraps(func)
        async def wrapper(self, *args, **kwargs):
            metrics = get_metrics()
            agent_name = getattr(self, "name", self.__class__.__name__)
            start_time = time.time()
            try:
                result = await func(self, *args, **kwargs)
                metrics.counter("agent_execution_total", labels={"agent": agent_name, "status": "success"}).inc()
                return result
            except Exception:
                metrics.counter("agent_execution_total", labels={"agent": agent_name, "status": "error"}).inc()
                raise
            finally:
                duration = time.time() - start_time
                metrics.histogram("agent_execution_duration_seconds", labels={"agent": agent_name}).observe(duration)

        return wrapper

    class Agent:
        name = "of-the-document"

        @metrics_tracked
        async def run(self, fail):
            if fail:
                raise KeyError("the agent's own")
            return "result"

    assert await Agent().run(fail=False) == "result"
    with pytest.raises(KeyError, match="the agent's own"):
        await Agent().run(fail=True)
    seen = scrape()
    for status in ("success", "error"):
        assert seen.value("agent_execution_total", agent="of-the-document", status=status) == 1
    assert seen.value("agent_execution_duration_seconds_count", agent="of-the-document") == 2


def test_a_handle_is_the_series_of_its_values_whatever_they_are_equal_to(collector, scrape):
    counter = collector.counter("hits_total", "", ["code"])
    for value in ("1", 1, True, 1.0, "True"):
        counter.labels(value).inc()
        counter.labels(code=value).inc()
        counter.inc(labels={"code": value})
    seen = scrape(collector)
    assert [seen.value("hits_total", code=code) for code in ("1", "True", "1.0")] == [6, 6, 3]


def test_beyond_the_limit_no_handles_are_kept():
    registry = _core.MetricsRegistry(series_limit=10)
    family = registry.counter("hits_total", "", ["path"])
    assert family.labels("0") is family.labels("0")
    for number in range(50):
        family.labels(str(number)).inc()
    assert family.labels("5") is family.labels("5")
    assert family.labels("49") is not family.labels("49")
    assert {labels["path"]: value for labels, value in family.series()}["_overflow"] == 40
