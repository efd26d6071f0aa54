//! What a plan says, and what it says when it is asked wrongly.

use crate::validation::OnFail;

/// What the driver is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Run a stage for the first time, or again after the run was resumed.
    Run {
        /// The stage.
        stage: usize,
        /// How often the stage was started, this start included.
        attempt: u32,
    },
    /// Take the stage's output over, then report `accepted`.
    Accept {
        /// The stage.
        stage: usize,
    },
    /// Check the merged results, then report `judged`.
    CheckFinal,
    /// Run the stage again with feedback; its last output is dropped.
    Retry {
        /// The stage.
        stage: usize,
        /// How often the stage was started, this start included.
        attempt: u32,
        /// The check that failed.
        check: usize,
    },
    /// Drop the outputs of `to` and of everything after it, then run `to` with feedback.
    Rollback {
        /// Where the check failed.
        from: usize,
        /// Where to go on.
        to: usize,
        /// How often `to` was started, this start included.
        attempt: u32,
        /// The check that failed.
        check: usize,
    },
    /// Go on without the stage's output (after the last stage: in spite of the check), then report `accepted`.
    Skip {
        /// The stage.
        stage: usize,
        /// The check that failed.
        check: usize,
    },
    /// Take the check's substitute as the stage's output, then report `accepted`.
    Fallback {
        /// The stage.
        stage: usize,
        /// The check that failed.
        check: usize,
    },
    /// Stop; `how` is escalate, fail, reject or abort.
    Stop {
        /// How the run ends.
        how: OnFail,
        /// Where.
        stage: usize,
        /// The check that failed; none when the run's budget of attempts is spent.
        check: Option<usize>,
    },
    /// Done. Partial if a stage was skipped or substituted, or a check waived.
    Complete {
        /// Whether anything is missing.
        partial: bool,
    },
}

/// A report that does not fit where the run stands.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// A report at the wrong time.
    #[error("{event} was reported while the run is {phase}; this is a fault of the program that drives the plan")]
    OutOfTurn {
        /// What was reported.
        event: &'static str,
        /// Where the run stands.
        phase: String,
    },
    /// A stage that does not exist or did not run yet.
    #[error("stage {0:?} has not run yet, so there is nothing to go back to; {1}")]
    NotRun(String, String),
    /// Settings that cannot work.
    #[error("{0}")]
    Settings(String),
    /// A stored state that does not belong to these settings.
    #[error("the stored progress does not fit this pipeline: {0}")]
    Foreign(String),
}
