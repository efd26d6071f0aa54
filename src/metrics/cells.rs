//! The values themselves: atomics that any thread may write and any reader may read at any time.

use std::fmt;
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
pub(super) struct Float(AtomicU64);

impl Float {
    pub(super) fn of(value: f64) -> Self {
        Self(AtomicU64::new(value.to_bits()))
    }

    pub(super) fn get(&self) -> f64 {
        f64::from_bits(self.0.load(Ordering::Relaxed))
    }

    pub(super) fn set(&self, value: f64) {
        self.0.store(value.to_bits(), Ordering::Relaxed);
    }

    pub(super) fn update(&self, change: impl Fn(f64) -> f64) {
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

/// `value`, unless adding it would spoil a sum for ever.
pub(super) fn finite(value: f64) -> Result<f64, MetricError> {
    if value.is_finite() { Ok(value) } else { Err(MetricError::NotFinite { value }) }
}

/// A number that only goes up.
pub struct Counter(Float);

impl Counter {
    /// Whether `amount` may be added: it must be finite and at least 0.
    pub fn accepts(amount: f64) -> Result<(), MetricError> {
        if finite(amount)? < 0.0 { Err(MetricError::Negative { amount }) } else { Ok(()) }
    }

    /// Adds an amount that `accepts` lets through.
    pub fn increment(&self, amount: f64) -> Result<(), MetricError> {
        Self::accepts(amount)?;
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

    /// Whether `amount` may be added: it must be finite.
    pub fn accepts(amount: f64) -> Result<(), MetricError> {
        finite(amount).map(drop)
    }

    /// Adds an amount that `accepts` lets through, which may be negative.
    pub fn add(&self, amount: f64) -> Result<(), MetricError> {
        Self::accepts(amount)?;
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

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn eight_threads_lose_no_increment() {
        let (counter, gauge) = (Counter::zero(&()), Gauge::zero(&()));
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
    fn what_would_spoil_a_total_is_refused_and_leaves_it_alone() {
        let (counter, gauge) = (Counter::zero(&()), Gauge::zero(&()));
        assert!(matches!(counter.increment(-1.0), Err(MetricError::Negative { .. })));
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert!(matches!(counter.increment(bad), Err(MetricError::NotFinite { .. })));
            assert!(matches!(gauge.add(bad), Err(MetricError::NotFinite { .. })));
        }
        assert_eq!((counter.get(), gauge.get()), (0.0, 0.0));
    }
}
