//! One number against the numbers of its field.
//!
//! Which numbers a candidate is ranked among decides how honest the p-value is. Ranked among all, it is valid for every
//! distribution. Ranked among those that belong, it is not: strangers are picked out by their size, so whatever stands
//! next to them would move up a rank (on lognormal data 1.18 % false alarms in place of 0.99 % at 100 known). So only a
//! candidate that is a stranger itself is ranked without the other strangers. Honest data pay for that where three or
//! more of their numbers stand together beyond the gap, which costs less than 0.05 % on the seven distributions.

use super::family::{GAP, SILENT_BELOW, Test};
use super::rank::p_value;
use super::series::Series;
use super::spread::Spread;

/// A number's test, and what it was held against.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct NumberTest {
    /// For the family's decision.
    pub test: Test,
    /// The field's spread.
    pub spread: Spread,
    /// How far from the median the bulk of the examples reaches.
    pub bulk: f64,
}

/// Tests a finite `candidate`; none where the field has too few numbers, or is a counter or a clock.
pub(super) fn test(series: &Series, candidate: f64, floor: f64, alpha: f64) -> Option<NumberTest> {
    let sorted = series.sorted();
    if sorted.len() < SILENT_BELOW || series.is_running() || !candidate.is_finite() {
        return None;
    }
    let spread = Spread::of(sorted, floor)?;
    let (belonging, apart) = (spread.belonging(sorted), spread.apart(candidate));
    let examples = if apart > GAP { belonging } else { sorted };
    let test = Test { p_value: p_value(examples, candidate), examples: examples.len(), known: sorted.len(), apart };
    Some(NumberTest { test, spread, bulk: bulk(belonging, spread.median, alpha) })
}

/// The distance from the median that all examples but a share of about `alpha` keep.
fn bulk(examples: &[f64], median: f64, alpha: f64) -> f64 {
    let allowed = (alpha * (examples.len() + 1) as f64) as usize;
    let (mut first, mut last) = (0, examples.len().saturating_sub(1));
    let distance = |place: usize| examples.get(place).map_or(0.0, |number| (number - median).abs());
    for _ in 1..allowed {
        if distance(first) >= distance(last) { first += 1 } else { last = last.saturating_sub(1) }
    }
    distance(first).max(distance(last))
}

/// A number for messages: at most six digits that count.
pub(super) fn show(number: f64) -> String {
    let size = number.abs();
    if number == 0.0 || !number.is_finite() {
        return number.to_string();
    }
    if !(1e-4..1e12).contains(&size) {
        return format!("{number:.3e}");
    }
    let decimals = (5 - size.log10().floor() as i32).max(0) as usize;
    let text = format!("{number:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_are_shown_short() {
        let shown = [0.0, 2.0, 1_234_567.0, 0.1 + 0.2, -12.345678, 1e300, 1e-9, 100.0].map(show);
        assert_eq!(shown, ["0", "2", "1234567", "0.3", "-12.3457", "1.000e300", "1.000e-9", "100"]);
    }

    #[test]
    fn the_bulk_leaves_the_extremes_out() {
        let examples: Vec<f64> = (0..399).map(f64::from).collect();
        assert_eq!(bulk(&examples, 199.0, 0.01), 198.0);
        assert_eq!(bulk(&examples[..50], 24.5, 0.01), 24.5);
        assert_eq!(bulk(&[], 0.0, 0.01), 0.0);
    }

    fn series(numbers: impl IntoIterator<Item = f64>) -> Series {
        Series::of(numbers.into_iter().collect())
    }

    /// 100 numbers from -4.5 to 4.5, in no order that a counter would have.
    fn body() -> impl Iterator<Item = f64> {
        (0..100).map(|step| f64::from(step * 37 % 100) / 11.0 - 4.5)
    }

    fn p_value_of(series: &Series, candidate: f64) -> f64 {
        test(series, candidate, 0.0, 0.01).unwrap().test.p_value
    }

    #[test]
    fn a_stranger_among_the_known_makes_no_other_number_rarer() {
        let stained = series(body().chain([500.0]));
        assert_eq!(p_value_of(&series(body()), 5.0), 1.0 / 101.0);
        assert_eq!(p_value_of(&stained, 5.0), 2.0 / 102.0);
        assert_eq!(p_value_of(&stained, 11.0), 2.0 / 102.0, "farther than all that belong, and no stranger");
    }

    #[test]
    fn strangers_among_the_known_do_not_hide_the_next() {
        let stained = series(body().chain([500.0; 5]));
        assert_eq!(p_value_of(&stained, 500.0), 1.0 / 101.0);
        assert_eq!(p_value_of(&stained, 80.0), 1.0 / 101.0);
    }

    proptest! {
        /// Which numbers came is all that counts, unless they came as those of a counter do.
        #[test]
        fn the_order_of_arrival_does_not_matter(mut numbers in prop::collection::vec(-1e3..1e3f64, 20..80), candidate in -1e4..1e4f64, seed in any::<u64>()) {
            let filled = |numbers: &[f64]| {
                let mut series = Series::default();
                numbers.iter().for_each(|&number| series.push(number, 200));
                series
            };
            let before = filled(&numbers);
            let length = numbers.len() as u64;
            for place in 0..numbers.len() {
                numbers.swap(place, (seed.wrapping_mul(place as u64 | 1) % length) as usize);
            }
            let after = filled(&numbers);
            prop_assume!(!before.is_running() && !after.is_running());
            prop_assert_eq!(test(&before, candidate, 0.0, 0.01), test(&after, candidate, 0.0, 0.01));
        }

        #[test]
        fn no_float_breaks_a_test(numbers in prop::collection::vec(any::<f64>(), 0..60), candidate in any::<f64>()) {
            let mut series = Series::default();
            numbers.iter().for_each(|&number| series.push(number, 40));
            if let Some(found) = test(&series, candidate, 0.0, 0.01) {
                prop_assert!(found.test.p_value > 0.0 && found.test.p_value <= 1.0);
                let _ = (show(found.spread.median), show(found.bulk));
            }
        }
    }
}
