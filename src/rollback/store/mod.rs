//! Where checkpoints are kept: one trait, an in-memory form and SQLite.
//!
//! A run belongs to a thread; a thread has one head, which names its newest run and checkpoint. Whoever drives a
//! thread holds its epoch: beginning or adopting a run takes the next one, and every write proves that the epoch is
//! still its own. A stale writer gets `LeaseLost` and has written nothing.

mod memory;
mod records;
mod sqlite;
#[cfg(test)]
mod tests;

pub use memory::MemoryStore;
pub use records::{Commit, Event, Head, NewRun, Receipt, RunRecord, Status, UnknownStatus};
pub use sqlite::SqliteStore;

use super::snapshot::Blob;

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
    /// No such thread, run or checkpoint.
    #[error("the checkpoint store knows no {kind} {name:?}; `runs()` lists what it has")]
    Unknown {
        /// `thread`, `run` or `checkpoint`.
        kind: &'static str,
        /// Its name.
        name: String,
    },
    /// The store was opened before a fork.
    #[error("checkpoint store {0} was opened by another process (pid {1}); open it again after the fork")]
    Forked(String, u32),
}

/// Keeps runs, checkpoints and events. Every method is one transaction: all of it happens, or nothing.
pub trait Store: Send + Sync {
    /// Short name for metrics and messages, such as `sqlite`.
    fn kind(&self) -> &'static str;

    /// Begins a run on a thread together with its first commit, so that no run exists without something to go on
    /// from. Returns the epoch that later commits must name; the epoch in `first` is not looked at.
    fn begin(&self, run: &NewRun, first: Commit) -> Result<(i64, Receipt), StoreError>;

    /// Takes a thread's newest run over: returns its head with a new epoch. Former drivers can write no more.
    fn adopt(&self, thread_id: &str) -> Result<Head, StoreError>;

    /// Records events, the run's status and, if there is one, a checkpoint, which becomes the head.
    fn commit(&self, commit: &Commit) -> Result<Receipt, StoreError>;

    /// A thread's newest run and checkpoint, without taking it over.
    fn head(&self, thread_id: &str) -> Result<Head, StoreError>;

    /// The state that a checkpoint names.
    fn load(&self, checkpoint: i64) -> Result<StateBlobs, StoreError>;

    /// A run's events in order.
    fn events(&self, run_id: &str) -> Result<Vec<Event>, StoreError>;

    /// Runs, newest first.
    fn runs(&self, limit: u32) -> Result<Vec<RunRecord>, StoreError>;

    /// Closes the store; closing twice is closing once.
    fn close(&self);
}
