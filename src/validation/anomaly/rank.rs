//! The rank test of one number and Holm's correction over several.
//!
//! Conformal (Vovk, Gammerman and Shafer 2005): the median is taken over the examples and the candidate together, so
//! that the distances of all of them from it are exchangeable if the numbers are. The p-value is then valid for every
//! distribution: at most a share `alpha` of honest candidates gets one of `alpha` or less.

/// The p-value of `candidate` among sorted finite examples: the share of distances that are no smaller than its own.
/// The smallest that there can be is `1 / (examples + 1)`.
pub(super) fn p_value(examples: &[f64], candidate: f64) -> f64 {
    let centre = joint_median(examples, candidate);
    let distance = (candidate - centre).abs();
    let below = examples.partition_point(|&number| centre - number >= distance);
    let above = examples[below..].partition_point(|&number| number - centre < distance);
    let no_nearer = examples.len() - above;
    (no_nearer + 1) as f64 / (examples.len() + 1) as f64
}

/// The median of sorted examples with one more number among them.
fn joint_median(examples: &[f64], candidate: f64) -> f64 {
    let place = examples.partition_point(|&number| number < candidate);
    let at = |position: usize| match position.cmp(&place) {
        std::cmp::Ordering::Less => examples[position],
        std::cmp::Ordering::Equal => candidate,
        std::cmp::Ordering::Greater => examples[position - 1],
    };
    let together = examples.len() + 1;
    let middle = together / 2;
    if together % 2 == 1 { at(middle) } else { at(middle - 1) / 2.0 + at(middle) / 2.0 }
}

/// Holm (1979): which of several p-values to believe so that, honest candidates given, the chance of believing any is
/// at most `alpha`, however the fields hang together.
pub(super) fn holm(p_values: &[f64], alpha: f64) -> Vec<bool> {
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|&one, &other| p_values[one].total_cmp(&p_values[other]));
    let mut believed = vec![false; p_values.len()];
    for (rank, &place) in order.iter().enumerate() {
        if p_values[place] > alpha / (p_values.len() - rank) as f64 {
            break;
        }
        believed[place] = true;
    }
    believed
}

/// Whether the rank test over this many examples can speak at all beside so many fields.
pub(super) fn can_speak(examples: usize, fields: usize, alpha: f64) -> bool {
    1.0 / (examples as f64 + 1.0) <= alpha / fields.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_farthest_number_has_the_smallest_p_value() {
        let examples: Vec<f64> = (0..99).map(f64::from).collect();
        assert_eq!(p_value(&examples, 1000.0), 0.01);
        assert_eq!(p_value(&examples, -1000.0), 0.01);
        assert_eq!(p_value(&examples, 49.0), 1.0);
        assert_eq!(p_value(&[7.0; 99], 7.0), 1.0);
        assert_eq!(p_value(&[7.0; 99], 7.1), 0.01);
        assert_eq!(p_value(&[], 3.0), 1.0);
    }

    #[test]
    fn holm_steps_down() {
        assert_eq!(holm(&[0.004, 0.2, 0.0033], 0.01), [true, false, true]);
        assert_eq!(holm(&[0.004, 0.2, 0.0034], 0.01), [false, false, false]);
        assert_eq!(holm(&[0.009, 0.004, 0.003], 0.01), [true, true, true]);
        assert_eq!(holm(&[], 0.01), [false; 0]);
    }

    #[test]
    fn one_field_needs_ninety_nine_examples() {
        assert!(can_speak(99, 1, 0.01));
        assert!(!can_speak(98, 1, 0.01));
        assert!(can_speak(512, 5, 0.01));
        assert!(!can_speak(512, 20, 0.01));
    }

    proptest! {
        /// The definition, word for word: put the candidate among the examples, measure from their common median, count.
        #[test]
        fn p_values_are_those_of_the_definition(mut examples in prop::collection::vec(-50..50i32, 0..60), candidate in -60..60i32) {
            examples.sort_unstable();
            let mut all: Vec<f64> = examples.iter().copied().map(f64::from).collect();
            let sorted = all.clone();
            all.push(f64::from(candidate));
            all.sort_by(f64::total_cmp);
            let centre = super::super::spread::median(&all).unwrap();
            let distance = (f64::from(candidate) - centre).abs();
            let count = all.iter().filter(|&&number| (number - centre).abs() >= distance).count();
            prop_assert_eq!(p_value(&sorted, f64::from(candidate)), count as f64 / all.len() as f64);
        }

        #[test]
        fn no_float_breaks_it(mut examples in prop::collection::vec(prop::num::f64::NORMAL, 0..40), candidate in prop::num::f64::NORMAL) {
            examples.sort_by(f64::total_cmp);
            let p = p_value(&examples, candidate);
            prop_assert!(p > 0.0 && p <= 1.0);
        }
    }
}
