//! From what was measured to the bytes a scraper reads. Every encoder takes the same plain input.

mod numbers;
mod text;

use std::borrow::Cow;

use super::cells::Kind;

/// What can be shown: a registry, a directory of many processes' files, the process itself.
pub trait Source: Send + Sync {
    /// Every family as it is now. Takes no lock that a writer may hold for long.
    fn snapshot(&self) -> Vec<FamilySnapshot<'_>>;
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
    /// `a="1",b="2"`, escaped, as `labels::render` writes it; empty for a series without labels.
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
}

impl Format {
    /// The media type of a response.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
        }
    }

    /// Everything in `families`, in their order.
    pub fn encode(self, families: &[FamilySnapshot<'_>]) -> Vec<u8> {
        match self {
            Self::Text => text::encode(families).into_bytes(),
        }
    }
}
