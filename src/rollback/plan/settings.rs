//! What a plan is built from.

use super::PlanError;
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

/// The pipeline as the plan sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Names of the stages, in order.
    pub stages: Vec<String>,
    /// All checks; verdicts name them by number.
    pub checks: Vec<Check>,
    /// Whether the merged results are checked after the last stage.
    pub final_checks: bool,
    /// How many times stages may be started in the whole run.
    pub max_starts: u32,
}

impl Settings {
    pub(super) fn validate(&self) -> Result<(), PlanError> {
        let refuse = |message: String| Err(PlanError::Settings(message));
        if self.stages.is_empty() {
            return refuse("a pipeline needs at least one stage".into());
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
