//! Histograms: observations counted by size and then forgotten.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::cells::{Cell, Kind, Layout, finite};
use super::combine::Combine;
use super::error::MetricError;
use super::words::{Words, add, update};

/// The upper bounds of a histogram that names none, in seconds: those of AgentFlow.
pub const DEFAULT_BOUNDS: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// A histogram's upper bounds: finite, ascending, none twice. The last bucket (infinity) is implied.
#[derive(Debug, Clone, PartialEq)]
pub struct Bounds(Arc<[f64]>);

impl Bounds {
    /// Sorts the bounds and drops doubles and infinity; `metric` is for the message.
    pub fn new(metric: &str, given: &[f64]) -> Result<Self, MetricError> {
        let mut bounds: Vec<f64> = given.iter().copied().filter(|bound| *bound != f64::INFINITY).collect();
        if bounds.is_empty() || bounds.iter().any(|bound| !bound.is_finite()) {
            return Err(MetricError::Buckets { metric: metric.to_owned(), given: given.to_vec() });
        }
        bounds.sort_by(f64::total_cmp);
        bounds.dedup();
        Ok(Self(bounds.into()))
    }

    /// The upper bounds, ascending.
    pub fn as_slice(&self) -> &[f64] {
        &self.0
    }

    /// Which bucket a number belongs to: as many bounds as are below it.
    #[inline]
    pub(super) fn bucket(&self, value: f64) -> usize {
        let below = |bound: &f64| *bound < value;
        // A few are compared all at once, while each step of a search waits for the one before.
        if self.0.len() <= FEW {
            self.0.iter().filter(|bound| below(bound)).count()
        } else {
            self.0.partition_point(below)
        }
    }
}

/// So many bounds are compared without a search.
const FEW: usize = 32;

/// The words before the counts: sum, least, greatest.
pub(super) const HEAD: usize = 3;

/// Counts of observations by size; the observations themselves are not kept. Their sum stays at the greatest finite
/// number, either way, once it would be beyond.
pub struct Histogram {
    bounds: Bounds,
    // Sum, least, greatest; then one count per bound and one for what is above them all. The counts are not cumulative,
    // so that observing touches one of them.
    words: Words,
}

/// Least and greatest are kept as the difference of their bits from these: words of 0 then say that there are none.
const NO_LEAST: u64 = f64::INFINITY.to_bits();
const NO_GREATEST: u64 = f64::NEG_INFINITY.to_bits();

/// The least value that a word keeps, infinity if there is none.
pub(super) fn least(word: u64) -> f64 {
    f64::from_bits(word ^ NO_LEAST)
}

/// The greatest value that a word keeps, minus infinity if there is none.
pub(super) fn greatest(word: u64) -> f64 {
    f64::from_bits(word ^ NO_GREATEST)
}

/// The word for the lesser of what `word` keeps and `value`; `None` if that is what it keeps.
pub(super) fn lesser(word: u64, value: f64) -> Option<u64> {
    (value < least(word)).then(|| value.to_bits() ^ NO_LEAST)
}

/// The word for the greater of what `word` keeps and `value`; `None` if that is what it keeps.
pub(super) fn greater(word: u64, value: f64) -> Option<u64> {
    (value > greatest(word)).then(|| value.to_bits() ^ NO_GREATEST)
}

/// What a histogram held at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct HistogramSnapshot {
    /// For each bound, how many observations were at most that; then, last, all of them.
    pub cumulative: Vec<u64>,
    /// The sum of the observations.
    pub sum: f64,
    /// The least observation, 0 if there is none.
    pub min: f64,
    /// The greatest observation, 0 if there is none.
    pub max: f64,
}

impl HistogramSnapshot {
    /// How many observations there were.
    pub fn count(&self) -> u64 {
        self.cumulative.last().copied().unwrap_or(0)
    }
}

impl Histogram {
    /// Whether `value` may be observed: it must be finite.
    pub fn accepts(value: f64) -> Result<(), MetricError> {
        finite(value).map(drop)
    }

    /// Counts a value that `accepts` lets through.
    pub fn observe(&self, value: f64) -> Result<(), MetricError> {
        Self::accepts(value)?;
        let bucket = self.bounds.bucket(value);
        update(&self.words[1], |word| lesser(word, value));
        update(&self.words[2], |word| greater(word, value));
        add(&self.words[0], value);
        self.words[HEAD + bucket].fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// The upper bounds.
    pub fn bounds(&self) -> &Bounds {
        &self.bounds
    }

    /// Buckets (cumulative), sum, least and greatest. The count is the last bucket, so the two always agree.
    pub fn snapshot(&self) -> HistogramSnapshot {
        let words = |word: &AtomicU64| word.load(Ordering::Relaxed);
        HistogramSnapshot::of(self.words.iter().map(words))
    }
}

impl HistogramSnapshot {
    /// What a histogram's words say.
    pub(super) fn of(mut words: impl Iterator<Item = u64>) -> Self {
        let or_zero = |value: f64| if value.is_finite() { value } else { 0.0 };
        let mut next = || words.next().unwrap_or(0);
        let (sum, min, max) = (f64::from_bits(next()), or_zero(least(next())), or_zero(greatest(next())));
        let cumulative = words.scan(0_u64, |running, count| {
            *running = running.saturating_add(count);
            Some(*running)
        });
        Self { cumulative: cumulative.collect(), sum, min, max }
    }
}

impl Cell for Histogram {
    type Shape = Bounds;
    const KIND: Kind = Kind::Histogram;

    fn width(bounds: &Bounds) -> usize {
        HEAD + bounds.as_slice().len() + 1
    }

    fn over(bounds: &Bounds, words: Words) -> Self {
        Self { bounds: bounds.clone(), words }
    }

    fn words(&self) -> &[AtomicU64] {
        &self.words
    }

    fn layout(bounds: &Bounds) -> Layout<'_> {
        Layout { kind: Kind::Histogram, combine: Combine::default(), bounds: bounds.as_slice() }
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use proptest::prelude::*;

    use super::*;

    fn bounds(given: &[f64]) -> Bounds {
        Bounds::new("m", given).unwrap()
    }

    #[test]
    fn eight_threads_lose_no_observation() {
        let histogram = Histogram::zero(&bounds(&[1.0, 2.0]));
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| (0..10_000).for_each(|step| histogram.observe(f64::from(step % 4)).unwrap()));
            }
        });
        let seen = histogram.snapshot();
        assert_eq!(seen.cumulative, [40_000, 60_000, 80_000]);
        assert_eq!((seen.sum, seen.min, seen.max), (120_000.0, 0.0, 3.0));
    }

    #[test]
    fn what_would_spoil_the_sum_is_refused_and_counted_nowhere() {
        let histogram = Histogram::zero(&bounds(&[1.0]));
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert!(matches!(histogram.observe(bad), Err(MetricError::NotFinite { .. })));
        }
        assert_eq!((histogram.snapshot().sum, histogram.snapshot().count()), (0.0, 0));
    }

    #[test]
    fn a_sum_beyond_the_greatest_number_stays_a_number() {
        let histogram = Histogram::zero(&bounds(&[1.0]));
        let sums = [1e308, 1e308, -1e308, -1e308, -1e308, -1e308].map(|value| {
            histogram.observe(value).unwrap();
            histogram.snapshot().sum
        });
        assert_eq!((sums[1], sums[5], histogram.snapshot().count()), (f64::MAX, f64::MIN, 6));
    }

    #[test]
    fn bounds_are_sorted_and_infinity_is_implied() {
        assert_eq!(bounds(&[5.0, 1.0, f64::INFINITY, 1.0]).as_slice(), [1.0, 5.0]);
        for bad in [&[][..], &[f64::INFINITY], &[1.0, f64::NAN], &[f64::NEG_INFINITY]] {
            assert!(matches!(Bounds::new("m", bad), Err(MetricError::Buckets { .. })), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn buckets_are_cumulative_and_count_what_is_at_most_the_bound(
            given in proptest::collection::vec(-100.0..100.0f64, 1..2 * FEW),
            values in proptest::collection::vec(-150.0..150.0f64, 0..100),
        ) {
            let bounds = bounds(&given);
            let histogram = Histogram::zero(&bounds);
            values.iter().for_each(|value| histogram.observe(*value).unwrap());
            let seen = histogram.snapshot();
            for (bound, count) in bounds.as_slice().iter().zip(&seen.cumulative) {
                prop_assert_eq!(*count, values.iter().filter(|value| *value <= bound).count() as u64);
            }
            prop_assert_eq!(seen.count(), values.len() as u64);
        }
    }
}
