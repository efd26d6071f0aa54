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

    /// Whether somebody may go on with a run of this status.
    #[must_use]
    pub fn is_open(self) -> bool {
        matches!(self, Self::Running | Self::Escalated)
    }

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
    /// The run went back to this checkpoint: its later ones are superseded.
    pub supersede_after: Option<i64>,
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

/// One checkpoint in a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckpointRecord {
    /// Its number.
    pub checkpoint: i64,
    /// The run that wrote it.
    pub run_id: String,
    /// The run's thread.
    pub thread_id: String,
    /// What it stands before.
    pub label: String,
    /// When it was written.
    pub at: i64,
    /// Whether the run went back behind it.
    pub superseded: bool,
    /// Bytes of its state, encoded and uncompressed.
    pub size: u64,
}

/// Which checkpoints are meant.
#[derive(Debug, Clone, Default)]
pub struct Listing {
    /// Of this thread only.
    pub thread_id: Option<String>,
    /// Of this run only.
    pub run_id: Option<String>,
    /// At most so many.
    pub limit: u32,
}

/// How long checkpoints are kept. A thread's head stays while its run is running or escalated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// So many of each thread, the newest ones.
    pub keep: Option<u32>,
    /// So many microseconds; older runs that have ended go with their events.
    pub max_age: Option<i64>,
}

impl Default for Retention {
    /// 50 per thread, 30 days.
    fn default() -> Self {
        Self { keep: Some(50), max_age: Some(30 * 86_400 * 1_000_000) }
    }
}

/// What was removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Checkpoints.
    pub checkpoints: u64,
    /// Runs with all their events.
    pub runs: u64,
    /// Parts of snapshots that nothing names any more.
    pub blobs: u64,
    /// Bytes of those.
    pub bytes: u64,
}

impl std::ops::AddAssign for Pruned {
    fn add_assign(&mut self, more: Self) {
        self.checkpoints += more.checkpoints;
        self.runs += more.runs;
        self.blobs += more.blobs;
        self.bytes += more.bytes;
    }
}

/// What a store holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Threads.
    pub threads: u64,
    /// Runs.
    pub runs: u64,
    /// Checkpoints.
    pub checkpoints: u64,
    /// Events.
    pub events: u64,
    /// Documents.
    pub documents: u64,
    /// Parts of snapshots.
    pub blobs: u64,
    /// Bytes of those.
    pub blob_bytes: u64,
    /// Bytes on disk, log included; 0 for memory.
    pub file_bytes: u64,
}

/// A value that is kept beside runs, under a collection, a thread and a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// The thread, which need not have a run.
    pub thread_id: String,
    /// Its name there.
    pub key: String,
    /// Larger than that of every document that was put before.
    pub seq: i64,
    /// When it was put.
    pub at: i64,
    /// The value.
    pub body: Blob,
}

/// A document to be put.
#[derive(Debug, Clone)]
pub struct Put {
    /// What kind of document; each kind is a space of its own.
    pub collection: String,
    /// The thread.
    pub thread_id: String,
    /// Its name there.
    pub key: String,
    /// The value.
    pub body: Blob,
    /// Now.
    pub at: i64,
    /// The epoch that the thread must still have, if its writer drives it.
    pub epoch: Option<i64>,
    /// Leave one that is there already.
    pub once: bool,
    /// Keep only so many of this collection and thread.
    pub keep: Option<u32>,
}

/// Which documents are meant.
#[derive(Debug, Clone)]
pub struct Query {
    /// Of this kind.
    pub collection: String,
    /// Of this thread only.
    pub thread_id: Option<String>,
    /// Of this name only.
    pub key: Option<String>,
    /// At most so many, newest first.
    pub limit: u32,
}
