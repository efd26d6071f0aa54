//! What a plan is built from.

use super::PlanError;
use super::budget::Amount;
use crate::validation::OnFail;

/// One check and what follows when it fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// Its name, for messages.
    pub name: String,
    /// What to do, in order: the next rung is taken when a retry or rollback has no budget left.
    pub ladder: Vec<OnFail>,
    /// Where a rollback goes; none for the stage before the one that failed.
    pub rollback_to: Option<usize>,
    /// Retries per stage.
    pub retries: u32,
    /// Rollbacks per stage.
    pub rollbacks: u32,
}

/// What is special about a stage. The default is nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traits {
    /// What it did can be undone, and must be when the run goes back before it.
    pub compensates: bool,
    /// A human must agree before it runs.
    pub ask_before: bool,
    /// A human must agree before its output is taken over.
    pub ask_after: bool,
    /// How often it may be started in the whole run; none for no limit of its own.
    pub attempts: Option<u32>,
    /// What it may use in the whole run.
    pub limit: Limit,
    /// What must be left, of its own limit and of the run's, before it is started.
    pub reserve: Amount,
}

/// The most that may be used; none for no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limit {
    /// Milliseconds of wall time.
    pub wall: Option<u64>,
    /// Tokens of language models.
    pub tokens: Option<u64>,
    /// Cost in millionths of the currency's unit.
    pub cost: Option<u64>,
}

/// The pipeline as the plan sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Names of the stages, in order.
    pub stages: Vec<String>,
    /// What is special about each stage; empty if nothing is about any.
    pub traits: Vec<Traits>,
    /// All checks; verdicts name them by number.
    pub checks: Vec<Check>,
    /// Whether the merged results are checked after the last stage.
    pub final_checks: bool,
    /// How many times stages may be started in the whole run.
    pub max_starts: u32,
    /// What all stages together may use. Its wall time is not looked at: that is bounded by whoever drives the run.
    pub limit: Limit,
}

impl Settings {
    pub(super) fn of(&self, stage: usize) -> Traits {
        self.traits.get(stage).copied().unwrap_or_default()
    }

    pub(super) fn validate(&self) -> Result<(), PlanError> {
        let refuse = |message: String| Err(PlanError::Settings(message));
        if self.stages.is_empty() {
            return refuse("a pipeline needs at least one stage".into());
        }
        if !self.traits.is_empty() && self.traits.len() != self.stages.len() {
            return refuse(format!("{} stages have {} rows of traits", self.stages.len(), self.traits.len()));
        }
        let twice = self.stages.iter().enumerate().find(|(index, name)| self.stages[..*index].contains(name));
        if let Some((_, name)) = twice {
            return refuse(format!("two stages are named {name:?}; names must differ"));
        }
        for check in &self.checks {
            if check.ladder.last().is_none_or(|step| step.needs_budget()) {
                return refuse(format!("check {:?} must end in a step that needs no budget", check.name));
            }
            if check.rollback_to.is_some_and(|to| to >= self.stages.len()) {
                return refuse(format!("check {:?} goes back to a stage that does not exist", check.name));
            }
        }
        Ok(())
    }
}
