//! A number against a threshold. Whatever is not a number that reaches it fails.

use super::observed::Observed;
use super::verdict::Outcome;

/// What was found where a score should be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Score {
    /// Nothing there.
    Missing,
    /// Something that is not a number; booleans are not numbers here.
    NotANumber,
    /// A number, possibly NaN.
    Found(f64),
}

impl Score {
    /// Reads a score from a field of `output`.
    #[must_use]
    pub fn of(output: &Observed, field: &str) -> Self {
        match output.at(field) {
            None | Some(Observed::Null) => Self::Missing,
            Some(value) => value.number().map_or(Self::NotANumber, Self::Found),
        }
    }

    /// The number, if there is one.
    #[must_use]
    pub fn number(self) -> Option<f64> {
        match self {
            Self::Found(number) => Some(number),
            _ => None,
        }
    }
}

/// Fails closed: a missing score, NaN or no number is an error, below the threshold is a failure.
#[must_use]
pub fn judge(score: Score, threshold: f64) -> Outcome {
    match score {
        Score::Found(number) if number >= threshold => Outcome::Passed,
        Score::Found(number) if !number.is_nan() => Outcome::Failed,
        _ => Outcome::Errored,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_number_that_reaches_the_threshold_passes() {
        assert_eq!(judge(Score::Found(70.0), 70.0), Outcome::Passed);
        assert_eq!(judge(Score::Found(69.9), 70.0), Outcome::Failed);
        assert_eq!(judge(Score::Found(f64::NAN), 70.0), Outcome::Errored);
        assert_eq!(judge(Score::Missing, f64::NEG_INFINITY), Outcome::Errored);
        assert_eq!(judge(Score::NotANumber, 0.0), Outcome::Errored);
    }

    #[test]
    fn true_is_not_a_score() {
        let output = Observed::Object(vec![("score".into(), Observed::Bool(true))]);
        assert_eq!(Score::of(&output, "score"), Score::NotANumber);
    }
}
