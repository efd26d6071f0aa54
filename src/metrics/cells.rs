//! The values themselves: atomics that any thread may write and any reader may read at any time.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use super::combine::Combine;
use super::error::MetricError;
use super::words::{Words, add, load};

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

impl Kind {
    /// The type's name in every format.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// What a series of one type holds: a view of words that are all 0 at its birth.
pub trait Cell: Send + Sync + Sized + 'static {
    /// What every series of a family shares (a histogram's bounds).
    type Shape: Clone + PartialEq + Send + Sync;
    /// The type's name.
    const KIND: Kind;
    /// How many words it takes.
    fn width(shape: &Self::Shape) -> usize;
    /// A cell over `width` words.
    fn over(shape: &Self::Shape, words: Words) -> Self;
    /// Its words, for those who add up those of several processes.
    fn words(&self) -> &[AtomicU64];
    /// What the family's record in a file says beyond its name.
    fn layout(shape: &Self::Shape) -> Layout<'_>;
    /// A cell at zero, in memory of its own.
    fn zero(shape: &Self::Shape) -> Self {
        Self::over(shape, Words::own(Self::width(shape)))
    }
}

/// A family's shape as a file keeps it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Layout<'a> {
    /// The type.
    pub kind: Kind,
    /// How the gauges of several processes become one; of no meaning to other types.
    pub combine: Combine,
    /// A histogram's upper bounds.
    pub bounds: &'a [f64],
}

/// `value`, unless adding it would spoil a sum for ever.
pub(super) fn finite(value: f64) -> Result<f64, MetricError> {
    if value.is_finite() { Ok(value) } else { Err(MetricError::NotFinite { value }) }
}

/// A number that only goes up. Beyond the greatest finite number it stays there.
pub struct Counter(Words);

impl Counter {
    /// Whether `amount` may be added: it must be finite and at least 0.
    pub fn accepts(amount: f64) -> Result<(), MetricError> {
        if finite(amount)? < 0.0 { Err(MetricError::Negative { amount }) } else { Ok(()) }
    }

    /// Adds an amount that `accepts` lets through.
    #[inline]
    pub fn increment(&self, amount: f64) -> Result<(), MetricError> {
        Self::accepts(amount)?;
        add(&self.0[0], amount);
        Ok(())
    }

    /// The total.
    pub fn get(&self) -> f64 {
        load(&self.0[0])
    }
}

impl Cell for Counter {
    type Shape = ();
    const KIND: Kind = Kind::Counter;

    fn width((): &()) -> usize {
        1
    }

    fn over((): &(), words: Words) -> Self {
        Self(words)
    }

    fn words(&self) -> &[AtomicU64] {
        &self.0
    }

    fn layout((): &()) -> Layout<'_> {
        Layout { kind: Kind::Counter, combine: Combine::default(), bounds: &[] }
    }
}

/// A number that goes up and down. Adding to it stops at the greatest finite number, either way.
pub struct Gauge {
    combine: Combine,
    // The value, and when it was last written (0: never), as far as combining asks for it.
    words: Words,
}

impl Gauge {
    /// Sets the value; NaN and infinities are values that a gauge may have.
    pub fn set(&self, value: f64) {
        self.words[0].store(value.to_bits(), Ordering::Relaxed);
        self.stamp();
    }

    /// Whether `amount` may be added: it must be finite.
    pub fn accepts(amount: f64) -> Result<(), MetricError> {
        finite(amount).map(drop)
    }

    /// Adds an amount that `accepts` lets through, which may be negative.
    pub fn add(&self, amount: f64) -> Result<(), MetricError> {
        Self::accepts(amount)?;
        add(&self.words[0], amount);
        self.stamp();
        Ok(())
    }

    /// The value.
    pub fn get(&self) -> f64 {
        load(&self.words[0])
    }

    fn stamp(&self) {
        if self.combine.needs_stamp() {
            self.words[1].store(self.combine.stamp(), Ordering::Relaxed);
        }
    }
}

impl Cell for Gauge {
    type Shape = Combine;
    const KIND: Kind = Kind::Gauge;

    fn width(_: &Combine) -> usize {
        2
    }

    fn over(combine: &Combine, words: Words) -> Self {
        Self { combine: *combine, words }
    }

    fn words(&self) -> &[AtomicU64] {
        &self.words
    }

    fn layout(combine: &Combine) -> Layout<'_> {
        Layout { kind: Kind::Gauge, combine: *combine, bounds: &[] }
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn eight_threads_lose_no_increment() {
        let (counter, gauge) = (Counter::zero(&()), Gauge::zero(&Combine::default()));
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for step in 0..10_000 {
                        counter.increment(1.0).unwrap();
                        gauge.add(if step % 2 == 0 { 2.0 } else { -1.0 }).unwrap();
                    }
                });
            }
        });
        assert_eq!((counter.get(), gauge.get()), (80_000.0, 40_000.0));
    }

    #[test]
    fn a_total_beyond_the_greatest_number_stays_there() {
        let (counter, gauge) = (Counter::zero(&()), Gauge::zero(&Combine::default()));
        for _ in 0..2 {
            counter.increment(1e308).unwrap();
            gauge.add(-1e308).unwrap();
        }
        assert_eq!((counter.get(), gauge.get()), (f64::MAX, f64::MIN));
        // What a gauge was set to is what it has: an infinity stays one.
        gauge.set(f64::INFINITY);
        gauge.add(-1.0).unwrap();
        assert_eq!(gauge.get(), f64::INFINITY);
    }

    #[test]
    fn what_would_spoil_a_total_is_refused_and_leaves_it_alone() {
        let (counter, gauge) = (Counter::zero(&()), Gauge::zero(&Combine::default()));
        assert!(matches!(counter.increment(-1.0), Err(MetricError::Negative { .. })));
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert!(matches!(counter.increment(bad), Err(MetricError::NotFinite { .. })));
            assert!(matches!(gauge.add(bad), Err(MetricError::NotFinite { .. })));
        }
        assert_eq!((counter.get(), gauge.get()), (0.0, 0.0));
    }
}
