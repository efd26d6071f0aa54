"""AgentFlow's calls and the document's, side by side."""

from __future__ import annotations

import pytest

from hagane import _core
from hagane.errors import MetricError
from hagane.observability import Counter, Gauge, Histogram, MetricsCollector, MetricValue, get_metrics
from hagane.observability.definitions import DEFINITIONS


def test_the_documents_spelling_and_agentflows_are_the_same_series(collector):
    collector.counter("calls_total", labels={"agent": "a"}).inc()
    collector.counter("calls_total").inc(2, labels={"agent": "a"})
    assert collector.counter("calls_total").get({"agent": "a"}) == 3
    collector.gauge("depth", labels={"queue": "q"}).set(4)
    assert collector.gauge("depth").get({"queue": "q"}) == 4
    collector.histogram("seconds", labels={"agent": "a"}).observe(0.5)
    assert collector.histogram("seconds").get_stats({"agent": "a"})["count"] == 1


def test_labels_gives_a_handle_by_position_or_by_name(collector):
    counter = collector.counter("calls_total", "", ["provider", "model"])
    counter.labels("p", "m").inc()
    counter.labels(model="m", provider="p").inc(2)
    assert counter.labels("p", "m").get() == 3
    for values, by_name in [(("p",), {}), ((), {"model": "m"}), (("p", "m"), {"model": "m"}), ((), {"other": 1})]:
        with pytest.raises(MetricError):
            counter.labels(*values, **by_name)


def test_a_declared_label_that_is_left_out_is_empty(collector, scrape):
    collector.counter("calls_total", "", ["provider", "model"]).inc(labels={"model": "m"})
    assert scrape(collector).value("calls_total", provider="", model="m") == 1


def test_the_prefix_goes_before_users_metrics_and_not_before_standard_ones(scrape):
    collector = MetricsCollector()
    collector.counter("mine_total").inc()
    collector.counter("agent_execution_total", labels={"agent": "a", "status": "success"}).inc()
    collector.histogram("agent_execution_duration_seconds", labels={"agent": "a"}).observe(29.0)
    seen = scrape(collector)
    assert seen.value("agentflow_mine_total") == 1
    assert seen.value("agent_execution_total", agent="a", status="success") == 1
    assert seen.value("agent_execution_duration_seconds_bucket", agent="a", le="30.0") == 1
    with pytest.raises(MetricError, match=r"has the labels \[agent, status\], not \[model\]"):
        collector.counter("agent_execution_total", labels={"model": "m"})


def test_the_seven_metrics_of_the_document_have_its_names_and_labels():
    expected = {
        "agent_execution_total": ("counter", ("agent", "status")),
        "agent_execution_duration_seconds": ("histogram", ("agent",)),
        "llm_request_total": ("counter", ("provider", "model", "status")),
        "llm_latency_seconds": ("histogram", ("provider", "model")),
        "llm_tokens_total": ("counter", ("provider", "model", "type")),
        "pipeline_stage_duration_seconds": ("histogram", ("pipeline", "stage")),
        "hitl_approval_total": ("counter", ("action", "status")),
    }
    families = {family.name: family for family in get_metrics()._registry.families()}
    kinds = {"counter": _core.CounterFamily, "histogram": _core.HistogramFamily}
    for name, (kind, labels) in expected.items():
        assert isinstance(families[name], kinds[kind])
        assert families[name].label_names == labels
        assert families[name].description == DEFINITIONS[name].description


def test_asking_again_gives_the_same_metric(collector):
    assert collector.counter("calls_total", "Calls.", ["a"]) is collector.counter("calls_total")
    assert collector.counter("calls_total").description == "Calls."
    assert collector.gauge("depth") is collector.gauge("depth")
    assert collector.histogram("seconds", buckets=(1, 2)) is collector.histogram("seconds")


def test_get_stats_keeps_its_shape():
    histogram = Histogram("seconds", buckets=(1, 5))
    assert histogram.get_stats() == {"count": 0, "sum": 0, "avg": 0, "min": 0, "max": 0, "buckets": {}}
    for value in (0.5, 2, 9.5):
        histogram.observe(value)
    assert histogram.get_stats() == {
        "count": 3,
        "sum": 12.0,
        "avg": 4.0,
        "min": 0.5,
        "max": 9.5,
        "buckets": {1: 1, 5: 2},
    }


def test_the_default_buckets_are_agentflows():
    assert _core.MetricsRegistry().histogram("seconds").buckets == Histogram.DEFAULT_BUCKETS


def test_collect_keeps_its_shape_and_shows_labelled_series(collector):
    collector.counter("plain_total", "Plain.").inc(2)
    calls = collector.counter("calls_total", "", ["agent"])
    calls.inc(1, {"agent": "a"})
    calls.inc(2, {"agent": "b"})
    seconds = collector.histogram("seconds", "", ["agent"], (1, 5))
    seconds.observe(0.5, {"agent": "a"})
    seconds.observe(3, {"agent": "b"})
    collector.gauge("depth").set(7)
    found = collector.collect()
    assert set(found) == {"counters", "gauges", "histograms"}
    plain = found["counters"]["plain_total"]
    assert (plain["type"], plain["description"], plain["value"]) == ("counter", "Plain.", 2)
    series = found["counters"]["calls_total"]["series"]
    assert [(type(value), value.value, value.labels) for value in series] == [
        (MetricValue, 1, {"agent": "a"}),
        (MetricValue, 2, {"agent": "b"}),
    ]
    assert found["gauges"]["depth"]["value"] == 7
    stats = found["histograms"]["seconds"]["stats"]
    assert stats == {"count": 2, "sum": 3.5, "avg": 1.75, "min": 0.5, "max": 3, "buckets": {1: 1, 5: 2}}


def test_a_metric_made_by_itself_works_and_is_not_exported(scrape):
    counter, gauge = Counter("alone_total", "Alone."), Gauge("alone")
    counter.inc(5)
    gauge.set(3)
    gauge.dec()
    assert (counter.name, counter.description, counter.get(), gauge.get()) == ("alone_total", "Alone.", 5, 2)
    assert "alone_total" not in scrape().names()


def test_time_observes_a_block_that_raises_and_checks_its_labels_first():
    histogram = Histogram("seconds", "", ["agent"])
    with pytest.raises(KeyError), histogram.time({"agent": "a"}):
        raise KeyError
    assert histogram.get_stats({"agent": "a"})["count"] == 1
    ran = []
    with pytest.raises(MetricError), histogram.time({"agnet": "a"}):
        ran.append(1)
    assert not ran


def test_what_is_no_number_or_no_mapping_is_a_type_error():
    with pytest.raises(TypeError):
        Counter("a").inc("1")
    with pytest.raises(TypeError):
        Counter("a").inc(labels=["b"])
    with pytest.raises(TypeError):
        Counter("a").inc(labels={1: "b"})
