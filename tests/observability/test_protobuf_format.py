"""Protobuf, decoded by google.protobuf."""

from __future__ import annotations

import math

import metric_messages
from hypothesis import given
from hypothesis import strategies as st

from hagane import _core
from hagane.observability import MetricsCollector

ACCEPT = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"


def decoded(collector):
    exporter = _core.MetricsExporter(collector._registry, process=False, own_metrics=False)
    status, headers, body = exporter.answer("GET", accept=ACCEPT)
    assert (status, dict(headers)["content-type"].replace(" ", "")) == (200, ACCEPT)
    return metric_messages.families(body)


@given(
    values=st.lists(
        st.tuples(st.text(st.characters(codec="utf-8")), st.floats()), max_size=8, unique_by=lambda v: v[0]
    ),
    description=st.text(st.characters(codec="utf-8")),
)
def test_fuzzed_labels_help_and_values_come_back_from_protobuf(values, description):
    collector = MetricsCollector(prefix="")
    gauge = collector.gauge("depth", description, ["path"])
    for path, value in values:
        gauge.set(value, {"path": path})
    family = decoded(collector)["depth"]
    assert (family.help, family.type) == (description, 1)
    seen = [(metric_messages.labels(metric).get("path", ""), metric.gauge.value) for metric in family.metric]
    assert [path for path, _ in seen] == [path for path, _ in values]
    for (_, shown), (_, value) in zip(seen, values, strict=True):
        assert math.isnan(shown) if math.isnan(value) else shown == value


def test_counters_and_classic_histograms_come_back_with_their_exemplars(collector):
    collector.counter("hits_total", "", ["a"]).inc(2, {"a": "1"}, exemplar={"trace_id": "x"})
    histogram = collector.histogram("seconds", "", [], buckets=(1, 2))
    for value in (0.5, 1.5, 7):
        histogram.observe(value, exemplar={"trace_id": str(value)})
    families = decoded(collector)
    (counter,) = families["hits_total"].metric
    assert (families["hits_total"].type, counter.counter.value) == (0, 2)
    assert metric_messages.labels(counter.counter.exemplar) == {"trace_id": "x"}
    assert counter.counter.created_timestamp.seconds > 1.6e9
    (seen,) = (metric.histogram for metric in families["seconds"].metric)
    assert (families["seconds"].type, seen.sample_count, seen.sample_sum) == (4, 3, 9)
    assert [(bucket.upper_bound, bucket.cumulative_count) for bucket in seen.bucket] == [(1, 1), (2, 2), (math.inf, 3)]
    assert [bucket.exemplar.value for bucket in seen.bucket] == [0.5, 1.5, 7]
    # No schema, no threshold, no span: not native unless it was asked for.
    assert (seen.zero_threshold, list(seen.positive_span)) == (0, [])


@given(st.text(st.characters(codec="utf-8"), max_size=120))
def test_any_exemplar_comes_back_from_protobuf(value):
    collector = MetricsCollector(prefix="")
    collector.counter("hits_total", "", []).inc(2, exemplar={"trace_id": value})
    (counter,) = decoded(collector)["hits_total"].metric
    assert metric_messages.labels(counter.counter.exemplar) == {"trace_id": value}


def buckets(spans, deltas):
    """Index and count of each bucket, as the client_model defines spans and deltas."""
    found, index, count, deltas = [], 0, 0, iter(deltas)
    for span in spans:
        index += span.offset
        for _ in range(span.length):
            count += next(deltas)
            found.append((index, count))
            index += 1
    assert next(deltas, None) is None
    return found


@given(st.lists(st.floats(min_value=-1e6, max_value=1e6).filter(lambda v: v == 0 or abs(v) > 1e-30), max_size=60))
def test_a_native_histogram_counts_every_value_in_the_bucket_it_belongs_to(values):
    collector = MetricsCollector(prefix="")
    histogram = collector.histogram("seconds", "", [], native=True)
    for value in values:
        histogram.observe(value)
    (seen,) = (metric.histogram for metric in decoded(collector)["seconds"].metric)
    positive = buckets(seen.positive_span, seen.positive_delta)
    negative = buckets(seen.negative_span, seen.negative_delta)
    assert seen.schema == 3
    assert seen.zero_count == values.count(0)
    assert seen.sample_count == len(values) == seen.zero_count + sum(count for _, count in positive + negative)
    for sign, counted in ((1, positive), (-1, negative)):
        expected = [value * sign for value in values if value * sign > 0]
        for index, count in counted:
            low, high = 2 ** ((index - 1) / 8) * (1 - 1e-12), 2 ** (index / 8) * (1 + 1e-12)
            assert sum(low < value <= high for value in expected) >= count > 0


def test_an_empty_native_histogram_is_recognisable(collector):
    collector.histogram("seconds", "", [], native=True)
    (seen,) = (metric.histogram for metric in decoded(collector)["seconds"].metric)
    assert (seen.schema, [(span.offset, span.length) for span in seen.positive_span]) == (3, [(0, 0)])


def test_native_counts_only_series_that_were_empty_when_it_was_asked_for(collector):
    early = collector.histogram("seconds", "", ["a"])
    early.observe(1, {"a": "before"})
    collector.histogram("seconds", native=True).observe(2, {"a": "after"})
    early.observe(1, {"a": "before"})
    seen = {metric_messages.labels(metric)["a"]: metric.histogram for metric in decoded(collector)["seconds"].metric}
    assert {name: histogram.schema for name, histogram in seen.items()} == {"before": 0, "after": 3}
    assert (seen["before"].sample_count, seen["after"].sample_count) == (2, 1)


def test_asking_twice_for_native_changes_nothing(collector):
    family = collector.histogram("seconds", "", [], native=True)._family
    family.observe(1)
    family.keep_native()
    family.observe(1)
    (seen,) = (metric.histogram for metric in decoded(collector)["seconds"].metric)
    assert (seen.schema, seen.sample_count) == (3, 2)
