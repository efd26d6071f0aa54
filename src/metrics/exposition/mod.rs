//! From what was measured to the bytes a scraper reads. Every encoder takes the same plain input.

mod compress;
pub(super) mod labels;
mod negotiate;
mod numbers;
mod openmetrics;
mod protobuf;
mod text;
pub(super) mod wire;

pub use compress::gzip;
pub use negotiate::{accepts_gzip, choose_format};
pub(super) use numbers::bound_text;

use std::borrow::Cow;

use super::cells::Kind;
use super::error::MetricError;

/// What can be shown: a registry, a directory of many processes' files, the process itself.
pub trait Source: Send + Sync {
    /// Every family as it is now. Takes no lock that a writer may hold for long. An error if part of it cannot be had:
    /// counters that are short of what they were would look like ones that began again.
    fn snapshot(&self) -> Result<Vec<FamilySnapshot<'_>>, MetricError>;
}

/// One metric name and its series at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct FamilySnapshot<'a> {
    /// The name under which its samples are written, ending included (`hits_total`).
    pub name: Cow<'a, str>,
    /// The description, not escaped; empty if there is none.
    pub help: Cow<'a, str>,
    /// The type.
    pub kind: Kind,
    /// The series. Every value is of the family's type.
    pub series: Vec<SeriesSnapshot<'a>>,
}

/// One set of labels and its value.
#[derive(Debug, Clone, PartialEq)]
pub struct SeriesSnapshot<'a> {
    /// `a="1",b="2"`, as `labels::render_canonical` writes it; empty for a series without labels.
    pub labels: Cow<'a, str>,
    /// What it holds.
    pub value: Value<'a>,
    /// When it was made, in seconds since the epoch, if that is known (counters and histograms).
    pub created: Option<f64>,
}

/// The value of a series.
#[derive(Debug, Clone, PartialEq)]
pub enum Value<'a> {
    /// Of a counter (with an exemplar, if one was given) or a gauge.
    Number(f64, Option<Box<Exemplar>>),
    /// Of a histogram.
    Histogram(Box<HistogramValue<'a>>),
}

/// Counts by size.
#[derive(Debug, Clone, PartialEq)]
pub struct HistogramValue<'a> {
    /// Upper bounds, ascending, all finite.
    pub bounds: Cow<'a, [f64]>,
    /// For each bound, how many observations were at most that; then, last, all of them.
    pub cumulative: Vec<u64>,
    /// The sum of the observations.
    pub sum: f64,
    /// Whether one of them was below 0, so that the sum may have gone down.
    pub below_zero: bool,
    /// By bucket (the last is above all bounds): an observation that stands for it. Empty if there are none at all.
    pub exemplars: Vec<Option<Exemplar>>,
    /// The same observations by size on a logarithmic scale, if the histogram asked for it.
    pub native: Option<NativeValue>,
}

/// A native histogram of schema 3: bucket `i` counts values in (2^((i-1)/8), 2^(i/8)].
#[derive(Debug, Clone, PartialEq, Default)]
pub struct NativeValue {
    /// Observations of exactly 0.
    pub zero: u64,
    /// Bucket and count of positive observations, ascending by bucket, no count 0.
    pub positive: Vec<(i32, u64)>,
    /// The same of the negative ones, by their absolute value.
    pub negative: Vec<(i32, u64)>,
}

/// An observation that leads elsewhere, mostly to a trace.
#[derive(Debug, Clone, PartialEq)]
pub struct Exemplar {
    /// Rendered like a series' labels.
    pub labels: String,
    /// What was observed, or added.
    pub value: f64,
    /// When, in seconds since the epoch.
    pub timestamp: f64,
}

/// The formats that a scraper may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Prometheus' text format 0.0.4.
    Text,
    /// OpenMetrics 1.0.
    OpenMetrics,
    /// Delimited `io.prometheus.client.MetricFamily` messages, the only one with native histograms.
    Protobuf,
}

impl Format {
    /// The media type of a response.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Protobuf => {
                "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
            }
        }
    }

    /// A short name, as a label says it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::OpenMetrics => "openmetrics",
            Self::Protobuf => "protobuf",
        }
    }

    /// Everything in `families`, in their order. `created` adds `_created` samples where the format has them.
    pub fn encode(self, families: &[FamilySnapshot<'_>], created: bool) -> Vec<u8> {
        match self {
            Self::Text => text::encode(families).into_bytes(),
            Self::OpenMetrics => openmetrics::encode(families, created).into_bytes(),
            Self::Protobuf => protobuf::encode(families),
        }
    }
}
