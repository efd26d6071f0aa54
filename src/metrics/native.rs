//! Native histograms: counts on a logarithmic scale, so that no one has to choose bounds.
//!
//! Schema 3 of Prometheus' native histograms: eight buckets per power of two, each at most 9.05 % wide.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use super::exposition::NativeValue;

/// Buckets per power of two are `2^SCHEMA`.
pub(super) const SCHEMA: i32 = 3;
/// Observations of at most this size, either way, count as 0.
pub(super) const ZERO_THRESHOLD: f64 = 2.938_735_877_055_719e-39;

const PER_POWER: i32 = 1 << SCHEMA;
const CHUNK: usize = 256;
// The least bucket above the threshold of 2^-128 has the index -1023; the greatest finite number is in bucket 8192.
const OFFSET: i32 = 1024;
const CHUNKS: usize = (OFFSET as usize + 8192) / CHUNK + 1;

/// Buckets are allocated in chunks of 32 powers of two when the first value comes, never moved and never freed, so
/// that a reader takes no lock.
struct Buckets([OnceLock<Box<[AtomicU64; CHUNK]>>; CHUNKS]);

/// The counts of one series.
pub(super) struct Native {
    zero: AtomicU64,
    positive: Buckets,
    negative: Buckets,
}

impl Default for Native {
    fn default() -> Self {
        Self { zero: AtomicU64::new(0), positive: Buckets::default(), negative: Buckets::default() }
    }
}

impl Default for Buckets {
    fn default() -> Self {
        Self([const { OnceLock::new() }; CHUNKS])
    }
}

impl Buckets {
    fn count(&self, magnitude: f64) {
        let at = (bucket(magnitude) + OFFSET) as usize;
        let chunk = self.0[at / CHUNK].get_or_init(|| Box::new([const { AtomicU64::new(0) }; CHUNK]));
        chunk[at % CHUNK].fetch_add(1, Ordering::Relaxed);
    }

    fn seen(&self) -> Vec<(i32, u64)> {
        let chunks = self.0.iter().enumerate().filter_map(|(at, chunk)| Some((at * CHUNK, chunk.get()?)));
        let all =
            chunks.flat_map(|(first, chunk)| chunk.iter().enumerate().map(move |(at, count)| (first + at, count)));
        all.map(|(at, count)| (at as i32 - OFFSET, count.load(Ordering::Relaxed)))
            .filter(|(_, count)| *count > 0)
            .collect()
    }
}

impl Native {
    /// Counts a finite value.
    pub(super) fn observe(&self, value: f64) {
        if value.abs() <= ZERO_THRESHOLD {
            self.zero.fetch_add(1, Ordering::Relaxed);
        } else if value > 0.0 {
            self.positive.count(value);
        } else {
            self.negative.count(-value);
        }
    }

    /// What was counted.
    pub(super) fn seen(&self) -> NativeValue {
        NativeValue {
            zero: self.zero.load(Ordering::Relaxed),
            positive: self.positive.seen(),
            negative: self.negative.seen(),
        }
    }
}

/// The index of the bucket whose upper bound, `2^(index/8)`, is the first that is not below `magnitude`, a normal
/// number above 0.
fn bucket(magnitude: f64) -> i32 {
    let bits = magnitude.to_bits();
    let power = ((bits >> 52) as i32) - 1023;
    let fraction = f64::from_bits((bits & ((1 << 52) - 1)) | (1023 << 52));
    let step = (0..PER_POWER).take_while(|step| fraction > bound(*step)).count() as i32;
    power * PER_POWER + step
}

/// `2^(step/8)`, rounded once.
fn bound(step: i32) -> f64 {
    const BOUNDS: [f64; PER_POWER as usize] = [
        1.0,
        1.090_507_732_665_257_7,
        1.189_207_115_002_721,
        1.296_839_554_651_009_6,
        std::f64::consts::SQRT_2,
        1.542_210_825_407_940_7,
        1.681_792_830_507_429,
        1.834_008_086_409_342_4,
    ];
    BOUNDS[step as usize]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_bound_belongs_to_the_bucket_below_it() {
        assert_eq!([1.0, 1.000_000_1, 2.0, 2.1, 0.5, 4.0].map(bucket), [0, 1, 8, 9, -8, 16]);
        assert_eq!(bucket(f64::MAX), 8192);
        assert_eq!(bucket(ZERO_THRESHOLD * 1.001), -1023);
    }

    #[test]
    fn every_sign_and_size_is_counted_where_it_belongs() {
        let native = Native::default();
        for value in [0.0, -0.0, 1e-300, 1.0, 1.0, -2.0, f64::MAX, f64::MIN] {
            native.observe(value);
        }
        let expected = NativeValue { zero: 3, positive: vec![(0, 2), (8192, 1)], negative: vec![(8, 1), (8192, 1)] };
        assert_eq!(native.seen(), expected);
    }

    proptest! {
        #[test]
        fn a_value_lies_between_its_buckets_bounds(value in 1e-30..1e30f64) {
            let index = bucket(value);
            let upper = |index: i32| (f64::from(index) / f64::from(PER_POWER)).exp2();
            prop_assert!(value <= upper(index) * (1.0 + 1e-12), "{value} is in bucket {index}");
            prop_assert!(value > upper(index - 1) * (1.0 - 1e-12), "{value} is in bucket {index}");
        }
    }
}
