"""OpenMetrics 1.0, read back by an independent parser that checks what the specification demands."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from hagane import _core
from hagane.errors import MetricError
from hagane.observability import MetricsCollector

ACCEPT = "application/openmetrics-text; version=1.0.0"
HARD_VALUES = ['"', "\\", "\n", '\\n"', "日本語", "", " ", '{a="b"} 1\n# EOF', "\\\\", ' # {x="y"} 1']

line_safe = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Zl", "Zp")))
# The parser loses its way at an escape within an exemplar's labels; test_protobuf_format.py has those.
in_exemplars = st.text(st.characters(codec="utf-8", categories=("L", "N")), max_size=100)
with_escapes = st.lists(st.one_of(line_safe, st.sampled_from(["\n", '"', "\\"]))).map("".join)


def openmetrics(collector, **options) -> str:
    exporter = _core.MetricsExporter(collector._registry, process=False, own_metrics=False, **options)
    status, headers, body = exporter.answer("GET", accept=ACCEPT)
    assert (status, dict(headers)["content-type"]) == (200, f"{ACCEPT}; charset=utf-8")
    return body.decode()


def read(collector, **options):
    """Every family by name, as the parser sees them."""
    text = openmetrics(collector, **options)
    assert text.endswith("# EOF\n")
    return {family.name: family for family in text_string_to_metric_families(text)}


def sample(family, name, **labels):
    # An empty label is one that is not there.
    labels = {label: value for label, value in labels.items() if value}
    (found,) = [sample for sample in family.samples if (sample.name, sample.labels) == (name, labels)]
    return found


@pytest.mark.parametrize("value", HARD_VALUES)
def test_a_hard_label_value_comes_back_as_openmetrics(collector, value):
    collector.counter("hits_total", value, ["path"]).inc(3, {"path": value})
    family = read(collector)["hits"]
    assert sample(family, "hits_total", path=value).value == 3
    # The parser takes blanks at either end of HELP away.
    assert (family.type, family.documentation) == ("counter", value.strip(" "))


@given(
    values=st.dictionaries(with_escapes, in_exemplars, max_size=8),
    description=with_escapes,
)
def test_fuzzed_labels_help_and_exemplars_come_back_as_openmetrics(values, description):
    collector = MetricsCollector(prefix="")
    counter = collector.counter("hits_total", description, ["path"])
    for amount, (value, exemplar) in enumerate(values.items()):
        counter.inc(amount, {"path": value}, exemplar={"id": exemplar})
    family = read(collector)["hits"]
    assert len(family.samples) == len(values)
    for amount, (value, exemplar) in enumerate(values.items()):
        found = sample(family, "hits_total", path=value)
        assert (found.value, found.exemplar.labels) == (amount, {"id": exemplar})


@given(value=st.floats())
def test_a_gauge_shows_any_float_exactly_as_openmetrics(value):
    collector = MetricsCollector(prefix="")
    collector.gauge("depth").set(value)
    shown = sample(read(collector)["depth"], "depth").value
    assert math.isnan(shown) if math.isnan(value) else shown == value


def test_units_and_types_are_declared(collector):
    collector.histogram("wait_seconds", "", [], buckets=(1, 2)).observe(1.5)
    collector.gauge("size_bytes", "", []).set(3)
    collector.counter("used_seconds_total", "", []).inc(2)
    collector.counter("odd", "", []).inc(4)
    families = read(collector)
    assert {name: (family.type, family.unit) for name, family in families.items()} == {
        "wait_seconds": ("histogram", "seconds"),
        "size_bytes": ("gauge", "bytes"),
        "used_seconds": ("counter", "seconds"),
        "odd": ("unknown", ""),
    }
    # A counter keeps its samples' name in every format, also without the ending that OpenMetrics wants.
    assert sample(families["odd"], "odd").value == 4
    assert sample(families["wait_seconds"], "wait_seconds_bucket", le="2.0").value == 1


def test_created_samples_are_there_when_they_are_asked_for(collector):
    collector.counter("hits_total", "", []).inc()
    collector.histogram("seconds", "", []).observe(1)
    assert "_created" not in openmetrics(collector)
    families = read(collector, created=True)
    assert sample(families["hits"], "hits_created").value > 1.6e9
    assert sample(families["seconds"], "seconds_created").value > 1.6e9


def test_a_histogram_with_bounds_below_zero_has_no_sum_in_openmetrics(collector):
    collector.histogram("change", "", [], buckets=(-1, 0, 1)).observe(-3)
    assert {sample.name for sample in read(collector)["change"].samples} == {"change_bucket"}


def test_a_histogram_that_saw_values_below_zero_has_no_sum_in_openmetrics(collector, scrape):
    change = collector.histogram("change", "", [], buckets=(1, 10))
    change.observe(5)
    assert sample(read(collector)["change"], "change_sum").value == 5
    change.observe(-1)
    assert {sample.name for sample in read(collector)["change"].samples} == {"change_bucket"}
    assert scrape(collector).value("change_sum") == 4


@pytest.mark.parametrize("created", [False, True])
def test_names_that_would_clash_in_openmetrics_do_not(collector, created):
    collector.counter("a_total", "", []).inc(1)
    collector.gauge("a", "", []).set(2)
    collector.histogram("times", "", []).observe(1)
    collector.counter("times_count_total", "", []).inc(3)
    families = read(collector, created=created)
    assert (families["a"].type, families["a_total"].type) == ("gauge", "unknown")
    assert (families["times"].type, families["times_count_total"].type) == ("histogram", "unknown")


def test_names_that_openmetrics_needs_for_itself_are_refused(collector):
    collector.counter("hits_total")
    collector.histogram("seconds")
    for name in ("hits_created", "seconds_created"):
        with pytest.raises(MetricError, match=f"would write samples named {name}, which"):
            collector.gauge(name)
    with pytest.raises(MetricError, match='a counter cannot be called "_total"'):
        collector.counter("_total")


def test_what_is_no_description_and_no_bucket_is_said_with_the_remedy(collector):
    with pytest.raises(MetricError, match=r"buckets must be numbers, upper bounds such as .* not 'abc'"):
        collector.histogram("seconds", buckets="abc")
    for register in (collector.counter, collector.gauge, collector.histogram):
        with pytest.raises(MetricError, match=r"description must be text, not \['x'\]; label_names goes third"):
            register("b", ["x"])


def test_the_latest_exemplar_of_a_bucket_stands_beside_it(collector):
    histogram = collector.histogram("seconds", "", ["agent"], buckets=(1, 10))
    for value, trace in ((0.5, "a"), (0.7, "b"), (99, "c")):
        histogram.observe(value, {"agent": "x"}, exemplar={"trace_id": trace})
    histogram.labels("x").observe(0.6)
    family = read(collector)["seconds"]
    exemplars = [sample(family, "seconds_bucket", agent="x", le=le).exemplar for le in ("1.0", "10.0", "+Inf")]
    assert [exemplar and (exemplar.labels["trace_id"], exemplar.value) for exemplar in exemplars] == [
        ("b", 0.7),
        None,
        ("c", 99),
    ]
    assert float(exemplars[0].timestamp) > 1.6e9


def test_a_handle_takes_an_exemplar_too(collector):
    collector.counter("hits_total", "", ["a"]).labels("1").inc(2, exemplar={"trace_id": "x"})
    collector.histogram("seconds", "", []).labels().observe(2, exemplar={"trace_id": "y"})
    families = read(collector)
    assert sample(families["hits"], "hits_total", a="1").exemplar.labels == {"trace_id": "x"}
    assert "# {" not in collector.to_prometheus()


@pytest.mark.parametrize(
    ("exemplar", "said"),
    [({"id": "x" * 127}, "have 129 characters"), ({"a-b": "x"}, "must match"), ({"__x": "x"}, "Prometheus' own")],
)
def test_an_exemplar_that_is_not_allowed_is_refused_and_nothing_is_counted(collector, exemplar, said):
    counter, histogram = collector.counter("hits_total"), collector.histogram("seconds")
    with pytest.raises(MetricError, match=said):
        counter.inc(1, exemplar=exemplar)
    with pytest.raises(MetricError, match=said):
        histogram.observe(1, exemplar=exemplar)
    assert (counter.get(), histogram.get_stats()["count"]) == (0, 0)


def test_an_exemplar_has_128_characters_and_not_bytes(collector):
    collector.counter("hits_total", "", []).inc(1, exemplar={"id": "鋼" * 126})
    assert len(sample(read(collector)["hits"], "hits_total").exemplar.labels["id"]) == 126
