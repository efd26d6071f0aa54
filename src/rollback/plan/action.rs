//! What a plan says, and what it says when it is asked wrongly.

use super::{Ask, Budget};
use crate::validation::OnFail;

/// What the driver is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Run a stage, then report `judged` (or `asked`).
    Run {
        /// The stage.
        stage: usize,
        /// How often the stage was started, this start included.
        attempt: u32,
    },
    /// Judge the stage's output again, which a human changed, then report `judged`.
    Judge {
        /// The stage.
        stage: usize,
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
        /// The check that failed; none when a human wants it.
        check: Option<usize>,
    },
    /// The run goes back: `to` will be told the feedback. Then report `going_back`.
    Rollback {
        /// Where the check failed.
        from: usize,
        /// Where to go on.
        to: usize,
        /// How often `to` will have been started then.
        attempt: u32,
        /// The check that failed.
        check: Option<usize>,
    },
    /// Undo what the stage did, then report `compensated`.
    Compensate {
        /// The stage.
        stage: usize,
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
    /// Ask a human, store everything and stop; `decided` goes on.
    Ask {
        /// The stage.
        stage: usize,
        /// What about.
        ask: Ask,
    },
    /// Stop; `how` is fail, reject or abort.
    Stop {
        /// How the run ends.
        how: OnFail,
        /// Where.
        stage: usize,
        /// The check that failed, if one did.
        check: Option<usize>,
        /// The budget that is spent, if one is.
        budget: Option<Budget>,
    },
    /// Over: a human cancelled the run, and everything is undone.
    Cancelled,
    /// Done. Partial if a stage was skipped, substituted or damaged, or a check waived.
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
