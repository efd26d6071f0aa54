//! A run's progress, as it is stored beside each checkpoint.

use super::{PlanError, Settings};
use serde::{Deserialize, Serialize};

/// Stored progress beyond this size in bytes is refused unread.
pub const MAX_STATE: usize = 1 << 20;

/// How a stage ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Done {
    /// It has not.
    Open,
    /// Its output passed.
    Accepted,
    /// It has no output.
    Skipped,
    /// A substitute stands for its output.
    Substituted,
}

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    /// Not begun.
    Fresh,
    /// A stage runs or its output is being checked.
    Running(usize),
    /// A stage's output is being recorded.
    Accepting(usize, Done),
    /// The merged results are being checked.
    Finalising,
    /// Over.
    Ended,
}

/// Progress and what was spent on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// Where the run stands.
    pub phase: Phase,
    /// How each stage ended.
    pub done: Vec<Done>,
    /// How often each stage was started; never goes down.
    pub attempts: Vec<u32>,
    /// Starts taken from the run's budget; never goes down.
    pub starts: u32,
    /// Retries spent, by check and stage; never go down.
    pub retries: Vec<Vec<u32>>,
    /// Rollbacks spent, by check and stage; never go down.
    pub rollbacks: Vec<Vec<u32>>,
    /// Fingerprints of failures seen, with their stage.
    pub seen: Vec<(usize, String)>,
    /// Whether a check of the merged results was waived.
    pub waived: bool,
}

impl State {
    pub(super) fn new(stages: usize, checks: usize) -> Self {
        Self {
            phase: Phase::Fresh,
            done: vec![Done::Open; stages],
            attempts: vec![0; stages],
            starts: 1,
            retries: vec![vec![0; stages]; checks],
            rollbacks: vec![vec![0; stages]; checks],
            seen: Vec::new(),
            waived: false,
        }
    }

    /// Reads what `to_bytes` wrote; anything else is an error.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, PlanError> {
        if bytes.len() > MAX_STATE {
            return Err(PlanError::Foreign(format!("{} bytes are more than progress ever takes", bytes.len())));
        }
        serde_json::from_slice(bytes).map_err(|error| PlanError::Foreign(error.to_string()))
    }

    /// The bytes to store.
    pub fn to_bytes(&self) -> Result<Vec<u8>, PlanError> {
        serde_json::to_vec(self).map_err(|error| PlanError::Foreign(error.to_string()))
    }

    pub(super) fn fits(&self, settings: &Settings) -> Result<(), PlanError> {
        let stages = settings.stages.len();
        let table =
            |table: &[Vec<u32>]| table.len() == settings.checks.len() && table.iter().all(|row| row.len() == stages);
        let place = match self.phase {
            Phase::Running(stage) | Phase::Accepting(stage, _) => stage < stages,
            _ => true,
        };
        let fits = self.done.len() == stages
            && self.attempts.len() == stages
            && table(&self.retries)
            && table(&self.rollbacks)
            && place;
        if fits { Ok(()) } else { Err(PlanError::Foreign("it has other stages or checks".into())) }
    }

    /// Counts one more start of `stage` and stands there.
    pub(super) fn start(&mut self, stage: usize) -> u32 {
        self.phase = Phase::Running(stage);
        self.attempts[stage] = self.attempts[stage].saturating_add(1);
        self.attempts[stage]
    }

    /// Drops the outputs of `stage` and of everything after it; what was spent stays spent.
    pub(super) fn reopen(&mut self, stage: usize) {
        self.done[stage..].fill(Done::Open);
        self.waived = false;
    }

    /// Whether this failure was seen before at this stage; remembers it.
    pub(super) fn remember(&mut self, stage: usize, fingerprint: Option<&str>) -> bool {
        let Some(fingerprint) = fingerprint else { return false };
        let entry = (stage, fingerprint.to_owned());
        let seen = self.seen.contains(&entry);
        if !seen {
            self.seen.push(entry);
        }
        seen
    }
}
