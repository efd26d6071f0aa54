//! What an exporter says of itself. Plain atomics, each there from the start: the thread that answers registers nothing,
//! because that takes a lock which a fork could catch.

use std::array;
use std::borrow::Cow;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::metrics::cells::Kind;
use crate::metrics::exposition::{FamilySnapshot, Format, HistogramValue, SeriesSnapshot, Value};
use crate::metrics::registry::DROPS;

const FORMATS: [Format; 3] = [Format::Text, Format::OpenMetrics, Format::Protobuf];
const REFUSALS: [u16; 4] = [401, 404, 405, 503];
const SECONDS: [f64; 9] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0];

/// The answers in one format.
#[derive(Default)]
struct Answered {
    times: [AtomicU64; SECONDS.len() + 1],
    nanoseconds: AtomicU64,
    last_bytes: AtomicU64,
}

/// Counts of answers, and what the last one had.
#[derive(Default)]
pub(super) struct Meters {
    answered: [Answered; FORMATS.len()],
    refused: [AtomicU64; REFUSALS.len()],
    series: AtomicU64,
    dropped: AtomicU64,
    sent_away: AtomicU64,
}

impl Meters {
    /// Notes how much there is to show. Of a counter that goes up, as of drops, the greatest is the latest.
    pub(super) fn saw(&self, families: &[FamilySnapshot<'_>]) {
        let series: usize = families.iter().map(|family| family.series.len()).sum();
        self.series.store(series as u64, Ordering::Relaxed);
        let drops = families.iter().filter(|family| family.name == DROPS).flat_map(|family| &family.series);
        let dropped: f64 =
            drops.map(|series| if let Value::Number(value, _) = series.value { value } else { 0.0 }).sum();
        self.dropped.fetch_max(dropped as u64, Ordering::Relaxed);
    }

    pub(super) fn answered(&self, format: Format, took: Duration, bytes: usize) {
        let answered = &self.answered[FORMATS.iter().position(|known| *known == format).unwrap_or_default()];
        let bucket = SECONDS.partition_point(|bound| *bound < took.as_secs_f64());
        answered.times[bucket].fetch_add(1, Ordering::Relaxed);
        answered.nanoseconds.fetch_add(took.as_nanos() as u64, Ordering::Relaxed);
        answered.last_bytes.store(bytes as u64, Ordering::Relaxed);
    }

    pub(super) fn refused(&self, status: u16) {
        if let Some(at) = REFUSALS.iter().position(|known| *known == status) {
            self.refused[at].fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn sent_away(&self) {
        self.sent_away.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn snapshot(&self) -> [FamilySnapshot<'static>; 6] {
        let load = |value: &AtomicU64| value.load(Ordering::Relaxed) as f64;
        let times: [HistogramValue<'static>; FORMATS.len()] = array::from_fn(|at| self.answered[at].times());
        let shown = FORMATS.iter().zip(&times).map(|(format, times)| {
            let count = times.cumulative.last().copied().unwrap_or_default() as f64;
            number(format!("format=\"{}\",status=\"200\"", format.name()), count)
        });
        let refused = REFUSALS.iter().zip(&self.refused);
        let refused =
            refused.map(|(status, count)| number(format!("format=\"none\",status=\"{status}\""), load(count)));
        let scrapes = shown.chain(refused).collect();
        let sizes = FORMATS.iter().zip(&self.answered);
        let sizes = sizes.map(|(format, answered)| number(by_format(*format), load(&answered.last_bytes))).collect();
        let times =
            FORMATS.iter().zip(times).map(|(format, times)| series(by_format(*format), Value::Histogram(times.into())));
        [
            family("scrapes_total", "Answers to scrapes, by format and HTTP status.", Kind::Counter, scrapes),
            family("scrape_duration_seconds", "How long making an answer took.", Kind::Histogram, times.collect()),
            family("scrape_size_bytes", "The size of the last answer as it was sent.", Kind::Gauge, sizes),
            family(
                "series",
                "Series shown by the last scrape.",
                Kind::Gauge,
                vec![number(String::new(), load(&self.series))],
            ),
            family(
                "dropped_total",
                "Uses of label sets beyond a metric's limit, over all metrics.",
                Kind::Counter,
                vec![number(String::new(), load(&self.dropped))],
            ),
            family(
                "idle_connections_closed_total",
                "Connections that had sent no request when another needed their place.",
                Kind::Counter,
                vec![number(String::new(), load(&self.sent_away))],
            ),
        ]
    }
}

impl Answered {
    fn times(&self) -> HistogramValue<'static> {
        let mut running = 0;
        let cumulative = self.times.iter().map(|count| {
            running += count.load(Ordering::Relaxed);
            running
        });
        HistogramValue {
            bounds: Cow::Borrowed(&SECONDS),
            cumulative: cumulative.collect(),
            sum: self.nanoseconds.load(Ordering::Relaxed) as f64 / 1e9,
            below_zero: false,
            exemplars: Vec::new(),
            native: None,
        }
    }
}

fn by_format(format: Format) -> String {
    format!("format=\"{}\"", format.name())
}

fn number(labels: String, value: f64) -> SeriesSnapshot<'static> {
    series(labels, Value::Number(value, None))
}

fn series(labels: String, value: Value<'static>) -> SeriesSnapshot<'static> {
    SeriesSnapshot { labels: labels.into(), value, created: None }
}

fn family(
    ending: &str,
    help: &'static str,
    kind: Kind,
    series: Vec<SeriesSnapshot<'static>>,
) -> FamilySnapshot<'static> {
    FamilySnapshot { name: format!("hagane_exporter_{ending}").into(), help: help.into(), kind, series }
}
