//! Checkpoints in one SQLite file that several processes may share.

mod blobs;
mod documents;
mod foreign;
mod lease;
mod open;
mod query;
mod remove;
mod schema;
mod seal;
mod wait;
mod write;

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rusqlite::{Connection, ErrorCode, TransactionBehavior};

use super::known::Known;
use super::recent::Recent;
use super::{
    CheckpointRecord, Claim, Commit, Document, Event, Head, Lease, Listing, NewRun, Pruned, Put, Query, Receipt,
    Retention, RunRecord, StateBlobs, Store, StoreError, Usage, failpoint, failure,
};

/// A store in a SQLite file: write-ahead log, full synchronisation, one transaction per call.
pub struct SqliteStore {
    path: PathBuf,
    /// A SQLite connection must not be used on both sides of a fork: the locks would be shared.
    owner: u32,
    retention: Retention,
    recent: Recent,
    known: Known,
    connection: Mutex<Option<Connection>>,
}

impl SqliteStore {
    /// Opens `path`, creating the file if it is not there. The folder must exist.
    pub fn open(path: &Path, retention: Retention) -> Result<Self, StoreError> {
        let connection = Mutex::new(Some(open::open(path)?));
        Ok(Self {
            path: path.to_owned(),
            owner: std::process::id(),
            retention,
            recent: Recent::default(),
            known: Known::default(),
            connection,
        })
    }

    /// Runs `work` in one transaction that takes the write lock at once, so that two writers queue up instead of
    /// failing half-way.
    fn transact<T>(
        &self,
        work: impl FnOnce(&rusqlite::Transaction<'_>) -> Result<T, Failure>,
        behaviour: TransactionBehavior,
    ) -> Result<T, StoreError> {
        if self.owner != std::process::id() {
            return Err(StoreError::Forked(self.path.display().to_string(), self.owner));
        }
        // A panic inside a transaction rolled it back, so the connection behind a poisoned lock is still good.
        let mut guard = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        let connection = guard.as_mut().ok_or_else(|| failure::closed(self.path.display().to_string()))?;
        let done = || -> Result<T, Failure> {
            let transaction = connection.transaction_with_behavior(behaviour)?;
            let value = work(&transaction)?;
            transaction.commit()?;
            Ok(value)
        };
        done().map_err(|failure| at(failure, &self.path))
    }

    fn write<T>(&self, work: impl FnOnce(&rusqlite::Transaction<'_>) -> Result<T, Failure>) -> Result<T, StoreError> {
        self.transact(work, TransactionBehavior::Immediate)
    }

    fn read<T>(&self, work: impl FnOnce(&rusqlite::Transaction<'_>) -> Result<T, Failure>) -> Result<T, StoreError> {
        self.transact(work, TransactionBehavior::Deferred)
    }
}

impl Store for SqliteStore {
    fn kind(&self) -> &'static str {
        "sqlite"
    }

    fn begin(&self, run: &NewRun, first: Commit, claim: Option<&Claim>) -> Result<(i64, Receipt), StoreError> {
        self.recent.cut(&run.thread_id, first.state.as_deref())?;
        let state = first.state.clone().unwrap_or_default();
        let begun = {
            let known = self.known.addresses();
            self.write(|transaction| write::begin(transaction, run, first, claim, &self.retention, &known))?
        };
        failpoint::pass("commit.after");
        self.known.add(&state)?;
        Ok(begun)
    }

    fn adopt(&self, thread_id: &str, claim: Option<&Claim>) -> Result<Head, StoreError> {
        self.write(|transaction| {
            lease::check(transaction, thread_id, claim)?;
            if let Some(thread) = seal::Thread::find(transaction, thread_id)? {
                seal::Thread { epoch: thread.epoch + 1, ..thread }.write(transaction, thread_id)?;
            }
            lease::record(transaction, thread_id, claim)?;
            query::head(transaction, thread_id)
        })
        .inspect(|_| tracing::info!(thread = thread_id, "run taken over; who held it before can no longer write"))
    }

    fn renew(&self, thread_id: &str, epoch: i64) -> Result<i64, StoreError> {
        self.write(|transaction| lease::renew(transaction, thread_id, epoch))
    }

    fn release(&self, thread_id: &str, epoch: i64) -> Result<(), StoreError> {
        self.write(|transaction| {
            lease::held(transaction, thread_id, epoch)?;
            lease::prolong(transaction, thread_id, false)
        })
    }

    fn lease(&self, thread_id: &str) -> Result<Option<Lease>, StoreError> {
        self.read(|transaction| {
            query::head(transaction, thread_id)?;
            lease::find(transaction, thread_id)
        })
    }

    fn commit(&self, commit: &Commit) -> Result<Receipt, StoreError> {
        self.recent.cut(&commit.thread_id, commit.state.as_deref())?;
        let receipt = {
            let known = self.known.addresses();
            self.write(|transaction| write::commit(transaction, commit, &self.retention, &known))?
        };
        failpoint::pass("commit.after");
        self.known.add(commit.state.as_deref().unwrap_or_default())?;
        Ok(receipt)
    }

    fn head(&self, thread_id: &str) -> Result<Head, StoreError> {
        self.read(|transaction| query::head(transaction, thread_id))
    }

    fn load(&self, checkpoint: i64) -> Result<StateBlobs, StoreError> {
        self.read(|transaction| query::load(transaction, checkpoint))
    }

    fn events(&self, run_id: &str) -> Result<Vec<Event>, StoreError> {
        self.read(|transaction| query::events(transaction, run_id))
    }

    fn runs(&self, limit: u32) -> Result<Vec<RunRecord>, StoreError> {
        self.read(|transaction| query::runs(transaction, limit))
    }

    fn checkpoints(&self, listing: &Listing) -> Result<Vec<CheckpointRecord>, StoreError> {
        self.read(|transaction| query::checkpoints(transaction, listing))
    }

    fn prune(&self, retention: &Retention, now: i64, thread_id: Option<&str>) -> Result<Pruned, StoreError> {
        self.write(|transaction| remove::prune(transaction, retention, now, thread_id))
    }

    fn usage(&self) -> Result<Usage, StoreError> {
        let usage = self.read(query::usage)?;
        let file_bytes = ["", "-wal"].iter().map(|ending| {
            let mut name = self.path.clone().into_os_string();
            name.push(ending);
            std::fs::metadata(name).map_or(0, |metadata| metadata.len())
        });
        Ok(Usage { file_bytes: file_bytes.sum(), ..usage })
    }

    fn put(&self, put: &Put) -> Result<bool, StoreError> {
        let known = self.known.addresses();
        self.write(|transaction| documents::put(transaction, put, &known))
    }

    fn documents(&self, query: &Query) -> Result<Vec<Document>, StoreError> {
        self.read(|transaction| documents::find(transaction, query))
    }

    fn remove(&self, query: &Query) -> Result<Vec<Document>, StoreError> {
        self.write(|transaction| documents::remove(transaction, query))
    }

    fn close(&self) {
        if self.owner == std::process::id() {
            drop(self.connection.lock().unwrap_or_else(PoisonError::into_inner).take());
        }
    }
}

impl Drop for SqliteStore {
    /// In a forked child the parent's connection is leaked on purpose: closing it would release the parent's locks.
    fn drop(&mut self) {
        if self.owner != std::process::id() {
            let slot = self.connection.get_mut().unwrap_or_else(PoisonError::into_inner);
            std::mem::forget(slot.take());
        }
    }
}

type Failure = failure::Failure<rusqlite::Error>;

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(error)
    }
}

fn at(failure: Failure, path: &Path) -> StoreError {
    failure.at(path.display().to_string(), schema::SCHEMA, |error, place| explain(&error, place))
}

fn explain(error: &rusqlite::Error, place: String) -> StoreError {
    let reason = error.to_string();
    let remedy = match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => return StoreError::Corrupt { place, reason },
        Some(ErrorCode::CannotOpen) => "create its folder, or name a file in a folder that exists and can be written",
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => "make the file and its folder writable",
        Some(ErrorCode::DiskFull) => "free space on the disk and try again: what was recorded before is there",
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            "another process has held it for more than 30 seconds; end that process, then resume the run"
        }
        Some(_) => "see the reason; the run can be resumed when the store works again",
        // No SQLite code: a column held something that it was never given.
        None => return StoreError::Corrupt { place, reason },
    };
    StoreError::Unusable { place, reason, remedy }
}
