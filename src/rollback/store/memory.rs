//! Checkpoints in this process's memory: for tests, notebooks and runs that need rollback but no crash safety.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Commit, Event, Head, NewRun, Receipt, RunRecord, StateBlobs, Status, Store, StoreError};
use crate::rollback::snapshot::{Address, Blob};

/// An in-memory store.
#[derive(Default)]
pub struct MemoryStore {
    tables: Mutex<Tables>,
}

#[derive(Default)]
struct Tables {
    threads: HashMap<String, Thread>,
    /// In order of their beginning.
    runs: Vec<RunRecord>,
    events: HashMap<String, Vec<Event>>,
    checkpoints: Vec<Vec<(String, Address)>>,
    blobs: HashMap<Address, Arc<Blob>>,
}

#[derive(Clone)]
struct Thread {
    epoch: i64,
    run_id: String,
    checkpoint: Option<i64>,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A panic elsewhere cannot leave the tables half-written: every write is prepared before the first change.
    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for MemoryStore {
    fn kind(&self) -> &'static str {
        "memory"
    }

    fn begin(&self, run: &NewRun, first: Commit) -> Result<(i64, Receipt), StoreError> {
        let mut tables = self.tables();
        if tables.runs.iter().any(|known| known.run_id == run.run_id) {
            return Err(StoreError::Unusable {
                place: "memory".into(),
                reason: format!("run {:?} exists already", run.run_id),
                remedy: "give every run an id of its own",
            });
        }
        let epoch = tables.threads.get(&run.thread_id).map_or(0, |thread| thread.epoch) + 1;
        let thread = Thread { epoch, run_id: run.run_id.clone(), checkpoint: None };
        tables.threads.insert(run.thread_id.clone(), thread);
        tables.runs.push(record(run));
        let receipt = tables.commit(&Commit { epoch, ..first })?;
        Ok((epoch, receipt))
    }

    fn adopt(&self, thread_id: &str) -> Result<Head, StoreError> {
        let mut tables = self.tables();
        let thread = tables.threads.get_mut(thread_id).ok_or_else(|| unknown("thread", thread_id))?;
        thread.epoch += 1;
        tables.head(thread_id)
    }

    fn commit(&self, commit: &Commit) -> Result<Receipt, StoreError> {
        self.tables().commit(commit)
    }

    fn head(&self, thread_id: &str) -> Result<Head, StoreError> {
        self.tables().head(thread_id)
    }

    fn load(&self, checkpoint: i64) -> Result<StateBlobs, StoreError> {
        let tables = self.tables();
        let index = usize::try_from(checkpoint).ok().and_then(|number| number.checked_sub(1));
        let manifest = index.and_then(|index| tables.checkpoints.get(index));
        let manifest = manifest.ok_or_else(|| unknown("checkpoint", &checkpoint.to_string()))?;
        Ok(manifest.iter().map(|(key, address)| (key.clone(), Blob::clone(&tables.blobs[address]))).collect())
    }

    fn events(&self, run_id: &str) -> Result<Vec<Event>, StoreError> {
        let tables = self.tables();
        if !tables.runs.iter().any(|run| run.run_id == run_id) {
            return Err(unknown("run", run_id));
        }
        Ok(tables.events.get(run_id).cloned().unwrap_or_default())
    }

    fn runs(&self, limit: u32) -> Result<Vec<RunRecord>, StoreError> {
        Ok(self.tables().runs.iter().rev().take(limit as usize).cloned().collect())
    }

    fn close(&self) {}
}

impl Tables {
    fn commit(&mut self, commit: &Commit) -> Result<Receipt, StoreError> {
        let thread = self.threads.get_mut(&commit.thread_id).filter(|thread| thread.epoch == commit.epoch);
        let thread = thread.ok_or_else(|| StoreError::LeaseLost(commit.thread_id.clone()))?;
        self.events.entry(commit.run_id.clone()).or_default().extend(commit.events.iter().cloned());
        if let Some(run) = self.runs.iter_mut().find(|run| run.run_id == commit.run_id) {
            run.status = commit.status;
            run.updated_at = commit.at;
        }
        let Some(state) = &commit.state else { return Ok(Receipt { checkpoint: None, bytes: 0 }) };
        let mut bytes = 0;
        for (_, blob) in state {
            self.blobs.entry(*blob.address()).or_insert_with(|| {
                bytes += blob.stored().len() as u64;
                Arc::new(blob.clone())
            });
        }
        self.checkpoints.push(state.iter().map(|(key, blob)| (key.clone(), *blob.address())).collect());
        thread.checkpoint = i64::try_from(self.checkpoints.len()).ok();
        Ok(Receipt { checkpoint: thread.checkpoint, bytes })
    }

    fn head(&self, thread_id: &str) -> Result<Head, StoreError> {
        let thread = self.threads.get(thread_id).ok_or_else(|| unknown("thread", thread_id))?;
        let run = self.runs.iter().find(|run| run.run_id == thread.run_id);
        let run = run.ok_or_else(|| unknown("run", &thread.run_id))?.clone();
        let last = self.events.get(&thread.run_id).and_then(|events| events.last());
        let last_seq = last.map_or(0, |event| event.seq);
        Ok(Head { run, epoch: thread.epoch, checkpoint: thread.checkpoint, last_seq })
    }
}

fn record(run: &NewRun) -> RunRecord {
    RunRecord {
        run_id: run.run_id.clone(),
        thread_id: run.thread_id.clone(),
        pipeline: run.pipeline.clone(),
        version: run.version.clone(),
        status: Status::Running,
        started_at: run.at,
        updated_at: run.at,
    }
}

fn unknown(kind: &'static str, name: &str) -> StoreError {
    StoreError::Unknown { kind, name: name.to_owned() }
}
