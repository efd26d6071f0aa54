//! What a run does next: events in, one action out. A loop with budgets, never recursion.
//!
//! Pure: no clock, no I/O, no threads. Whoever drives it runs stages and checks, reports what happened, and stores
//! `State` beside each checkpoint, so that what was spent before a crash stays spent after it.

mod action;
mod backoff;
mod budget;
mod human;
#[cfg(test)]
mod properties;
mod settings;
mod state;
#[cfg(test)]
mod tests;
mod unwind;

pub use action::{Action, PlanError};
pub use backoff::backoff;
pub use budget::{Amount, Budget};
pub use human::{Ask, Decision, UnknownDecision};
pub use settings::{Check, Limit, Settings, Traits};
pub use state::{Done, MAX_STATE, Phase, Seen, State};
pub use unwind::Then;

use std::sync::Arc;

use crate::validation::OnFail;
use state::Tried;

/// A run's progress under its settings.
#[derive(Debug, Clone)]
pub struct Plan {
    settings: Arc<Settings>,
    state: State,
}

impl Plan {
    /// A run that has not begun.
    pub fn new(settings: Settings) -> Result<Self, PlanError> {
        settings.validate()?;
        let state = State::new(settings.stages.len(), settings.checks.len());
        Ok(Self { settings: Arc::new(settings), state })
    }

    /// A run under the same settings that has not begun.
    #[must_use]
    pub fn fresh(&self) -> Self {
        let state = State::new(self.settings.stages.len(), self.settings.checks.len());
        Self { settings: Arc::clone(&self.settings), state }
    }

    /// A run that was stored with `state`.
    pub fn restore(settings: Settings, state: State) -> Result<Self, PlanError> {
        settings.validate()?;
        let state = state.complete_lists(settings.stages.len());
        state.fits(&settings)?;
        Ok(Self { settings: Arc::new(settings), state })
    }

    /// What to store.
    #[must_use]
    pub fn state(&self) -> &State {
        &self.state
    }

    /// The settings.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Begins, or goes on after a crash or a stop: with what was being undone, with the question that waits for its
    /// answer, or with the first stage that has no output.
    ///
    /// Somebody asked for it, so it does not draw on the run's budget of attempts; the others hold for it too.
    pub fn begin(&mut self) -> Action {
        match self.state.phase {
            Phase::Unwinding(to, then) => return self.unwind(to, then),
            Phase::Awaiting(stage, ask) => return Action::Ask { stage, ask },
            _ => {}
        }
        match self.state.done.iter().position(|done| *done == Done::Open) {
            Some(stage) => match self.lacking_but_starts(stage) {
                Some(budget) => self.stop(OnFail::Fail, stage, None, Some(budget)),
                None => self.run(stage),
            },
            None => self.finish(),
        }
    }

    /// The checks that ran have spoken; `failures` are the failed ones.
    ///
    /// `fingerprint` stands for what was wrong with what output. The same one again means that what was tried against
    /// it changed nothing: its retries count as exhausted, and after a rollback its rollbacks too.
    pub fn judged(&mut self, failures: &[usize], fingerprint: Option<&str>) -> Result<Action, PlanError> {
        let stage = self.standing("a verdict")?;
        if let Some(unknown) = failures.iter().find(|check| **check >= self.settings.checks.len()) {
            return Err(PlanError::Settings(format!("there is no check number {unknown}")));
        }
        if !failures.is_empty() {
            let tried = self.state.remember(stage, fingerprint);
            let action = self.decide(stage, failures, tried);
            if matches!(action, Action::Rollback { .. }) {
                self.state.rolled_back(stage, fingerprint);
            }
            return Ok(action);
        }
        if self.state.phase == Phase::Finalising {
            return Ok(self.complete());
        }
        if self.settings.of(stage).ask_after && self.state.seen_after != Some(stage) {
            return Ok(self.await_answer(stage, Ask::After));
        }
        Ok(self.accept(stage, Done::Accepted))
    }

    /// Every check passed: `judged`, and where that takes the output over, `accepted` as well; whether it did.
    pub fn passed(&mut self) -> Result<(bool, Action), PlanError> {
        match self.judged(&[], None)? {
            Action::Accept { .. } => Ok((true, self.accepted()?)),
            action => Ok((false, action)),
        }
    }

    /// The output of the running stage lacks a part: the stage may be accepted, the run will be partial.
    pub fn damaged(&mut self) -> Result<(), PlanError> {
        let Phase::Running(stage) = self.state.phase else { return Err(self.out_of_turn("a damage")) };
        self.state.damaged[stage] = true;
        Ok(())
    }

    /// The output, the skip or the substitute is recorded.
    pub fn accepted(&mut self) -> Result<Action, PlanError> {
        let Phase::Accepting(stage, done) = self.state.phase else { return Err(self.out_of_turn("an acceptance")) };
        self.state.done[stage] = done;
        self.state.touched[stage] |= done != Done::Skipped;
        if stage + 1 < self.settings.stages.len() {
            return Ok(self.charge(stage + 1).unwrap_or_else(|| self.run(stage + 1)));
        }
        let settled = self.state.waived || self.state.vouched;
        Ok(if settled { self.complete() } else { self.finish() })
    }

    /// Somebody outside wants to go back to the state before `stage`; returns its number. `begin` undoes what has to be
    /// undone and goes on from there. Asking twice is asking once.
    pub fn rollback_to(&mut self, stage: &str) -> Result<usize, PlanError> {
        let names = &self.settings.stages;
        let not_run = || PlanError::NotRun(stage.into(), format!("the stages are {}", names.join(", ")));
        let to = names.iter().position(|name| name == stage).ok_or_else(not_run)?;
        if self.state.attempts[to] == 0 {
            return Err(not_run());
        }
        self.state.phase = Phase::Unwinding(to, Then::Again);
        Ok(to)
    }

    fn decide(&mut self, stage: usize, failures: &[usize], tried: Tried) -> Action {
        let steps: Vec<_> = failures.iter().map(|check| (*check, self.step(*check, stage, tried))).collect();
        // The first of equals speaks, in the order in which the checks are listed.
        let chosen = steps.iter().rev().max_by_key(|(_, step)| *step).copied();
        let Some((check, step)) = chosen else { return Action::Accept { stage } };
        self.spend(stage, step, &steps);
        match step {
            OnFail::Retry => self.charge(stage).unwrap_or_else(|| self.retry(stage, Some(check))),
            OnFail::Rollback => {
                let to = self.earliest_target(stage, &steps);
                self.charge(to).unwrap_or_else(|| self.go_back(stage, to, Some(check)))
            }
            OnFail::Skip => self.settle(stage, Done::Skipped, Action::Skip { stage, check }),
            OnFail::Fallback => self.settle(stage, Done::Substituted, Action::Fallback { stage, check }),
            OnFail::Escalate if self.state.phase == Phase::Finalising => self.await_answer(stage, Ask::Results(check)),
            OnFail::Escalate => self.await_answer(stage, Ask::Output(check)),
            how => self.stop(how, stage, Some(check), None),
        }
    }

    /// The first rung of the check's ladder that still has budget.
    fn step(&self, check: usize, stage: usize, tried: Tried) -> OnFail {
        let spec = &self.settings.checks[check];
        let open = |step: &&OnFail| match step {
            OnFail::Retry => {
                tried == Tried::Nothing && self.state.retries[check][stage] < spec.retries && self.affords(stage)
            }
            OnFail::Rollback => {
                let open = tried != Tried::Rollback && self.state.rollbacks[check][stage] < spec.rollbacks;
                open && self.affords(self.target(check, stage))
            }
            _ => true,
        };
        // `Settings::validate` saw that the last rung needs no budget.
        spec.ladder.iter().find(open).copied().unwrap_or(OnFail::Fail)
    }

    /// Every check that wanted the step taken pays for it.
    fn spend(&mut self, stage: usize, step: OnFail, steps: &[(usize, OnFail)]) {
        for (check, _) in steps.iter().filter(|(_, wanted)| *wanted == step) {
            match step {
                OnFail::Retry => self.state.retries[*check][stage] += 1,
                OnFail::Rollback => self.state.rollbacks[*check][stage] += 1,
                _ => {}
            }
        }
    }

    fn earliest_target(&self, stage: usize, steps: &[(usize, OnFail)]) -> usize {
        let wanting = steps.iter().filter(|(_, step)| *step == OnFail::Rollback);
        wanting.map(|(check, _)| self.target(*check, stage)).min().unwrap_or(stage)
    }

    fn target(&self, check: usize, stage: usize) -> usize {
        self.settings.checks[check].rollback_to.unwrap_or(stage.saturating_sub(1)).min(stage)
    }

    fn run(&mut self, stage: usize) -> Action {
        self.ask_first(stage).unwrap_or_else(|| Action::Run { stage, attempt: self.state.start(stage) })
    }

    fn retry(&mut self, stage: usize, check: Option<usize>) -> Action {
        self.state.reopen(stage);
        Action::Retry { stage, attempt: self.state.start(stage), check }
    }

    fn accept(&mut self, stage: usize, done: Done) -> Action {
        self.state.phase = Phase::Accepting(stage, done);
        Action::Accept { stage }
    }

    /// A stage that goes on damaged. After the last stage the failed check is waived rather than checked again.
    fn settle(&mut self, stage: usize, done: Done, action: Action) -> Action {
        let after_the_last = self.state.phase == Phase::Finalising;
        let done = if after_the_last && done == Done::Skipped { self.state.done[stage] } else { done };
        self.state.waived |= after_the_last;
        self.state.phase = Phase::Accepting(stage, done);
        action
    }

    fn stop(&mut self, how: OnFail, stage: usize, check: Option<usize>, budget: Option<Budget>) -> Action {
        self.state.phase = Phase::Ended;
        Action::Stop { how, stage, check, budget }
    }

    fn finish(&mut self) -> Action {
        if !self.settings.final_checks {
            return self.complete();
        }
        self.state.phase = Phase::Finalising;
        Action::CheckFinal
    }

    fn complete(&mut self) -> Action {
        self.state.phase = Phase::Ended;
        let damaged = self.state.damaged.iter().any(|damaged| *damaged);
        let whole = !damaged && self.state.done.iter().all(|done| *done == Done::Accepted);
        Action::Complete { partial: !whole || self.state.waived }
    }

    /// The stage that a verdict is about.
    fn standing(&self, event: &'static str) -> Result<usize, PlanError> {
        match self.state.phase {
            Phase::Running(stage) => Ok(stage),
            Phase::Finalising => Ok(self.settings.stages.len() - 1),
            _ => Err(self.out_of_turn(event)),
        }
    }

    fn out_of_turn(&self, event: &'static str) -> PlanError {
        PlanError::OutOfTurn { event, phase: format!("{:?}", self.state.phase) }
    }
}
