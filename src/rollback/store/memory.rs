//! Checkpoints in this process's memory: for tests, notebooks and runs that need rollback but no crash safety.

mod checkpoints;
mod documents;
mod parts;
mod tables;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use super::recent::Recent;
use super::{
    CheckpointRecord, Claim, Commit, Document, Event, Head, Lease, Listing, NewRun, Process, Pruned, Put, Query,
    Receipt, Retention, RunRecord, StateBlobs, Store, StoreError, Usage,
};
use tables::Tables;

/// An in-memory store.
pub struct MemoryStore {
    retention: Retention,
    recent: Recent,
    tables: Mutex<Tables>,
}

impl MemoryStore {
    /// An empty store that keeps what `retention` says.
    #[must_use]
    pub fn new(retention: Retention) -> Self {
        Self { retention, recent: Recent::default(), tables: Mutex::default() }
    }

    /// A panic elsewhere cannot leave the tables half-written: every write is checked before the first change.
    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new(Retention::default())
    }
}

impl Store for MemoryStore {
    fn kind(&self) -> &'static str {
        "memory"
    }

    fn begin(&self, run: &NewRun, first: Commit, claim: Option<&Claim>) -> Result<(i64, Receipt), StoreError> {
        self.recent.cut(&run.thread_id, first.state.as_deref())?;
        let cut = tables::cut(&first)?;
        let mut tables = self.tables();
        let epoch = tables.begin(run, claim, now())?;
        let receipt = tables.commit(&Commit { epoch, ..first }, &cut, now())?;
        tables.prune_aged(&self.retention, run.at, None);
        tables.keep_newest(&run.thread_id, self.retention.keep);
        Ok((epoch, receipt))
    }

    fn adopt(&self, thread_id: &str, claim: Option<&Claim>) -> Result<Head, StoreError> {
        self.tables().adopt(thread_id, claim, now())
    }

    fn renew(&self, thread_id: &str, epoch: i64) -> Result<i64, StoreError> {
        self.tables().renew(thread_id, epoch, now())
    }

    fn release(&self, thread_id: &str, epoch: i64) -> Result<(), StoreError> {
        self.tables().held(thread_id, epoch)?.lease = None;
        Ok(())
    }

    fn lease(&self, thread_id: &str) -> Result<Option<Lease>, StoreError> {
        let tables = self.tables();
        let thread = tables.thread(thread_id)?;
        Ok(thread.lease.as_ref().map(|(lease, _)| lease.clone()))
    }

    fn commit(&self, commit: &Commit) -> Result<Receipt, StoreError> {
        self.recent.cut(&commit.thread_id, commit.state.as_deref())?;
        let cut = tables::cut(commit)?;
        let mut tables = self.tables();
        let receipt = tables.commit(commit, &cut, now())?;
        tables.keep_newest(&commit.thread_id, self.retention.keep);
        Ok(receipt)
    }

    fn head(&self, thread_id: &str) -> Result<Head, StoreError> {
        self.tables().head(thread_id)
    }

    fn load(&self, checkpoint: i64) -> Result<StateBlobs, StoreError> {
        self.tables().load(checkpoint)
    }

    fn events(&self, run_id: &str) -> Result<Vec<Event>, StoreError> {
        self.tables().events(run_id)
    }

    fn runs(&self, limit: u32) -> Result<Vec<RunRecord>, StoreError> {
        Ok(self.tables().runs(limit as usize))
    }

    fn checkpoints(&self, listing: &Listing) -> Result<Vec<CheckpointRecord>, StoreError> {
        Ok(self.tables().checkpoints(listing))
    }

    fn prune(&self, retention: &Retention, now: i64, thread_id: Option<&str>) -> Result<Pruned, StoreError> {
        Ok(self.tables().prune(retention, now, thread_id))
    }

    fn usage(&self) -> Result<Usage, StoreError> {
        Ok(self.tables().usage())
    }

    fn put(&self, put: &Put) -> Result<bool, StoreError> {
        let cut = put.body.parts()?;
        self.tables().put(put, cut)
    }

    fn documents(&self, query: &Query) -> Result<Vec<Document>, StoreError> {
        self.tables().documents(query)
    }

    fn remove(&self, query: &Query) -> Result<Vec<Document>, StoreError> {
        self.tables().remove(query)
    }

    fn close(&self) {}
}

/// Microseconds since 1970: what a database would call now.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

fn unknown(kind: &'static str, name: impl ToString) -> StoreError {
    StoreError::Unknown { kind, name: name.to_string() }
}

fn lease_of(claim: &Claim, epoch: i64, now: i64) -> (Lease, i64) {
    let lasting = claim.micros();
    let lease =
        Lease { owner: claim.owner.clone(), epoch, expires_at: now.saturating_add(lasting), process: Process::own() };
    (lease, lasting)
}
