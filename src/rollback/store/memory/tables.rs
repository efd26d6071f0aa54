//! The tables of the in-memory store; whoever has them has them alone.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use super::super::{
    CheckpointRecord, Claim, Commit, Document, Event, Head, Lease, Listing, NewRun, Pruned, Put, Query, Receipt,
    Retention, RunRecord, StateBlobs, Status, StoreError, Usage,
};
use super::parts::Parts;
use super::{lease_of, unknown};
use crate::rollback::snapshot::{Address, Part, SnapshotError};

#[derive(Default)]
pub(super) struct Tables {
    threads: HashMap<String, Thread>,
    /// In order of their beginning.
    runs: Vec<RunRecord>,
    events: HashMap<String, Vec<Event>>,
    checkpoints: BTreeMap<i64, Checkpoint>,
    last_checkpoint: i64,
    documents: BTreeMap<i64, Row>,
    last_document: i64,
    parts: Parts,
}

pub(super) struct Thread {
    epoch: i64,
    run_id: String,
    checkpoint: Option<i64>,
    pub(super) lease: Option<(Lease, i64)>,
}

struct Checkpoint {
    record: CheckpointRecord,
    manifest: Vec<(String, Address)>,
}

/// Collection, thread, key, time and root of a document.
type Row = (String, String, String, i64, Address);
/// The parts of each key's value.
type Cut = Vec<Vec<Arc<Part>>>;

/// Cuts and hashes a state before anything is locked.
pub(super) fn cut(commit: &Commit) -> Result<Cut, SnapshotError> {
    let state = commit.state.as_deref().unwrap_or_default();
    state.iter().map(|(_, blob)| blob.parts().map(<[_]>::to_vec)).collect()
}

impl Tables {
    pub(super) fn begin(&mut self, run: &NewRun, claim: Option<&Claim>, now: i64) -> Result<i64, StoreError> {
        if self.runs.iter().any(|known| known.run_id == run.run_id) {
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
        let epoch = before.map_or(0, |thread| thread.epoch) + 1;
        let lease = claim.map(|claim| lease_of(claim, epoch, now));
        let thread = Thread { epoch, run_id: run.run_id.clone(), checkpoint: None, lease };
        self.threads.insert(run.thread_id.clone(), thread);
        self.runs.push(record(run));
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
        let thread = self.threads.get_mut(thread_id).filter(|thread| thread.epoch >= epoch);
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
        if let Some(run) = self.runs.iter_mut().find(|run| run.run_id == commit.run_id) {
            run.status = commit.status;
            run.updated_at = commit.at;
        }
        if let Some(kept) = commit.supersede_after {
            let later = self.checkpoints.range_mut(kept + 1..).map(|(_, checkpoint)| &mut checkpoint.record);
            later.filter(|record| record.run_id == commit.run_id).for_each(|record| record.superseded = true);
        }
        self.add_checkpoint(commit, cut)
    }

    fn add_checkpoint(&mut self, commit: &Commit, cut: &Cut) -> Result<Receipt, StoreError> {
        let Some(state) = &commit.state else { return Ok(Receipt { checkpoint: None, bytes: 0 }) };
        let bytes = cut.iter().map(|parts| self.parts.add(parts)).sum();
        self.last_checkpoint += 1;
        let record = CheckpointRecord {
            checkpoint: self.last_checkpoint,
            run_id: commit.run_id.clone(),
            thread_id: commit.thread_id.clone(),
            label: commit.label.clone(),
            at: commit.at,
            superseded: false,
            size: super::super::length(state)?,
        };
        let manifest = state.iter().map(|(key, blob)| (key.clone(), blob.address())).collect();
        self.checkpoints.insert(self.last_checkpoint, Checkpoint { record, manifest });
        if let Some(thread) = self.threads.get_mut(&commit.thread_id) {
            thread.checkpoint = Some(self.last_checkpoint);
        }
        Ok(Receipt { checkpoint: Some(self.last_checkpoint), bytes })
    }

    pub(super) fn head(&self, thread_id: &str) -> Result<Head, StoreError> {
        let thread = self.thread(thread_id)?;
        let run = self.runs.iter().find(|run| run.run_id == thread.run_id);
        let run = run.ok_or_else(|| unknown("run", &thread.run_id))?.clone();
        let last = self.events.get(&thread.run_id).and_then(|events| events.last());
        let last_seq = last.map_or(0, |event| event.seq);
        Ok(Head { run, epoch: thread.epoch, checkpoint: thread.checkpoint, last_seq })
    }

    pub(super) fn load(&self, checkpoint: i64) -> Result<StateBlobs, StoreError> {
        let found = self.checkpoints.get(&checkpoint).ok_or_else(|| unknown("checkpoint", checkpoint))?;
        let blob = |address: &Address| self.parts.blob(*address).ok_or_else(|| unknown("checkpoint", checkpoint));
        found.manifest.iter().map(|(key, address)| Ok((key.clone(), blob(address)?))).collect()
    }

    pub(super) fn events(&self, run_id: &str) -> Result<Vec<Event>, StoreError> {
        if !self.runs.iter().any(|run| run.run_id == run_id) {
            return Err(unknown("run", run_id));
        }
        Ok(self.events.get(run_id).cloned().unwrap_or_default())
    }

    pub(super) fn runs(&self, limit: usize) -> Vec<RunRecord> {
        self.runs.iter().rev().take(limit).cloned().collect()
    }

    pub(super) fn checkpoints(&self, listing: &Listing) -> Vec<CheckpointRecord> {
        let fits = |wanted: &Option<String>, found: &str| wanted.as_deref().is_none_or(|wanted| wanted == found);
        let records = self.checkpoints.values().rev().map(|checkpoint| &checkpoint.record);
        let meant = records
            .filter(|record| fits(&listing.thread_id, &record.thread_id) && fits(&listing.run_id, &record.run_id));
        meant.take(listing.limit as usize).cloned().collect()
    }

    pub(super) fn keep_newest(&mut self, thread_id: &str, keep: Option<u32>) -> Pruned {
        let Some(keep) = keep else { return Pruned::default() };
        let of_thread = self.checkpoints.values().rev().filter(|one| one.record.thread_id == thread_id);
        let old: Vec<i64> = of_thread.skip(keep.max(1) as usize).map(|one| one.record.checkpoint).collect();
        self.drop_checkpoints(&old)
    }

    pub(super) fn prune(&mut self, retention: &Retention, now: i64, thread_id: Option<&str>) -> Pruned {
        let mut pruned = Pruned::default();
        let meant = |name: &String| thread_id.is_none_or(|thread| thread == name);
        if let Some(age) = retention.max_age {
            let since = now.saturating_sub(age);
            let heads: HashSet<&String> = self.threads.values().map(|thread| &thread.run_id).collect();
            let ended = |run: &RunRecord| !run.status.is_open() || !heads.contains(&run.run_id);
            let old = self.runs.iter().filter(|run| meant(&run.thread_id) && run.updated_at < since && ended(run));
            let old: Vec<String> = old.map(|run| run.run_id.clone()).collect();
            old.iter().for_each(|run| pruned += self.drop_run(run));
            let heads: Vec<_> = self.threads.values().filter_map(|thread| thread.checkpoint).collect();
            let aged = self.checkpoints.values().map(|one| &one.record);
            let aged = aged.filter(|one| meant(&one.thread_id) && one.at < since && !heads.contains(&one.checkpoint));
            let aged: Vec<i64> = aged.map(|record| record.checkpoint).collect();
            pruned += self.drop_checkpoints(&aged);
        }
        let names: Vec<String> = self.threads.keys().filter(|name| meant(name)).cloned().collect();
        names.iter().for_each(|name| pruned += self.keep_newest(name, retention.keep));
        pruned
    }

    fn drop_run(&mut self, run_id: &str) -> Pruned {
        let own = self.checkpoints.values().filter(|one| one.record.run_id == run_id);
        let own: Vec<i64> = own.map(|one| one.record.checkpoint).collect();
        self.runs.retain(|run| run.run_id != run_id);
        self.threads.retain(|_, thread| thread.run_id != run_id);
        self.events.remove(run_id);
        Pruned { runs: 1, ..self.drop_checkpoints(&own) }
    }

    fn drop_checkpoints(&mut self, numbers: &[i64]) -> Pruned {
        let mut pruned = Pruned::default();
        for number in numbers {
            let Some(gone) = self.checkpoints.remove(number) else { continue };
            pruned.checkpoints += 1;
            for (_, address) in gone.manifest {
                let (blobs, bytes) = self.parts.release(address);
                pruned.blobs += blobs;
                pruned.bytes += bytes;
            }
        }
        pruned
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
        let same = |(collection, thread, key, _, _): &Row| {
            *collection == put.collection && *thread == put.thread_id && *key == put.key
        };
        let known = self.documents.iter().find(|(_, document)| same(document)).map(|(seq, _)| *seq);
        if put.once && known.is_some() {
            return Ok(false);
        }
        self.parts.add(cut);
        self.last_document += 1;
        let row = (put.collection.clone(), put.thread_id.clone(), put.key.clone(), put.at, put.body.address());
        self.documents.insert(self.last_document, row);
        known.into_iter().for_each(|seq| self.drop_document(seq));
        if let Some(keep) = put.keep {
            let newest = self.documents.iter().rev();
            let own = newest.filter(|(_, row)| row.0 == put.collection && row.1 == put.thread_id);
            let old: Vec<i64> = own.skip(keep as usize).map(|(seq, _)| *seq).collect();
            old.into_iter().for_each(|seq| self.drop_document(seq));
        }
        Ok(true)
    }

    fn drop_document(&mut self, seq: i64) {
        if let Some((.., address)) = self.documents.remove(&seq) {
            self.parts.release(address);
        }
    }

    pub(super) fn documents(&self, query: &Query) -> Result<Vec<Document>, StoreError> {
        let fits = |wanted: &Option<String>, found: &str| wanted.as_deref().is_none_or(|wanted| wanted == found);
        let meant = self.documents.iter().rev().filter(|(_, (collection, thread, key, _, _))| {
            *collection == query.collection && fits(&query.thread_id, thread) && fits(&query.key, key)
        });
        let show = |(seq, (_, thread_id, key, at, address)): (&i64, &Row)| {
            let body = self.parts.blob(*address).ok_or_else(|| unknown("document", key))?;
            Ok(Document { thread_id: thread_id.clone(), key: key.clone(), seq: *seq, at: *at, body })
        };
        meant.take(query.limit as usize).map(show).collect()
    }

    pub(super) fn remove(&mut self, query: &Query) -> Result<Vec<Document>, StoreError> {
        let found = self.documents(query)?;
        found.iter().for_each(|document| self.drop_document(document.seq));
        Ok(found)
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
