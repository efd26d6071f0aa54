//! Where cells keep their numbers: words that any thread may write and any reader may read at any time.

use std::ops::Deref;
use std::sync::atomic::{AtomicU64, Ordering};

/// The words of one cell.
pub enum Words {
    /// In memory of its own.
    Own(Box<[AtomicU64]>),
    /// In a file that other processes read; mapped for as long as this one lives.
    Shared(&'static [AtomicU64]),
}

impl Words {
    /// So many zeros in memory of their own.
    pub(super) fn own(count: usize) -> Self {
        Self::Own((0..count).map(|_| AtomicU64::new(0)).collect())
    }
}

impl Deref for Words {
    type Target = [AtomicU64];

    fn deref(&self) -> &[AtomicU64] {
        match self {
            Self::Own(words) => words,
            Self::Shared(words) => words,
        }
    }
}

/// The `f64` whose bits a word keeps.
pub(super) fn load(word: &AtomicU64) -> f64 {
    f64::from_bits(word.load(Ordering::Relaxed))
}

/// Adds to the `f64` of a word by compare-and-swap, so that no thread's addition is lost.
pub(super) fn add(word: &AtomicU64, amount: f64) {
    update(word, |bits| Some(saturating_sum(f64::from_bits(bits), amount).to_bits()));
}

/// The sum, but the greatest finite number of its sign where two finite numbers would make an infinity: such a total
/// would be no total any more, and one of minus infinity added to it would not even be a number.
pub(super) fn saturating_sum(one: f64, other: f64) -> f64 {
    let sum = one + other;
    if sum.is_infinite() && one.is_finite() && other.is_finite() { f64::MAX.copysign(sum) } else { sum }
}

/// Changes a word until the change meets no other; `None` leaves it as it is.
pub(super) fn update(word: &AtomicU64, change: impl Fn(u64) -> Option<u64>) {
    let mut seen = word.load(Ordering::Relaxed);
    while let Some(next) = change(seen) {
        match word.compare_exchange_weak(seen, next, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => return,
            Err(now) => seen = now,
        }
    }
}
