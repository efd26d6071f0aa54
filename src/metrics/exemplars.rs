//! Exemplars of a series: the latest per counter, the latest per bucket of a histogram.

use std::sync::{Mutex, OnceLock};
use std::time::{SystemTime, UNIX_EPOCH};

use super::cells::Kind;
use super::error::MetricError;
use super::exposition::Exemplar;
use super::labels::render;
use super::names::check_label_names;

/// How many characters an exemplar's label names and values may have together, as OpenMetrics says.
pub const EXEMPLAR_RUNES: usize = 128;

/// An exemplar is a sample of what happens, so nobody ever waits for one: a slot in use elsewhere is passed over. That
/// also keeps a forked child, which may inherit a locked slot, from hanging.
#[derive(Default)]
pub(super) struct Exemplars(OnceLock<Box<[Mutex<Option<Exemplar>>]>>);

impl Exemplars {
    /// Keeps `exemplar` in one of `slots` slots; memory is taken when the first one comes.
    pub(super) fn put(&self, slots: usize, slot: usize, exemplar: Exemplar) {
        let all = self.0.get_or_init(|| (0..slots).map(|_| Mutex::default()).collect());
        if let Some(mut place) = all.get(slot).and_then(|slot| slot.try_lock().ok()) {
            *place = Some(exemplar);
        }
    }

    /// Every slot; empty if none was ever put.
    pub(super) fn seen(&self) -> Vec<Option<Exemplar>> {
        let all = self.0.get().map(AsRef::as_ref).unwrap_or_default();
        all.iter().map(|slot| slot.try_lock().ok().and_then(|place| place.clone())).collect()
    }
}

impl Exemplar {
    /// An exemplar of now. Its labels are checked like a metric's and have at most `EXEMPLAR_RUNES` characters.
    pub fn new(metric: &str, labels: &[(&str, &str)], value: f64) -> Result<Self, MetricError> {
        check_label_names(metric, Kind::Gauge, labels.iter().map(|(name, _)| *name))?;
        let runes = labels.iter().map(|(name, value)| name.chars().count() + value.chars().count()).sum();
        if runes > EXEMPLAR_RUNES {
            return Err(MetricError::Exemplar { metric: metric.to_owned(), runes });
        }
        let timestamp = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64());
        Ok(Self { labels: render(labels), value, timestamp })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_of_each_slot_is_kept() {
        let exemplars = Exemplars::default();
        assert!(exemplars.seen().is_empty());
        for (slot, value) in [(0, 1.0), (2, 2.0), (2, 3.0), (9, 4.0)] {
            exemplars.put(3, slot, Exemplar::new("m", &[("trace_id", "x")], value).unwrap());
        }
        let values: Vec<_> = exemplars.seen().iter().map(|seen| seen.as_ref().map(|seen| seen.value)).collect();
        assert_eq!(values, [Some(1.0), None, Some(3.0)]);
    }

    #[test]
    fn characters_are_counted_and_not_bytes() {
        assert!(Exemplar::new("m", &[("id", &"鋼".repeat(126))], 1.0).is_ok());
        let long = Exemplar::new("m", &[("id", &"a".repeat(127))], 1.0);
        assert!(matches!(long, Err(MetricError::Exemplar { runes: 129, .. })));
        assert!(matches!(Exemplar::new("m", &[("a-b", "")], 1.0), Err(MetricError::LabelName { .. })));
    }
}
