//! Where the numbers of a field lie, and which of them stand so far off that they must not count as examples.
//!
//! The scale is the median absolute deviation, made comparable with a standard deviation (Hampel 1974; Iglewicz and
//! Hoaglin 1993). Eight of these is where a number may be a stranger; that alone is not enough, because on lognormal
//! data nearly two of a hundred honest numbers lie beyond it. A stranger also stands apart: a gap lies between it and
//! the farthest number that belongs. And strangers are rare: a far mode with many numbers is a part of the field.

use super::family::{ACTS_FROM, GAP};

/// Beyond this many scales a number may be a stranger.
const FAR: f64 = 8.0;
/// A larger share of the numbers than this belongs, wherever it lies.
const RARE: f64 = 0.08;
/// The share of a mode that must not be taken for strangers, even if it shows less often than it should: of few numbers
/// it may by chance be under the share above, and then every one of its numbers would be a false alarm.
const MODE: f64 = 0.15;
/// By how many deviations it may show less often.
const DOUBT: f64 = 2.5;
/// From the median absolute deviation to the standard deviation of a normal distribution.
const MEDIAN_TO_SIGMA: f64 = 1.4826;
/// The same from the mean absolute deviation, which speaks where more than half of the numbers are equal.
const MEAN_TO_SIGMA: f64 = 1.2533;
/// The scale is at least this share of the median.
const RELATIVE_FLOOR: f64 = 0.01;

/// The middle and the reach of a field.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Spread {
    /// The median.
    pub median: f64,
    /// The scale, never zero.
    pub scale: f64,
    /// The distance from the median of the farthest number that belongs.
    pub reach: f64,
    /// The distance that `apart` compares with: of few numbers all belong, because two of them may be a mode.
    farthest: f64,
}

impl Spread {
    /// Reads a spread off sorted finite numbers; none for an empty slice. The scale is at least `floor`.
    pub(super) fn of(sorted: &[f64], floor: f64) -> Option<Self> {
        let median = median(sorted)?;
        let distances = distances(sorted, median);
        let scale = scale(&distances, median).max(floor);
        let reach = reach(&distances, scale);
        let farthest = if sorted.len() < ACTS_FROM { *distances.last()? } else { reach };
        Some(Self { median, scale, reach, farthest })
    }

    /// How many times farther off `number` is than the farthest number that belongs; 0 within eight scales.
    pub(super) fn apart(&self, number: f64) -> f64 {
        let distance = (number - self.median).abs();
        if distance > FAR * self.scale { distance / self.farthest } else { 0.0 }
    }

    /// The part of `sorted` that belongs; it is never empty if `sorted` is not.
    pub(super) fn belonging<'a>(&self, sorted: &'a [f64]) -> &'a [f64] {
        let first = sorted.partition_point(|&number| self.median - number > self.reach);
        let end = sorted.partition_point(|&number| number - self.median <= self.reach);
        &sorted[first..end]
    }
}

/// The middle number, or the mean of the two middle ones, without overflow.
pub(super) fn median(sorted: &[f64]) -> Option<f64> {
    let middle = sorted.len() / 2;
    let upper = *sorted.get(middle)?;
    Some(if sorted.len() % 2 == 1 { upper } else { sorted[middle - 1] / 2.0 + upper / 2.0 })
}

/// The distances of sorted numbers from their median, least first: both sides are sorted already and only merged.
fn distances(sorted: &[f64], median: f64) -> Vec<f64> {
    let split = sorted.partition_point(|&number| number < median);
    let (mut below, mut above) = (sorted[..split].iter().rev().peekable(), sorted[split..].iter().peekable());
    let mut merged = Vec::with_capacity(sorted.len());
    loop {
        let next = match (below.peek(), above.peek()) {
            (Some(&&low), Some(&&high)) if median - low <= high - median => below.next().map(|low| median - low),
            (Some(_), None) => below.next().map(|low| median - low),
            _ => above.next().map(|high| high - median),
        };
        match next {
            Some(distance) => merged.push(distance),
            None => return merged,
        }
    }
}

fn scale(distances: &[f64], median: f64) -> f64 {
    let typical = self::median(distances).unwrap_or(0.0);
    let spread = if typical > 0.0 {
        MEDIAN_TO_SIGMA * typical
    } else {
        // The sum of shares, not the share of the sum: that could overflow.
        MEAN_TO_SIGMA * distances.iter().map(|distance| distance / distances.len() as f64).sum::<f64>()
    };
    spread.max(RELATIVE_FLOOR * median.abs()).max(f64::MIN_POSITIVE)
}

/// The distance of the farthest number that belongs, over sorted distances.
fn reach(distances: &[f64], scale: f64) -> f64 {
    let near = distances.partition_point(|&distance| distance <= FAR * scale);
    let mut belonging = near;
    while belonging < distances.len() && distances[belonging] <= GAP * distances[belonging.saturating_sub(1)] {
        belonging += 1;
    }
    let strangers = distances.len() - belonging;
    let last = if strangers as f64 > most_strangers(distances.len()) { distances.len() } else { belonging };
    last.checked_sub(1).map_or(0.0, |place| distances[place])
}

fn most_strangers(known: usize) -> f64 {
    let known = known as f64;
    (RARE * known).min(MODE * known - DOUBT * (MODE * (1.0 - MODE) * known).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn spread(mut numbers: Vec<f64>) -> Spread {
        numbers.sort_by(f64::total_cmp);
        Spread::of(&numbers, 0.0).unwrap()
    }

    fn is_stranger(spread: Spread, number: f64) -> bool {
        spread.apart(number) > GAP
    }

    fn body() -> Vec<f64> {
        (0..100).map(|step| f64::from(step) / 10.0).collect()
    }

    #[test]
    fn a_few_far_numbers_do_not_belong_and_change_nothing() {
        let clean = spread(body());
        let stained = spread([body(), vec![500.0; 5]].concat());
        assert!(stained.reach < 6.0 && is_stranger(stained, 500.0), "{stained:?}");
        assert_eq!(is_stranger(clean, 80.0), is_stranger(stained, 80.0));
        let mut sorted = [body(), vec![500.0; 5]].concat();
        sorted.sort_by(f64::total_cmp);
        assert_eq!(stained.belonging(&sorted), body());
    }

    #[test]
    fn many_far_numbers_are_a_part_of_the_field() {
        let modes = spread([body(), vec![500.0; 10]].concat());
        assert!(!is_stranger(modes, 500.0));
    }

    #[test]
    fn of_few_numbers_fewer_may_be_strangers() {
        let most = [100, 150, 200, 512].map(|known| most_strangers(known).floor());
        assert_eq!(most, [6.0, 11.0, 16.0, 40.0]);
        let small_mode = |count| spread([body(), vec![500.0; count]].concat());
        assert!(is_stranger(small_mode(6), 500.0) && !is_stranger(small_mode(7), 500.0));
    }

    #[test]
    fn a_tail_that_thins_out_belongs() {
        let tail = (1..7).map(|step| 5.0 + 10.0 * 1.5_f64.powi(step));
        let heavy = spread(body().into_iter().chain(tail).collect());
        assert!(!is_stranger(heavy, 150.0), "{heavy:?}");
    }

    #[test]
    fn equal_numbers_have_floors() {
        assert!(!is_stranger(spread(vec![1.0; 50]), 1.07));
        assert!(is_stranger(spread(vec![1.0; 50]), 1.09));
        assert!(is_stranger(spread(vec![0.0; 50]), 1e-6));
        let counts = Spread::of(&[0.0; 50], 0.5).unwrap();
        assert!(!is_stranger(counts, 4.0) && is_stranger(counts, 5.0));
        let nearly = [vec![0.5; 95], vec![3.5; 5]].concat();
        assert!(is_stranger(spread(nearly), 3.5));
    }

    proptest! {
        #[test]
        fn any_finite_numbers_have_a_spread(mut numbers in prop::collection::vec(prop::num::f64::NORMAL | prop::num::f64::ZERO | prop::num::f64::SUBNORMAL, 1..60), other in any::<f64>()) {
            numbers.sort_by(f64::total_cmp);
            let spread = Spread::of(&numbers, 0.0).unwrap();
            prop_assert!(spread.scale > 0.0 && spread.reach >= 0.0 && spread.median.is_finite());
            prop_assert!(!spread.belonging(&numbers).is_empty());
            prop_assert!(spread.apart(other).is_nan() == other.is_nan() || spread.apart(other) >= 0.0);
        }

        #[test]
        fn distances_are_those_of_a_plain_sort(mut numbers in prop::collection::vec(-1e6..1e6, 1..60)) {
            numbers.sort_by(f64::total_cmp);
            let centre = median(&numbers).unwrap();
            let mut plain: Vec<f64> = numbers.iter().map(|number: &f64| (number - centre).abs()).collect();
            plain.sort_by(f64::total_cmp);
            prop_assert_eq!(distances(&numbers, centre), plain);
        }
    }
}
