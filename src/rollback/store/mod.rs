//! Where checkpoints are kept: one trait; memory, SQLite and PostgreSQL behind it.
//!
//! A run belongs to a thread; a thread has one head, which names its newest run and checkpoint. Whoever drives a
//! thread holds its epoch: beginning or adopting a run takes the next one, and every write proves that the epoch is
//! still its own. A stale writer gets `LeaseLost` and has written nothing.

pub mod failpoint;
mod failure;
mod known;
mod lease;
mod memory;
mod postgres;
mod recent;
mod records;
mod sqlite;
#[cfg(test)]
mod tests;

pub use lease::{Claim, Lease, OnConflict, Process};
pub use memory::MemoryStore;
pub use postgres::PostgresStore;
pub use records::{
    CheckpointRecord, Commit, Document, Event, Head, Listing, NewRun, Pruned, Put, Query, Receipt, Retention,
    RunRecord, Status, UnknownStatus, Usage,
};
pub use sqlite::SqliteStore;

use super::snapshot::{Blob, SnapshotError};

/// The keys of a state and their blobs.
pub type StateBlobs = Vec<(String, Blob)>;

/// What can go wrong with a store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The store cannot be opened or written.
    #[error("checkpoint store {place}: {reason}; {remedy}")]
    Unusable {
        /// The file, or `memory`.
        place: String,
        /// What happened.
        reason: String,
        /// What to do.
        remedy: &'static str,
    },
    /// The store holds something that was not written so.
    #[error(
        "checkpoint store {place} is damaged: {reason}; it was left as it is. Restore it from a backup, or name another file to start anew"
    )]
    Corrupt {
        /// The file, or `memory`.
        place: String,
        /// What was found.
        reason: String,
    },
    /// The store was written by a newer version.
    #[error("checkpoint store {place} has format {found}, this hagane reads up to {known}; upgrade hagane to use it")]
    Newer {
        /// The file.
        place: String,
        /// Its format.
        found: i64,
        /// The newest known format.
        known: i64,
    },
    /// Somebody else drives this thread now.
    #[error("thread {0:?} was taken over by another run or process; nothing was written. Stop this run")]
    LeaseLost(String),
    /// Somebody else drives this thread and lives.
    #[error(
        "thread {thread:?} is driven by {owner:?} (pid {pid} on {host}), whose lease lasts {seconds} more seconds; wait for it to end, or take the thread over on purpose (on_conflict=\"supersede\")"
    )]
    Held {
        /// The thread.
        thread: String,
        /// Who drives it.
        owner: String,
        /// Its machine.
        host: String,
        /// Its process.
        pid: u32,
        /// Until the lease ends.
        seconds: i64,
    },
    /// No such thread, run or checkpoint.
    #[error("the checkpoint store knows no {kind} {name:?}; `runs()` lists what it has")]
    Unknown {
        /// `thread`, `run` or `checkpoint`.
        kind: &'static str,
        /// Its name.
        name: String,
    },
    /// A value that came from elsewhere is damaged.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// The store was opened before a fork.
    #[error("checkpoint store {0} was opened by another process (pid {1}); open it again after the fork")]
    Forked(String, u32),
}

/// Keeps runs, checkpoints, events and documents. Every method is one transaction: all of it happens, or nothing.
pub trait Store: Send + Sync {
    /// Short name for metrics and messages, such as `sqlite`.
    fn kind(&self) -> &'static str;

    /// Begins a run on a thread together with its first commit, so that no run exists without something to go on
    /// from. Returns the epoch that later commits must name; the epoch in `first` is not looked at. Without a claim
    /// the thread is taken from whoever has it, and no lease is recorded.
    fn begin(&self, run: &NewRun, first: Commit, claim: Option<&Claim>) -> Result<(i64, Receipt), StoreError>;

    /// Takes a thread's newest run over: returns its head with a new epoch. Former drivers can write no more.
    fn adopt(&self, thread_id: &str, claim: Option<&Claim>) -> Result<Head, StoreError>;

    /// Makes a lease last its full time from now; returns when it ends. Without a lease it only proves the epoch.
    fn renew(&self, thread_id: &str, epoch: i64) -> Result<i64, StoreError>;

    /// Gives a lease up, so that nobody has to wait for its end. The epoch stays.
    fn release(&self, thread_id: &str, epoch: i64) -> Result<(), StoreError>;

    /// Who drives a thread, if its owner left a lease.
    fn lease(&self, thread_id: &str) -> Result<Option<Lease>, StoreError>;

    /// Records events, the run's status and, if there is one, a checkpoint, which becomes the head. A lease is
    /// renewed by it, or ended if the run is no longer running. Checkpoints beyond the retention go.
    fn commit(&self, commit: &Commit) -> Result<Receipt, StoreError>;

    /// A thread's newest run and checkpoint, without taking it over.
    fn head(&self, thread_id: &str) -> Result<Head, StoreError>;

    /// The state that a checkpoint names.
    fn load(&self, checkpoint: i64) -> Result<StateBlobs, StoreError>;

    /// A run's events in order.
    fn events(&self, run_id: &str) -> Result<Vec<Event>, StoreError>;

    /// Runs, newest first.
    fn runs(&self, limit: u32) -> Result<Vec<RunRecord>, StoreError>;

    /// Checkpoints, newest first.
    fn checkpoints(&self, listing: &Listing) -> Result<Vec<CheckpointRecord>, StoreError>;

    /// Removes what is beyond `retention` at the time `now`, of one thread or of all.
    fn prune(&self, retention: &Retention, now: i64, thread_id: Option<&str>) -> Result<Pruned, StoreError>;

    /// How much is there.
    fn usage(&self) -> Result<Usage, StoreError>;

    /// Puts a document, in the place of one of the same name unless it is to be put once. False if it was left.
    fn put(&self, put: &Put) -> Result<bool, StoreError>;

    /// Documents, the one that was put last first.
    fn documents(&self, query: &Query) -> Result<Vec<Document>, StoreError>;

    /// Removes documents and returns them. Of two that ask for the same one, one gets it.
    fn remove(&self, query: &Query) -> Result<Vec<Document>, StoreError>;

    /// Closes the store; closing twice is closing once.
    fn close(&self);
}

/// Bytes of a state, encoded and uncompressed.
fn length(state: &[(String, Blob)]) -> Result<u64, SnapshotError> {
    state.iter().map(|(_, blob)| blob.length().map(|length| length as u64)).sum()
}
