//! What a check says, and what is to follow when it fails.

/// What a check said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The output is good.
    Passed,
    /// The output is not.
    Failed,
    /// The check could not tell, which counts as a failure.
    Errored,
}

impl Outcome {
    /// The word used in events and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::Errored => "error",
        }
    }
}

/// What follows a failed check, from the mildest to the most severe; the order decides when several checks fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OnFail {
    /// Go on without the stage's output.
    Skip,
    /// Go on with a substitute.
    Fallback,
    /// Run the stage again with feedback.
    Retry,
    /// Go back to an earlier stage with feedback.
    Rollback,
    /// Stop and ask a human.
    Escalate,
    /// Stop: the stage broke.
    Fail,
    /// Stop: the output was refused.
    Reject,
    /// Stop at once.
    Abort,
}

/// A word that names no action.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an action for a failed check; use one of retry, rollback, escalate, skip, fallback, abort")]
pub struct UnknownAction(pub String);

impl OnFail {
    /// All actions with their words, mildest first.
    pub const WORDS: [(&'static str, Self); 8] = [
        ("skip", Self::Skip),
        ("fallback", Self::Fallback),
        ("retry", Self::Retry),
        ("rollback", Self::Rollback),
        ("escalate", Self::Escalate),
        ("fail", Self::Fail),
        ("reject", Self::Reject),
        ("abort", Self::Abort),
    ];

    /// The word of this action.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::WORDS[self as usize].0
    }

    /// Whether the run may go on for ever with it unless a budget says otherwise.
    #[must_use]
    pub fn needs_budget(self) -> bool {
        matches!(self, Self::Retry | Self::Rollback)
    }
}

impl std::str::FromStr for OnFail {
    type Err = UnknownAction;

    fn from_str(word: &str) -> Result<Self, UnknownAction> {
        let found = Self::WORDS.iter().find(|(name, _)| *name == word);
        found.map(|(_, action)| *action).ok_or_else(|| UnknownAction(word.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_action_has_its_own_word() {
        for (word, action) in OnFail::WORDS {
            assert_eq!(word.parse::<OnFail>().unwrap(), action);
            assert_eq!(action.as_str(), word);
        }
        assert!("explode".parse::<OnFail>().unwrap_err().to_string().contains("retry, rollback"));
    }

    #[test]
    fn severity_is_abort_escalate_rollback_retry_fallback_skip() {
        let order = [OnFail::Abort, OnFail::Escalate, OnFail::Rollback, OnFail::Retry, OnFail::Fallback, OnFail::Skip];
        assert!(order.windows(2).all(|pair| pair[0] > pair[1]));
    }
}
