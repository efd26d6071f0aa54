//! Going back: undoing what stages did, from the last one backwards, each once, and then what comes after.

use super::{Action, Phase, Plan, PlanError};
use serde::{Deserialize, Serialize};

/// What follows when everything is undone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Then {
    /// The stage runs again.
    Again,
    /// The run is over: a human cancelled it.
    Cancel,
}

impl Plan {
    /// Stage `stage` did something outside that going back has to undo.
    pub fn touched(&mut self, stage: usize) {
        if let Some(touched) = self.state.touched.get_mut(stage) {
            *touched = true;
        }
    }

    /// The rollback is noted; what is to be done first.
    pub fn going_back(&mut self) -> Result<Action, PlanError> {
        let Phase::Unwinding(to, then) = self.state.phase else { return Err(self.out_of_turn("a rollback")) };
        Ok(self.unwind(to, then))
    }

    /// The compensation of the stage that `Action::Compensate` named is done and recorded.
    pub fn compensated(&mut self) -> Result<Action, PlanError> {
        let Phase::Unwinding(to, then) = self.state.phase else { return Err(self.out_of_turn("a compensation")) };
        if let Some(stage) = self.due(to) {
            self.state.touched[stage] = false;
            self.state.generations[stage] = self.state.generations[stage].saturating_add(1);
        }
        Ok(self.unwind(to, then))
    }

    /// Decides to go back, and says so; `going_back` goes on.
    pub(super) fn go_back(&mut self, from: usize, to: usize, check: Option<usize>) -> Action {
        self.state.phase = Phase::Unwinding(to, Then::Again);
        Action::Rollback { from, to, attempt: self.state.attempts[to].saturating_add(1), check }
    }

    /// The next compensation on the way back to `to`, or what comes after the last one.
    pub(super) fn unwind(&mut self, to: usize, then: Then) -> Action {
        self.state.phase = Phase::Unwinding(to, then);
        if let Some(stage) = self.due(to) {
            return Action::Compensate { stage };
        }
        if then == Then::Cancel {
            self.state.phase = Phase::Ended;
            return Action::Cancelled;
        }
        self.state.reopen(to);
        self.state.approved[to..].fill(false);
        self.run(to)
    }

    /// The last stage from `to` on that still has to be undone.
    fn due(&self, to: usize) -> Option<usize> {
        let due = |stage: &usize| self.settings.of(*stage).compensates && self.state.touched[*stage];
        (to..self.settings.stages.len()).rev().find(due)
    }
}
