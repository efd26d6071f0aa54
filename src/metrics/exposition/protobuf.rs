//! Prometheus' own format: `io.prometheus.client.MetricFamily` messages, each after its length.

use super::labels::pairs;
use super::wire::{Message, varint};
use super::{Exemplar, FamilySnapshot, HistogramValue, NativeValue, SeriesSnapshot, Value};
use crate::metrics::cells::Kind;
use crate::metrics::native::{SCHEMA, ZERO_THRESHOLD};

/// Every family, native histograms included.
pub(super) fn encode(families: &[FamilySnapshot<'_>]) -> Vec<u8> {
    let (mut out, mut message, mut metric) = (Vec::new(), Message::default(), Message::default());
    for family in families {
        message.clear();
        message.text(1, &family.name);
        message.text(2, &family.help);
        message.uint(3, type_number(family.kind));
        for series in &family.series {
            metric.clear();
            push_series(&mut metric, family.kind, series);
            message.message(4, &metric);
        }
        varint(&mut out, message.bytes().len() as u64);
        out.extend_from_slice(message.bytes());
    }
    out
}

fn type_number(kind: Kind) -> u64 {
    match kind {
        Kind::Counter => 0,
        Kind::Gauge => 1,
        Kind::Histogram => 4,
    }
}

fn push_series(metric: &mut Message, kind: Kind, series: &SeriesSnapshot<'_>) {
    push_labels(metric, &series.labels);
    let mut value = Message::default();
    let field = match &series.value {
        Value::Number(number, exemplar) => {
            value.double(1, *number);
            if kind == Kind::Counter {
                push_exemplar(&mut value, 2, exemplar.as_deref());
                push_time(&mut value, 3, series.created);
                3
            } else {
                2
            }
        }
        Value::Histogram(histogram) => {
            push_histogram(&mut value, histogram);
            push_time(&mut value, 15, series.created);
            7
        }
    };
    metric.message(field, &value);
}

fn push_labels(message: &mut Message, rendered: &str) {
    let mut label = Message::default();
    for (name, value) in pairs(rendered) {
        label.clear();
        label.text(1, name);
        label.text(2, &value);
        message.message(1, &label);
    }
}

fn push_histogram(message: &mut Message, value: &HistogramValue<'_>) {
    let classic = value.cumulative.last().copied().unwrap_or_default();
    // Prometheus refuses a native histogram whose count is not that of its buckets; the two scales are read one after
    // the other, between which an observation may come.
    message.uint(1, value.native.as_ref().map_or(classic, NativeValue::count));
    message.double(2, value.sum);
    let bounds = value.bounds.iter().copied().chain([f64::INFINITY]);
    let mut bucket = Message::default();
    for (at, (bound, count)) in bounds.zip(&value.cumulative).enumerate() {
        bucket.clear();
        bucket.uint(1, *count);
        bucket.double(2, bound);
        push_exemplar(&mut bucket, 3, value.exemplars.get(at).and_then(Option::as_ref));
        message.message(3, &bucket);
    }
    if let Some(native) = &value.native {
        push_native(message, native);
    }
}

fn push_native(message: &mut Message, native: &NativeValue) {
    message.sint(5, SCHEMA.into());
    message.double(6, ZERO_THRESHOLD);
    message.uint(7, native.zero);
    push_buckets(message, 9, 10, &native.negative);
    push_buckets(message, 12, 13, &native.positive);
    if native.count() == 0 {
        // An empty span says that this is a native histogram, also while it is empty.
        push_span(message, 12, 0, 0);
    }
}

/// Runs of neighbouring buckets, and how each count differs from the one before.
fn push_buckets(message: &mut Message, spans: u32, deltas: u32, buckets: &[(i32, u64)]) {
    let (mut next, mut before, mut differences) = (0, 0, Vec::with_capacity(buckets.len()));
    for run in buckets.chunk_by(|one, other| one.0 + 1 == other.0) {
        push_span(message, spans, run[0].0 - next, run.len() as u64);
        next = run[0].0 + run.len() as i32;
        for (_, count) in run {
            differences.push(*count as i64 - before);
            before = *count as i64;
        }
    }
    if !differences.is_empty() {
        message.packed_sints(deltas, &differences);
    }
}

fn push_span(message: &mut Message, field: u32, offset: i32, length: u64) {
    let mut span = Message::default();
    span.sint(1, offset.into());
    span.uint(2, length);
    message.message(field, &span);
}

fn push_exemplar(message: &mut Message, field: u32, exemplar: Option<&Exemplar>) {
    if let Some(exemplar) = exemplar {
        let mut inner = Message::default();
        push_labels(&mut inner, &exemplar.labels);
        inner.double(2, exemplar.value);
        push_time(&mut inner, 3, Some(exemplar.timestamp));
        message.message(field, &inner);
    }
}

fn push_time(message: &mut Message, field: u32, seconds: Option<f64>) {
    if let Some(seconds) = seconds {
        let mut time = Message::default();
        time.int(1, seconds.floor() as i64);
        time.int(2, (seconds.fract() * 1e9) as i64);
        message.message(field, &time);
    }
}

impl NativeValue {
    /// How many observations there were.
    pub fn count(&self) -> u64 {
        self.zero + self.positive.iter().chain(&self.negative).map(|(_, count)| count).sum::<u64>()
    }
}
