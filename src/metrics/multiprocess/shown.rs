//! From what all processes hold together to what an encoder takes.

use super::family::MergedFamily;
use crate::metrics::cells::Kind;
use crate::metrics::exposition::{FamilySnapshot, HistogramValue, SeriesSnapshot, Value};
use crate::metrics::histogram::HistogramSnapshot;

const FILES_NAME: &str = "hagane_multiprocess_files";

/// A family; its texts are moved, because there are as many as there are series.
pub(super) fn snapshot(family: MergedFamily) -> FamilySnapshot<'static> {
    let mut words = family.words;
    let mut labels = family.labels;
    // Nobody has used an open family yet: the unlabelled zero lets `increase()` see its first event.
    if labels.is_empty() && family.open {
        labels.push(String::new());
        words.resize(family.width, 0);
    }
    let value = |words: &[u64]| match family.kind {
        Kind::Counter | Kind::Gauge => Value::Number(f64::from_bits(words[0]), None),
        Kind::Histogram => {
            let seen = HistogramSnapshot::of(words.iter().copied());
            Value::Histogram(Box::new(HistogramValue {
                bounds: family.bounds.clone().into(),
                cumulative: seen.cumulative,
                sum: seen.sum,
                below_zero: seen.min < 0.0,
                exemplars: Vec::new(),
                native: None,
            }))
        }
    };
    let series = labels.into_iter().zip(words.chunks(family.width)).map(|(labels, words)| SeriesSnapshot {
        labels: labels.into(),
        value: value(words),
        created: None,
    });
    FamilySnapshot { name: family.name.into(), help: family.help.into(), kind: family.kind, series: series.collect() }
}

/// How many files there were of each sort.
pub(super) fn counted_files<const N: usize>(counts: [(&str, usize); N]) -> FamilySnapshot<'static> {
    let series = counts.map(|(state, count)| SeriesSnapshot {
        labels: format!("state=\"{state}\"").into(),
        value: Value::Number(count as f64, None),
        created: None,
    });
    FamilySnapshot {
        name: FILES_NAME.into(),
        help: "Files of processes, by whether their process lives and whether they can be read.".into(),
        kind: Kind::Gauge,
        series: series.into(),
    }
}
