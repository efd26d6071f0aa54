//! A family of tests on one output, decided together so that many fields do not make many false alarms.

use super::finding::Severity;
use super::rank::{can_speak, holm};

/// With fewer examples nothing is said.
pub(super) const SILENT_BELOW: usize = 20;
/// With fewer examples nothing acts.
pub(super) const ACTS_FROM: usize = 100;
/// What is farther off than the farthest example by this factor stands apart.
pub(super) const GAP: f64 = 2.5;

/// One test that was made on an output.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Test {
    /// How likely something at least as unusual is among accepted outputs.
    pub p_value: f64,
    /// How many examples the p-value was counted over.
    pub examples: usize,
    /// How many accepted outputs are known.
    pub known: usize,
    /// How many times farther off it is than the farthest example, 0 for what is not far off at all. Being rare is
    /// reason to warn; being rare and standing apart is reason to act.
    pub apart: f64,
}

impl Test {
    /// A test of something that happened in `hits` of `known` accepted outputs; never seen is as far off as it gets.
    pub(super) fn of_a_rare_thing(hits: usize, known: usize) -> Self {
        let p_value = (hits.min(known) + 1) as f64 / (known + 1) as f64;
        Self { p_value, examples: known, known, apart: if hits == 0 { f64::INFINITY } else { 0.0 } }
    }

    fn stands_apart(&self, by: f64) -> bool {
        self.apart > by
    }
}

/// How far apart something must stand where ranks cannot speak. That it is the farthest of all has a chance of
/// `fields / (examples + 1)`; that it is so by a factor `x` as well one of about `x^-2.5` for tails as heavy as any
/// that are usual. Together this is kept to `alpha`.
fn gap(examples: usize, fields: usize, alpha: f64) -> f64 {
    (fields as f64 / (examples as f64 + 1.0) / alpha).powf(0.4).max(GAP)
}

/// What follows from each test. Where ranks cannot speak beside so many others, being far off is a warning.
pub(super) fn decide(tests: &[Test], alpha: f64) -> Vec<Option<Severity>> {
    let p_values: Vec<f64> = tests.iter().map(|test| test.p_value).collect();
    let believed = holm(&p_values, alpha);
    let decide_one = |(test, believed): (&Test, bool)| {
        if test.known < SILENT_BELOW {
            None
        } else if !can_speak(test.examples, tests.len(), alpha) {
            test.stands_apart(gap(test.examples, tests.len(), alpha)).then_some(Severity::Warning)
        } else if test.stands_apart(GAP) && test.known >= ACTS_FROM {
            believed.then_some(Severity::Action)
        } else {
            believed.then_some(Severity::Warning)
        }
    };
    tests.iter().zip(believed).map(decide_one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use Severity::{Action, Warning};

    fn stranger(known: usize) -> Test {
        Test { p_value: 1.0 / (known as f64 + 1.0), examples: known, known, apart: 3.0 }
    }

    #[test]
    fn few_examples_are_silent_some_warn_many_act() {
        let said = |known| decide(&[stranger(known)], 0.01)[0];
        assert_eq!([19, 20, 98, 99, 100].map(said), [None, Some(Warning), Some(Warning), Some(Warning), Some(Action)]);
    }

    #[test]
    fn what_is_rare_but_not_far_off_only_warns() {
        let rare = Test { apart: 2.0, ..stranger(200) };
        assert_eq!(decide(&[rare], 0.01), [Some(Warning)]);
        assert_eq!(decide(&[Test { p_value: 0.02, ..rare }], 0.01), [None]);
        assert_eq!(decide(&[Test { apart: 2.0, ..stranger(98) }], 0.01), [None]);
    }

    #[test]
    fn among_too_many_fields_ranks_are_silent_and_distance_warns() {
        let common = Test { p_value: 0.5, apart: 2.0, ..stranger(200) };
        let mut tests = vec![common; 20];
        tests[7] = stranger(200);
        let mut expected = vec![None; 20];
        expected[7] = Some(Warning);
        assert_eq!(decide(&tests, 0.01), expected);
        tests[7].examples = 50;
        assert_eq!(decide(&tests, 0.01), [None; 20], "the fewer the examples, the farther off it has to be");
        tests[7] = stranger(4_000);
        tests.iter_mut().for_each(|test| test.examples = 4_000);
        assert_eq!(decide(&tests, 0.01)[7], Some(Action));
    }

    #[test]
    fn a_rare_thing_is_counted() {
        let test = Test::of_a_rare_thing(1, 199);
        assert_eq!((test.p_value, test.apart), (0.01, 0.0));
        assert_eq!(Test::of_a_rare_thing(0, 50).apart, f64::INFINITY);
    }
}
