//! What goes into a store and what comes out.

use super::super::snapshot::Blob;

/// Where a run stands, as everybody outside sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Going on, or its process died.
    Running,
    /// All stages accepted.
    Success,
    /// Ended with something missing.
    Partial,
    /// Its output was refused.
    Rejected,
    /// A stage broke or a budget was spent.
    Failed,
    /// A human has to decide.
    Escalated,
    /// Cancelled from outside.
    Cancelled,
}

/// A word that is no status.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no status of a run")]
pub struct UnknownStatus(pub String);

impl Status {
    const WORDS: [(&'static str, Self); 7] = [
        ("running", Self::Running),
        ("success", Self::Success),
        ("partial", Self::Partial),
        ("rejected", Self::Rejected),
        ("failed", Self::Failed),
        ("escalated", Self::Escalated),
        ("cancelled", Self::Cancelled),
    ];

    /// The word of this status.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::WORDS[self as usize].0
    }
}

impl std::str::FromStr for Status {
    type Err = UnknownStatus;

    fn from_str(word: &str) -> Result<Self, UnknownStatus> {
        let found = Self::WORDS.iter().find(|(name, _)| *name == word);
        found.map(|(_, status)| *status).ok_or_else(|| UnknownStatus(word.to_owned()))
    }
}

/// A run that begins. Times are microseconds since 1970, from the caller's clock.
#[derive(Debug, Clone)]
pub struct NewRun {
    /// The thread that it belongs to.
    pub thread_id: String,
    /// Its own name, never used before.
    pub run_id: String,
    /// The pipeline's name.
    pub pipeline: String,
    /// What the pipeline looked like; a run is only continued by the same.
    pub version: String,
    /// Now.
    pub at: i64,
}

/// One thing that happened. `seq` counts from 1 in each run and is never used twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its place in the run's history.
    pub seq: i64,
    /// What happened.
    pub kind: String,
    /// When.
    pub at: i64,
    /// The rest of it.
    pub body: Blob,
}

/// What is written together or not at all.
#[derive(Debug, Clone)]
pub struct Commit {
    /// The thread.
    pub thread_id: String,
    /// The run.
    pub run_id: String,
    /// The epoch that `begin` or `adopt` gave.
    pub epoch: i64,
    /// The run's status from now on.
    pub status: Status,
    /// Now.
    pub at: i64,
    /// What happened since the last commit.
    pub events: Vec<Event>,
    /// The state under its keys; none if it did not change.
    pub state: Option<Vec<(String, Blob)>>,
    /// What the checkpoint stands before, for listings.
    pub label: String,
}

/// What a commit wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Receipt {
    /// The new checkpoint, if the commit had a state.
    pub checkpoint: Option<i64>,
    /// Bytes of blobs that were not there before.
    pub bytes: u64,
}

/// A thread's newest run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The run.
    pub run: RunRecord,
    /// Who may write.
    pub epoch: i64,
    /// The newest checkpoint; none if the run died before its first.
    pub checkpoint: Option<i64>,
    /// The `seq` of the run's last event, 0 before the first.
    pub last_seq: i64,
}

/// A run in a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunRecord {
    /// The run.
    pub run_id: String,
    /// Its thread.
    pub thread_id: String,
    /// The pipeline's name.
    pub pipeline: String,
    /// What the pipeline looked like.
    pub version: String,
    /// Where it stands.
    pub status: Status,
    /// When it began.
    pub started_at: i64,
    /// When it was last written.
    pub updated_at: i64,
}
