"""The exposition, read back by an independent parser."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from metric_scrapes import Scrape

from hagane import _core
from hagane.errors import MetricError, MetricsServerError
from hagane.observability import MetricsCollector, remote_write, serve_metrics

HARD_VALUES = [
    '"',
    "\\",
    "\n",
    '\\n"',
    "日本語",
    "",
    " ",
    '{a="b"} 1\n# TYPE x counter',
    "\r",
    "\\\\",
    "é\u0301",
    "a,b=c",
]


@pytest.mark.parametrize("value", HARD_VALUES)
def test_a_hard_label_value_comes_back_as_it_was(collector, scrape, value):
    collector.counter("hits_total", "", ["path"]).inc(3, {"path": value})
    assert scrape(collector).value("hits_total", path=value) == 3


# The parser reads line by line as Python does, where a lone carriage return and the like would end a line: so does
# no scraper. Text without them is what can be compared.
line_safe = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Zl", "Zp")))
with_escapes = st.lists(st.one_of(line_safe, st.sampled_from(["\n", '"', "\\"]))).map("".join)


@given(values=st.lists(with_escapes, unique=True, max_size=8), description=with_escapes)
def test_fuzzed_label_values_and_help_come_back_and_stay_apart(values, description):
    collector = MetricsCollector(prefix="")
    counter = collector.counter("hits_total", description, ["path", "other"])
    for amount, value in enumerate(values):
        counter.labels(value, "x").inc(amount)
    seen = Scrape(collector.to_prometheus())
    assert [seen.value("hits_total", path=value, other="x") for value in values] == list(range(len(values)))
    assert len(seen.samples) == len(values)


@given(value=st.floats())
def test_a_gauge_shows_any_float_exactly(value):
    collector = MetricsCollector(prefix="")
    collector.gauge("depth").set(value)
    shown = Scrape(collector.to_prometheus()).value("depth")
    assert math.isnan(shown) if math.isnan(value) else shown == value


def test_a_lone_surrogate_becomes_a_replacement_character(collector, scrape):
    collector.counter("hits_total", "", ["path"]).inc(1, {"path": "a\ud800"})
    (sample,) = scrape(collector).samples
    assert "\ufffd" in sample.labels["path"]


def test_a_lone_surrogate_is_replaced_wherever_text_is_free_and_refused_in_names(collector, scrape):
    for make in (collector.counter, collector.gauge, collector.histogram):
        make(make.__name__, "half \ud800 a pair")
    metric = collector.counter("hits_total", "", ["path"])
    metric.labels("\udc80").inc(exemplar={"trace_id": "\ud800"})
    metric.labels(path="\udc80").inc()
    metric.inc(1, {"path": "\udc80"}, {"trace_id": "\ud800"})
    text = collector.to_prometheus()
    # One for each of the bytes that would be no UTF-8.
    assert text.count("half \ufffd\ufffd\ufffd a pair") == 3
    assert scrape(collector).value("hits_total", path="\ufffd\ufffd\ufffd") == 3
    assert (metric.get({"path": "\ud800"}), metric.description) == (3, "")
    for refused in (
        lambda: collector.counter("a\ud800"),
        lambda: collector.histogram("a", "", ["b\ud800"]),
        lambda: collector.gauge("a", multiprocess_mode="\ud800"),
        lambda: metric.inc(exemplar={"b\ud800": ""}),
        lambda: metric.inc(labels={"b\ud800": ""}),
        lambda: metric.labels(**{"b\ud800": ""}),
        lambda: serve_metrics(bearer_token="\ud800"),
        lambda: remote_write("http://127.0.0.1:9", "job", {"b\ud800": ""}, collector=collector),
    ):
        with pytest.raises(MetricError):
            refused()
    with pytest.raises(MetricsServerError):
        serve_metrics(host="\ud800")


def test_a_label_called_like_the_overflow_makes_no_series_twice(scrape):
    registry = _core.MetricsRegistry(series_limit=2)
    closed, open_ = registry.counter("hits_total", "", ["path"]), registry.counter("open_total")
    for value in ("_overflow", "a", "b", "c", "_overflow"):
        closed.labels(value).inc()
        open_.inc(labels={"overflow": value})
    seen = scrape(MetricsCollector._on(registry, ""))
    assert seen.value("hits_total", path="_overflow") == 4
    assert seen.value("open_total", overflow="_overflow") == 4


@pytest.mark.parametrize(
    "name", ["process_cpu_seconds_total", "process_threads", "hagane_exporter_series", "hagane_multiprocess_files"]
)
def test_names_that_hagane_writes_itself_cannot_be_registered(collector, name):
    for make in (collector.counter, collector.gauge, collector.histogram):
        with pytest.raises(MetricError, match=f"would write samples named {name}.* itself already does; choose"):
            make(name)
    collector.gauge("process_documents").set(1)


def test_values_that_are_no_text_are_written_as_str_says(collector, scrape):
    collector.counter("hits_total", "", ["code"]).labels(404).inc()
    collector.counter("hits_total").inc(labels={"code": None})
    assert scrape(collector).value("hits_total", code="404") == 1
    assert scrape(collector).value("hits_total", code="None") == 1


def test_a_histogram_is_read_back_with_its_buckets(collector, scrape):
    histogram = collector.histogram("seconds", "", ["agent"], buckets=(0.5, 1, 30))
    for value in (0.5, 0.7, 29, 31):
        histogram.observe(value, {"agent": "a"})
    seen = scrape(collector)
    buckets = [seen.value("seconds_bucket", agent="a", le=bound) for bound in ("0.5", "1.0", "30.0", "+Inf")]
    assert buckets == [1, 2, 3, 4]
    assert seen.value("seconds_sum", agent="a") == 61.2
    assert seen.value("seconds_count", agent="a") == 4


def test_beyond_the_limit_series_share_one_are_counted_and_said_once(scrape, caplog):
    _core._flush_logs()
    registry = _core.MetricsRegistry(series_limit=2)
    family = registry.counter("hits_total", "", ["path"])
    for path in ("a", "b", "c", "d", "a"):
        family.labels(path).inc()
    collector = MetricsCollector._on(registry, "")
    seen = scrape(collector)
    assert [seen.value("hits_total", path=path) for path in ("a", "b", "c", "_overflow")] == [2, 1, None, 2]
    assert seen.value("hagane_metrics_overflow_total", metric="hits_total") == 2
    _core._flush_logs()
    # Other tests' registries may speak at this moment too.
    said = [record for record in caplog.records if "metric hits_total has" in record.getMessage()]
    assert [(record.name, record.levelname) for record in said] == [("hagane.metrics", "WARNING")]
    assert "metric hits_total has 2 series" in said[0].getMessage()
