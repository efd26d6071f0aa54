//! The values themselves: atomics that any thread may write and any reader may read at any time.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::error::MetricError;

/// The types that the exposition format knows and hagane writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only goes up.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts observations by size.
    Histogram,
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        })
    }
}

/// What a series of one type holds.
pub trait Cell: Send + Sync + Sized + 'static {
    /// What every series of a family shares (a histogram's bounds).
    type Shape: Clone + PartialEq + Send + Sync;
    /// The type's name.
    const KIND: Kind;
    /// A cell at zero.
    fn zero(shape: &Self::Shape) -> Self;
}

/// An `f64` kept as bits; adding is a compare-and-swap, so no thread's addition is lost.
#[derive(Default)]
struct Float(AtomicU64);

impl Float {
    fn of(value: f64) -> Self {
        Self(AtomicU64::new(value.to_bits()))
    }

    fn get(&self) -> f64 {
        f64::from_bits(self.0.load(Ordering::Relaxed))
    }

    fn set(&self, value: f64) {
        self.0.store(value.to_bits(), Ordering::Relaxed);
    }

    fn update(&self, change: impl Fn(f64) -> f64) {
        let mut seen = self.0.load(Ordering::Relaxed);
        loop {
            let next = change(f64::from_bits(seen)).to_bits();
            match self.0.compare_exchange_weak(seen, next, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return,
                Err(now) => seen = now,
            }
        }
    }
}

fn finite(value: f64) -> Result<f64, MetricError> {
    if value.is_finite() { Ok(value) } else { Err(MetricError::NotFinite { value }) }
}

/// A number that only goes up.
pub struct Counter(Float);

impl Counter {
    /// Adds a finite amount of at least 0.
    pub fn increment(&self, amount: f64) -> Result<(), MetricError> {
        if finite(amount)? < 0.0 {
            return Err(MetricError::Negative { amount });
        }
        self.0.update(|total| total + amount);
        Ok(())
    }

    /// The total.
    pub fn get(&self) -> f64 {
        self.0.get()
    }
}

impl Cell for Counter {
    type Shape = ();
    const KIND: Kind = Kind::Counter;
    fn zero((): &()) -> Self {
        Self(Float::default())
    }
}

/// A number that goes up and down.
pub struct Gauge(Float);

impl Gauge {
    /// Sets the value; NaN and infinities are values that a gauge may have.
    pub fn set(&self, value: f64) {
        self.0.set(value);
    }

    /// Adds a finite amount, which may be negative.
    pub fn add(&self, amount: f64) -> Result<(), MetricError> {
        let amount = finite(amount)?;
        self.0.update(|value| value + amount);
        Ok(())
    }

    /// The value.
    pub fn get(&self) -> f64 {
        self.0.get()
    }
}

impl Cell for Gauge {
    type Shape = ();
    const KIND: Kind = Kind::Gauge;
    fn zero((): &()) -> Self {
        Self(Float::default())
    }
}

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
}

/// Counts of observations by size; the observations themselves are not kept.
pub struct Histogram {
    bounds: Bounds,
    // One per bound and one for what is above them all; not cumulative, so that observing touches one.
    counts: Box<[AtomicU64]>,
    sum: Float,
    least: Float,
    greatest: Float,
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
    /// Counts one finite value.
    pub fn observe(&self, value: f64) -> Result<(), MetricError> {
        let value = finite(value)?;
        let bucket = self.bounds.as_slice().partition_point(|bound| *bound < value);
        self.least.update(|least| least.min(value));
        self.greatest.update(|greatest| greatest.max(value));
        self.sum.update(|sum| sum + value);
        self.counts[bucket].fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// The upper bounds.
    pub fn bounds(&self) -> &Bounds {
        &self.bounds
    }

    /// Buckets (cumulative), sum, least and greatest. The count is the last bucket, so the two always agree.
    pub fn snapshot(&self) -> HistogramSnapshot {
        let mut running = 0;
        let cumulative: Vec<u64> = self
            .counts
            .iter()
            .map(|count| {
                running += count.load(Ordering::Relaxed);
                running
            })
            .collect();
        let or_zero = |value: f64| if value.is_finite() { value } else { 0.0 };
        HistogramSnapshot {
            cumulative,
            sum: self.sum.get(),
            min: or_zero(self.least.get()),
            max: or_zero(self.greatest.get()),
        }
    }
}

impl Cell for Histogram {
    type Shape = Bounds;
    const KIND: Kind = Kind::Histogram;
    fn zero(bounds: &Bounds) -> Self {
        Self {
            counts: (0..=bounds.as_slice().len()).map(|_| AtomicU64::new(0)).collect(),
            bounds: bounds.clone(),
            sum: Float::default(),
            least: Float::of(f64::INFINITY),
            greatest: Float::of(f64::NEG_INFINITY),
        }
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
    fn eight_threads_lose_no_increment_and_no_observation() {
        let (counter, gauge) = (Counter::zero(&()), Gauge::zero(&()));
        let histogram = Histogram::zero(&bounds(&[1.0, 2.0]));
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for step in 0..10_000 {
                        counter.increment(1.0).unwrap();
                        gauge.add(if step % 2 == 0 { 2.0 } else { -1.0 }).unwrap();
                        histogram.observe(f64::from(step % 4)).unwrap();
                    }
                });
            }
        });
        assert_eq!(counter.get(), 80_000.0);
        assert_eq!(gauge.get(), 40_000.0);
        let seen = histogram.snapshot();
        assert_eq!(seen.cumulative, [40_000, 60_000, 80_000]);
        assert_eq!((seen.sum, seen.min, seen.max), (120_000.0, 0.0, 3.0));
    }

    #[test]
    fn what_would_spoil_a_total_is_refused_and_leaves_it_alone() {
        let (counter, gauge) = (Counter::zero(&()), Gauge::zero(&()));
        let histogram = Histogram::zero(&bounds(&[1.0]));
        assert!(matches!(counter.increment(-1.0), Err(MetricError::Negative { .. })));
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert!(matches!(counter.increment(bad), Err(MetricError::NotFinite { .. })));
            assert!(matches!(gauge.add(bad), Err(MetricError::NotFinite { .. })));
            assert!(matches!(histogram.observe(bad), Err(MetricError::NotFinite { .. })));
        }
        assert_eq!((counter.get(), gauge.get(), histogram.snapshot().sum), (0.0, 0.0, 0.0));
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
            given in proptest::collection::vec(-100.0..100.0f64, 1..20),
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
