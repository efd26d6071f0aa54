//! Checkpoints by number and by thread.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::super::{CheckpointRecord, Commit, Listing, Pruned};
use super::parts::Parts;
use crate::rollback::snapshot::Address;

#[derive(Default)]
pub(super) struct Checkpoints {
    rows: BTreeMap<i64, Checkpoint>,
    threads: HashMap<String, BTreeSet<i64>>,
    last: i64,
}

struct Checkpoint {
    record: CheckpointRecord,
    manifest: Vec<(String, Address)>,
}

impl Checkpoints {
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Takes a state whose parts are there; returns its number.
    pub(super) fn add(&mut self, commit: &Commit, manifest: Vec<(String, Address)>, size: u64) -> i64 {
        self.last += 1;
        let record = CheckpointRecord {
            checkpoint: self.last,
            run_id: commit.run_id.clone(),
            thread_id: commit.thread_id.clone(),
            label: commit.label.clone(),
            at: commit.at,
            superseded: false,
            size,
        };
        self.rows.insert(self.last, Checkpoint { record, manifest });
        self.threads.entry(commit.thread_id.clone()).or_default().insert(self.last);
        self.last
    }

    /// The run went back to checkpoint `kept`.
    pub(super) fn supersede(&mut self, thread_id: &str, run_id: &str, kept: i64) {
        for number in self.of_thread(thread_id).filter(|number| *number > kept).collect::<Vec<_>>() {
            if let Some(checkpoint) = self.rows.get_mut(&number).filter(|one| one.record.run_id == run_id) {
                checkpoint.record.superseded = true;
            }
        }
    }

    pub(super) fn manifest(&self, number: i64) -> Option<&[(String, Address)]> {
        self.rows.get(&number).map(|checkpoint| checkpoint.manifest.as_slice())
    }

    /// Newest first.
    pub(super) fn list(&self, listing: &Listing) -> Vec<CheckpointRecord> {
        let of_run = |record: &&CheckpointRecord| listing.run_id.as_ref().is_none_or(|wanted| *wanted == record.run_id);
        let limit = listing.limit as usize;
        match &listing.thread_id {
            Some(thread) => {
                let own = self.of_thread(thread).rev().filter_map(|number| self.rows.get(&number));
                own.map(|one| &one.record).filter(of_run).take(limit).cloned().collect()
            }
            None => self.rows.values().rev().map(|one| &one.record).filter(of_run).take(limit).cloned().collect(),
        }
    }

    /// Removes a thread's checkpoints beyond the newest `keep`.
    pub(super) fn keep_newest(&mut self, thread_id: &str, keep: Option<u32>, parts: &mut Parts) -> Pruned {
        let Some(keep) = keep else { return Pruned::default() };
        let old: Vec<i64> = self.of_thread(thread_id).rev().skip(keep.max(1) as usize).collect();
        self.drop_all(&old, parts)
    }

    pub(super) fn drop_run(&mut self, thread_id: &str, run_id: &str, parts: &mut Parts) -> Pruned {
        let of_run = |number: &i64| self.rows.get(number).is_some_and(|one| one.record.run_id == run_id);
        let own: Vec<i64> = self.of_thread(thread_id).filter(of_run).collect();
        self.drop_all(&own, parts)
    }

    /// Removes what was written before `since` and is no head.
    pub(super) fn drop_aged(
        &mut self,
        since: i64,
        heads: &HashSet<i64>,
        thread_id: Option<&str>,
        parts: &mut Parts,
    ) -> Pruned {
        let meant = |record: &CheckpointRecord| thread_id.is_none_or(|thread| thread == record.thread_id);
        let old = self.rows.values().map(|one| &one.record);
        let old = old.filter(|one| one.at < since && meant(one) && !heads.contains(&one.checkpoint));
        let old: Vec<i64> = old.map(|record| record.checkpoint).collect();
        self.drop_all(&old, parts)
    }

    fn of_thread(&self, thread_id: &str) -> impl DoubleEndedIterator<Item = i64> {
        self.threads.get(thread_id).into_iter().flatten().copied()
    }

    fn drop_all(&mut self, numbers: &[i64], parts: &mut Parts) -> Pruned {
        let mut pruned = Pruned::default();
        for number in numbers {
            let Some(gone) = self.rows.remove(number) else { continue };
            if let Some(own) = self.threads.get_mut(&gone.record.thread_id) {
                own.remove(number);
                if own.is_empty() {
                    self.threads.remove(&gone.record.thread_id);
                }
            }
            pruned.checkpoints += 1;
            for (_, address) in gone.manifest {
                let (blobs, bytes) = parts.release(address);
                pruned.blobs += blobs;
                pruned.bytes += bytes;
            }
        }
        pruned
    }
}
