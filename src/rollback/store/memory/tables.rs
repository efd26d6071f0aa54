//! The tables of the in-memory store; whoever has them has them alone.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::super::{
    CheckpointRecord, Claim, Commit, Document, Event, Head, Lease, Listing, NewRun, Pruned, Put, Query, Receipt,
    Retention, RunRecord, StateBlobs, Status, StoreError, Usage,
};
use super::checkpoints::Checkpoints;
use super::documents::Documents;
use super::parts::Parts;
use super::{lease_of, unknown};
use crate::rollback::snapshot::{Address, Part, SnapshotError};

#[derive(Default)]
pub(super) struct Tables {
    threads: HashMap<String, Thread>,
    /// In order of their beginning.
    runs: BTreeMap<u64, RunRecord>,
    /// Their numbers by their names.
    run_numbers: HashMap<String, u64>,
    last_run: u64,
    /// The highest epoch of threads that are gone; nobody gets one of theirs again.
    spent_epoch: i64,
    events: HashMap<String, Vec<Event>>,
    checkpoints: Checkpoints,
    documents: Documents,
    parts: Parts,
}

pub(super) struct Thread {
    epoch: i64,
    run_id: String,
    checkpoint: Option<i64>,
    pub(super) lease: Option<(Lease, i64)>,
}

/// The parts of each key's value.
type Cut = Vec<Vec<Arc<Part>>>;

/// Cuts and hashes a state before anything is locked.
pub(super) fn cut(commit: &Commit) -> Result<Cut, SnapshotError> {
    let state = commit.state.as_deref().unwrap_or_default();
    state.iter().map(|(_, blob)| blob.parts().map(<[_]>::to_vec)).collect()
}

impl Tables {
    pub(super) fn begin(&mut self, run: &NewRun, claim: Option<&Claim>, now: i64) -> Result<i64, StoreError> {
        if self.run_numbers.contains_key(&run.run_id) {
            return Err(StoreError::Unusable {
                place: "memory".into(),
                reason: format!("run {:?} exists already", run.run_id),
                remedy: "give every run an id of its own",
            });
        }
        let before = self.threads.get(&run.thread_id);
        if let (Some(claim), Some(thread)) = (claim, before) {
            claim.check(&run.thread_id, thread.lease.as_ref().map(|(lease, _)| lease), now)?;
        }
        let epoch = before.map_or(self.spent_epoch, |thread| thread.epoch) + 1;
        let lease = claim.map(|claim| lease_of(claim, epoch, now));
        let thread = Thread { epoch, run_id: run.run_id.clone(), checkpoint: None, lease };
        self.threads.insert(run.thread_id.clone(), thread);
        self.last_run += 1;
        self.run_numbers.insert(run.run_id.clone(), self.last_run);
        self.runs.insert(self.last_run, record(run));
        Ok(epoch)
    }

    pub(super) fn adopt(&mut self, thread_id: &str, claim: Option<&Claim>, now: i64) -> Result<Head, StoreError> {
        let thread = self.threads.get_mut(thread_id).ok_or_else(|| unknown("thread", thread_id))?;
        if let Some(claim) = claim {
            claim.check(thread_id, thread.lease.as_ref().map(|(lease, _)| lease), now)?;
        }
        thread.epoch += 1;
        thread.lease = claim.map(|claim| lease_of(claim, thread.epoch, now));
        self.head(thread_id)
    }

    pub(super) fn thread(&self, thread_id: &str) -> Result<&Thread, StoreError> {
        self.threads.get(thread_id).ok_or_else(|| unknown("thread", thread_id))
    }

    /// The thread, if `epoch` is still its own.
    pub(super) fn held(&mut self, thread_id: &str, epoch: i64) -> Result<&mut Thread, StoreError> {
        let thread = self.threads.get_mut(thread_id).filter(|thread| thread.epoch == epoch);
        thread.ok_or_else(|| StoreError::LeaseLost(thread_id.to_owned()))
    }

    pub(super) fn renew(&mut self, thread_id: &str, epoch: i64, now: i64) -> Result<i64, StoreError> {
        let thread = self.held(thread_id, epoch)?;
        Ok(thread.lease.as_mut().map_or(now, |(lease, lasting)| {
            lease.expires_at = now.saturating_add(*lasting);
            lease.expires_at
        }))
    }

    pub(super) fn commit(&mut self, commit: &Commit, cut: &Cut, now: i64) -> Result<Receipt, StoreError> {
        let thread = self.held(&commit.thread_id, commit.epoch)?;
        if commit.status == Status::Running {
            if let Some((lease, lasting)) = &mut thread.lease {
                lease.expires_at = now.saturating_add(*lasting);
            }
        } else {
            thread.lease = None;
        }
        self.events.entry(commit.run_id.clone()).or_default().extend(commit.events.iter().cloned());
        if let Some(run) = self.run_numbers.get(&commit.run_id).and_then(|number| self.runs.get_mut(number)) {
            run.status = commit.status;
            run.updated_at = commit.at;
        }
        if let Some(kept) = commit.supersede_after {
            self.checkpoints.supersede(&commit.thread_id, &commit.run_id, kept);
        }
        self.add_checkpoint(commit, cut)
    }

    fn add_checkpoint(&mut self, commit: &Commit, cut: &Cut) -> Result<Receipt, StoreError> {
        let Some(state) = &commit.state else { return Ok(Receipt { checkpoint: None, bytes: 0 }) };
        let size = super::super::length(state)?;
        let bytes = cut.iter().map(|parts| self.parts.add(parts)).sum();
        let manifest = state.iter().map(|(key, blob)| (key.clone(), blob.address())).collect();
        let checkpoint = Some(self.checkpoints.add(commit, manifest, size));
        if let Some(thread) = self.threads.get_mut(&commit.thread_id) {
            thread.checkpoint = checkpoint;
        }
        Ok(Receipt { checkpoint, bytes })
    }

    pub(super) fn head(&self, thread_id: &str) -> Result<Head, StoreError> {
        let thread = self.thread(thread_id)?;
        let run = self.run_numbers.get(&thread.run_id).and_then(|number| self.runs.get(number));
        let run = run.ok_or_else(|| unknown("run", &thread.run_id))?.clone();
        let last = self.events.get(&thread.run_id).and_then(|events| events.last());
        let last_seq = last.map_or(0, |event| event.seq);
        Ok(Head { run, epoch: thread.epoch, checkpoint: thread.checkpoint, last_seq })
    }

    pub(super) fn load(&self, checkpoint: i64) -> Result<StateBlobs, StoreError> {
        let manifest = self.checkpoints.manifest(checkpoint).ok_or_else(|| unknown("checkpoint", checkpoint))?;
        let blob = |address: &Address| self.parts.blob(*address).ok_or_else(|| unknown("checkpoint", checkpoint));
        manifest.iter().map(|(key, address)| Ok((key.clone(), blob(address)?))).collect()
    }

    pub(super) fn events(&self, run_id: &str) -> Result<Vec<Event>, StoreError> {
        if !self.run_numbers.contains_key(run_id) {
            return Err(unknown("run", run_id));
        }
        Ok(self.events.get(run_id).cloned().unwrap_or_default())
    }

    pub(super) fn runs(&self, limit: usize) -> Vec<RunRecord> {
        self.runs.values().rev().take(limit).cloned().collect()
    }

    pub(super) fn checkpoints(&self, listing: &Listing) -> Vec<CheckpointRecord> {
        self.checkpoints.list(listing)
    }

    pub(super) fn keep_newest(&mut self, thread_id: &str, keep: Option<u32>) -> Pruned {
        self.checkpoints.keep_newest(thread_id, keep, &mut self.parts)
    }

    /// All that `retention` says.
    pub(super) fn prune(&mut self, retention: &Retention, now: i64, thread_id: Option<&str>) -> Pruned {
        let mut pruned = self.prune_aged(retention, now, thread_id);
        let meant = self.threads.keys().filter(|name| thread_id.is_none_or(|thread| thread == *name));
        for name in meant.cloned().collect::<Vec<_>>() {
            pruned += self.keep_newest(&name, retention.keep);
        }
        pruned
    }

    /// Removes old runs that have ended, and old checkpoints that are not heads.
    pub(super) fn prune_aged(&mut self, retention: &Retention, now: i64, thread_id: Option<&str>) -> Pruned {
        let mut pruned = Pruned::default();
        let Some(since) = retention.max_age.map(|age| now.saturating_sub(age)) else { return pruned };
        let meant = |run: &&RunRecord| thread_id.is_none_or(|thread| thread == run.thread_id);
        let old = self.runs.values().filter(|run| run.started_at < since && run.updated_at < since).filter(meant);
        let is_head = |run: &RunRecord| self.threads.get(&run.thread_id).is_some_and(|one| one.run_id == run.run_id);
        let old: Vec<RunRecord> = old.filter(|run| !run.status.is_open() || !is_head(run)).cloned().collect();
        for run in old {
            pruned += self.drop_run(&run);
        }
        let heads = self.threads.values().filter_map(|thread| thread.checkpoint).collect();
        pruned += self.checkpoints.drop_aged(since, &heads, thread_id, &mut self.parts);
        pruned
    }

    fn drop_run(&mut self, run: &RunRecord) -> Pruned {
        if let Some(number) = self.run_numbers.remove(&run.run_id) {
            self.runs.remove(&number);
        }
        if self.threads.get(&run.thread_id).is_some_and(|thread| thread.run_id == run.run_id)
            && let Some(gone) = self.threads.remove(&run.thread_id)
        {
            self.spent_epoch = self.spent_epoch.max(gone.epoch);
        }
        self.events.remove(&run.run_id);
        Pruned { runs: 1, ..self.checkpoints.drop_run(&run.thread_id, &run.run_id, &mut self.parts) }
    }

    pub(super) fn usage(&self) -> Usage {
        let (blobs, blob_bytes) = self.parts.size();
        Usage {
            threads: self.threads.len() as u64,
            runs: self.runs.len() as u64,
            checkpoints: self.checkpoints.len() as u64,
            events: self.events.values().map(|events| events.len() as u64).sum(),
            documents: self.documents.len() as u64,
            blobs,
            blob_bytes,
            file_bytes: 0,
        }
    }

    pub(super) fn put(&mut self, put: &Put, cut: &[Arc<Part>]) -> Result<bool, StoreError> {
        if let Some(epoch) = put.epoch {
            self.held(&put.thread_id, epoch)?;
        }
        Ok(self.documents.put(put, cut, &mut self.parts))
    }

    pub(super) fn documents(&self, query: &Query) -> Result<Vec<Document>, StoreError> {
        self.documents.find(query, &self.parts)
    }

    pub(super) fn remove(&mut self, query: &Query) -> Result<Vec<Document>, StoreError> {
        self.documents.remove(query, &mut self.parts)
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
