//! Where a human decides: what is asked, and what follows the answer.

use super::unwind::Then;
use super::{Action, Done, Phase, Plan, PlanError};
use crate::validation::OnFail;
use serde::{Deserialize, Serialize};

/// What a human is asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ask {
    /// A stage's output that a check refused.
    Output(usize),
    /// The merged results that a check refused.
    Results(usize),
    /// Whether a stage may run.
    Before,
    /// Whether a stage's output may be taken over.
    After,
    /// What the agent itself asked.
    Agent,
}

/// What a human said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Go on with what is there.
    Approve,
    /// Go on with something changed, which is checked again.
    Update,
    /// Once more, with feedback.
    Retry,
    /// No.
    Reject,
    /// Give up and undo everything.
    Cancel,
}

/// A word that names no decision.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no decision; use one of approve, update, retry, reject, cancel")]
pub struct UnknownDecision(pub String);

impl std::str::FromStr for Decision {
    type Err = UnknownDecision;

    fn from_str(word: &str) -> Result<Self, UnknownDecision> {
        match word {
            "approve" => Ok(Self::Approve),
            "update" => Ok(Self::Update),
            "retry" => Ok(Self::Retry),
            "reject" => Ok(Self::Reject),
            "cancel" => Ok(Self::Cancel),
            _ => Err(UnknownDecision(word.to_owned())),
        }
    }
}

impl Plan {
    /// The agent of the running stage asks a human; the run waits for `decided`.
    pub fn asked(&mut self) -> Result<Action, PlanError> {
        let Phase::Running(stage) = self.state.phase else { return Err(self.out_of_turn("a question")) };
        Ok(self.await_answer(stage, Ask::Agent))
    }

    /// The answer to what the run waits for. Each is taken once: after it the run waits no more.
    pub fn decided(&mut self, decision: Decision) -> Result<Action, PlanError> {
        let Phase::Awaiting(stage, ask) = self.state.phase else { return Err(self.out_of_turn("a decision")) };
        if decision == Decision::Cancel {
            return Ok(self.unwind(0, Then::Cancel));
        }
        Ok(match ask {
            Ask::Output(check) => self.answered_about_output(stage, check, decision),
            Ask::Results(check) => self.answered_about_results(stage, check, decision),
            Ask::Before if decision == Decision::Reject => self.stop(OnFail::Reject, stage, None, None),
            Ask::Before => {
                self.state.approved[stage] = true;
                self.run(stage)
            }
            Ask::After => self.answered_after(stage, decision),
            // Also a refusal is an answer: the agent asked, the agent decides.
            Ask::Agent => self.run(stage),
        })
    }

    /// Whether a human must agree first; the run waits then.
    pub(super) fn ask_first(&mut self, stage: usize) -> Option<Action> {
        let ask = self.settings.of(stage).ask_before && !self.state.approved[stage];
        ask.then(|| self.await_answer(stage, Ask::Before))
    }

    pub(super) fn await_answer(&mut self, stage: usize, ask: Ask) -> Action {
        self.state.phase = Phase::Awaiting(stage, ask);
        Action::Ask { stage, ask }
    }

    fn answered_about_output(&mut self, stage: usize, check: usize, decision: Decision) -> Action {
        match decision {
            Decision::Approve => self.accept(stage, Done::Accepted),
            Decision::Update => self.judge_again(stage),
            Decision::Retry => self.retry(stage, Some(check)),
            _ => self.refused(stage, check),
        }
    }

    fn answered_about_results(&mut self, stage: usize, check: usize, decision: Decision) -> Action {
        match decision {
            // The human's word stands in for the check: nothing is missing.
            Decision::Approve => {
                self.state.phase = Phase::Accepting(stage, self.state.done[stage]);
                self.state.vouched = true;
                Action::Accept { stage }
            }
            Decision::Update => {
                self.state.reopen(stage);
                self.judge_again(stage)
            }
            Decision::Retry => {
                self.state.reopen(stage);
                self.retry(stage, Some(check))
            }
            _ => self.refused(stage, check),
        }
    }

    fn answered_after(&mut self, stage: usize, decision: Decision) -> Action {
        match decision {
            Decision::Approve => self.accept(stage, Done::Accepted),
            // Whoever changed it has seen it: it is checked again, but not shown again.
            Decision::Update => {
                self.state.seen_after = Some(stage);
                self.judge_again(stage)
            }
            Decision::Retry => self.retry(stage, None),
            _ => self.stop(OnFail::Reject, stage, None, None),
        }
    }

    /// A refusal goes back where the check says; where it says nothing the run ends.
    fn refused(&mut self, stage: usize, check: usize) -> Action {
        match self.settings.checks[check].rollback_to {
            Some(to) => self.go_back(stage, to.min(stage), Some(check)),
            None => self.stop(OnFail::Reject, stage, Some(check), None),
        }
    }

    fn judge_again(&mut self, stage: usize) -> Action {
        self.state.phase = Phase::Running(stage);
        Action::Judge { stage }
    }
}
