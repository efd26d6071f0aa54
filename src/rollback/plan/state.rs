//! A run's progress, as it is stored beside each checkpoint.

use super::unwind::Then;
use super::{Amount, Ask, PlanError, Settings};
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
    /// What stages did is being undone, from the last back to this one.
    Unwinding(usize, Then),
    /// A human has to say something about this stage.
    Awaiting(usize, Ask),
    /// Over.
    Ended,
}

/// A failure that occurred.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seen {
    /// Where.
    pub stage: usize,
    /// What was wrong with what output.
    pub fingerprint: String,
    /// Whether a rollback was tried against it.
    pub rolled_back: bool,
}

/// What was tried against a failure that comes again. Each step is worth trying once: the same stage on the same
/// inputs fails alike, and so does an earlier stage that has already been told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tried {
    Nothing,
    Retry,
    Rollback,
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
    /// Failures seen.
    pub seen: Vec<Seen>,
    /// Whether a check of the merged results was waived.
    pub waived: bool,
    /// Whether a human stood up for the merged results.
    #[serde(default)]
    pub vouched: bool,
    /// Used by each stage; never goes down.
    #[serde(default)]
    pub spent: Vec<Amount>,
    /// Stages that did something which going back has to undo.
    #[serde(default)]
    pub touched: Vec<bool>,
    /// How often each stage was undone.
    #[serde(default)]
    pub generations: Vec<u32>,
    /// Stages that a human agreed to run.
    #[serde(default)]
    pub approved: Vec<bool>,
    /// Stages whose output lacks a part.
    #[serde(default)]
    pub damaged: Vec<bool>,
    /// The stage whose output a human changed before it is taken over.
    #[serde(default)]
    pub seen_after: Option<usize>,
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
            vouched: false,
            spent: vec![Amount::default(); stages],
            touched: vec![false; stages],
            generations: vec![0; stages],
            approved: vec![false; stages],
            damaged: vec![false; stages],
            seen_after: None,
        }
    }

    /// Gives progress that was stored before these lists existed the lists of a run in which nothing of it happened.
    pub(super) fn complete_lists(mut self, stages: usize) -> Self {
        let fresh = Self::new(stages, 0);
        let missing = |length: usize| length == 0;
        if missing(self.spent.len()) {
            self.spent = fresh.spent;
        }
        if missing(self.touched.len()) {
            self.touched = fresh.touched;
        }
        if missing(self.generations.len()) {
            self.generations = fresh.generations;
        }
        if missing(self.approved.len()) {
            self.approved = fresh.approved;
        }
        if missing(self.damaged.len()) {
            self.damaged = fresh.damaged;
        }
        self
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
            Phase::Awaiting(stage, Ask::Output(check) | Ask::Results(check)) => {
                stage < stages && check < settings.checks.len()
            }
            Phase::Running(stage)
            | Phase::Accepting(stage, _)
            | Phase::Unwinding(stage, _)
            | Phase::Awaiting(stage, _) => stage < stages,
            _ => true,
        };
        let lists = [self.done.len(), self.attempts.len(), self.spent.len(), self.touched.len()];
        let more = [self.generations.len(), self.approved.len(), self.damaged.len()];
        let fits = lists.iter().chain(&more).all(|length| *length == stages)
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
        self.damaged[stage..].fill(false);
        self.waived = false;
        self.vouched = false;
        self.seen_after = None;
    }

    /// What was tried against this failure at this stage before; remembers it. A failure without a fingerprint is
    /// always new.
    pub(super) fn remember(&mut self, stage: usize, fingerprint: Option<&str>) -> Tried {
        let Some(fingerprint) = fingerprint else { return Tried::Nothing };
        match self.seen.iter().find(|seen| seen.stage == stage && seen.fingerprint == fingerprint) {
            Some(seen) if seen.rolled_back => Tried::Rollback,
            Some(_) => Tried::Retry,
            None => {
                let fingerprint = fingerprint.to_owned();
                self.seen.push(Seen { stage, fingerprint, rolled_back: false });
                Tried::Nothing
            }
        }
    }

    /// Notes that a rollback is tried against this failure.
    pub(super) fn rolled_back(&mut self, stage: usize, fingerprint: Option<&str>) {
        let same = |seen: &&mut Seen| seen.stage == stage && Some(seen.fingerprint.as_str()) == fingerprint;
        if let Some(seen) = self.seen.iter_mut().find(same) {
            seen.rolled_back = true;
        }
    }
}
