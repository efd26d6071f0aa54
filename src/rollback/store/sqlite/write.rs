//! The transactions that begin, take over and continue a run.

use std::collections::HashSet;

use rusqlite::{OptionalExtension, Transaction, params};

use super::blobs::Adder;
use super::seal::{Sealing, Thread};
use super::{Commit, Failure, NewRun, Receipt, Retention, StoreError, lease, query, remove, schema};
use crate::rollback::snapshot::{Address, Blob};
use crate::rollback::store::failpoint;
use crate::rollback::store::{Claim, Status};

pub(super) fn begin(
    transaction: &Transaction<'_>,
    run: &NewRun,
    first: Commit,
    claim: Option<&Claim>,
    retention: &Retention,
    known: &HashSet<Address>,
) -> Result<(i64, Receipt), Failure> {
    let there = transaction.query_row("SELECT 1 FROM runs WHERE run_id = ?1", [&run.run_id], |_| Ok(())).optional()?;
    if there.is_some() {
        return Err(Failure::Twice(run.run_id.clone()));
    }
    lease::check(transaction, &run.thread_id, claim)?;
    transaction.execute(
        "INSERT INTO runs(run_id, thread_id, pipeline, version, status, started_at, updated_at, seal)
         VALUES (?1, ?2, ?3, ?4, 'running', ?5, ?5, ?6)",
        params![
            run.run_id,
            run.thread_id,
            run.pipeline,
            run.version,
            run.at,
            query::origin_seal(&run.run_id, &run.thread_id, &run.pipeline, &run.version, run.at)
        ],
    )?;
    // It is looked at before it is replaced: a damaged row must not become a good one.
    Thread::find(transaction, &run.thread_id)?;
    let epoch = transaction.query_row(
        "INSERT INTO threads(thread_id, epoch, run_id)
         VALUES (?1, 1 + coalesce((SELECT value FROM hagane_meta WHERE key = 'epoch'), 0), ?2)
         ON CONFLICT(thread_id) DO UPDATE SET epoch = epoch + 1, run_id = ?2, checkpoint_id = NULL RETURNING epoch",
        params![run.thread_id, run.run_id],
        |row| row.get(0),
    )?;
    Thread { epoch, run_id: run.run_id.clone(), checkpoint: None }.write(transaction, &run.thread_id)?;
    lease::record(transaction, &run.thread_id, claim)?;
    failpoint::pass("begin.started");
    let receipt = commit(transaction, &Commit { epoch, ..first }, retention, known)?;
    remove::aged(transaction, retention, run.at, None, remove::BATCH)?;
    Ok((epoch, receipt))
}

pub(super) fn commit(
    transaction: &Transaction<'_>,
    commit: &Commit,
    retention: &Retention,
    known: &HashSet<Address>,
) -> Result<Receipt, Failure> {
    let thread = hold(transaction, &commit.thread_id, &commit.run_id, commit.epoch)?;
    failpoint::pass("commit.held");
    let sql = "UPDATE runs SET status = ?2, updated_at = ?3, status_seal = ?4 WHERE run_id = ?1";
    transaction.prepare_cached(sql)?.execute(params![
        commit.run_id,
        commit.status.as_str(),
        commit.at,
        query::status_seal(&commit.run_id, commit.status, commit.at)
    ])?;
    lease::prolong(transaction, &commit.thread_id, commit.status == Status::Running)?;
    add_events(transaction, commit)?;
    failpoint::pass("commit.events");
    if let Some(kept) = commit.supersede_after {
        let sql = "UPDATE checkpoints SET superseded = 1 WHERE thread_id = ?1 AND run_id = ?2 AND checkpoint_id > ?3";
        transaction.execute(sql, params![commit.thread_id, commit.run_id, kept])?;
    }
    let receipt = match &commit.state {
        Some(state) => {
            let receipt = add_checkpoint(transaction, commit, state, known)?;
            let checkpoint = receipt.checkpoint.or(thread.checkpoint);
            Thread { checkpoint, ..thread }.write(transaction, &commit.thread_id)?;
            failpoint::pass("commit.manifest");
            remove::beyond_newest(transaction, &commit.thread_id, retention.keep)?;
            receipt
        }
        None => Receipt { checkpoint: None, bytes: 0 },
    };
    failpoint::pass("commit.before");
    Ok(receipt)
}

/// Compare-and-set: the write lock is held, so an epoch that fits now fits until the end of the transaction.
fn hold(transaction: &Transaction<'_>, thread_id: &str, run_id: &str, epoch: i64) -> Result<Thread, Failure> {
    let thread = Thread::find(transaction, thread_id)?;
    let held = thread.filter(|thread| thread.epoch == epoch && thread.run_id == run_id);
    held.ok_or_else(|| StoreError::LeaseLost(thread_id.to_owned()).into())
}

fn add_events(transaction: &Transaction<'_>, commit: &Commit) -> Result<(), Failure> {
    let mut insert = transaction
        .prepare_cached("INSERT INTO events(run_id, seq, kind, at, address, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?;
    let mut packer = crate::rollback::snapshot::Packer::new();
    for event in &commit.events {
        let body = event.body.whole().map_err(StoreError::from)?;
        insert.execute(params![commit.run_id, event.seq, event.kind, event.at, body.address(), packer.pack(&body)])?;
    }
    Ok(())
}

fn add_checkpoint(
    transaction: &Transaction<'_>,
    commit: &Commit,
    state: &[(String, Blob)],
    known: &HashSet<Address>,
) -> Result<Receipt, Failure> {
    let size = crate::rollback::store::length(state).map_err(StoreError::from)?;
    let size = i64::try_from(size).unwrap_or(i64::MAX);
    let mut insert = transaction.prepare_cached(
        "INSERT INTO checkpoints(run_id, label, at, thread_id, size, format) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?;
    let checkpoint =
        insert.insert(params![commit.run_id, commit.label, commit.at, commit.thread_id, size, schema::SCHEMA])?;
    let mut manifest = transaction
        .prepare_cached("INSERT INTO manifest(checkpoint_id, position, key, blob) VALUES (?1, ?2, ?3, ?4)")?;
    let mut adder = Adder::new(transaction, known);
    let start = Sealing::of("checkpoints").number(checkpoint).text(&commit.run_id).text(&commit.label);
    let mut sealing = start.number(commit.at).text(&commit.thread_id).number(size);
    for (position, (key, blob)) in (0_i64..).zip(state) {
        let number = adder.add(blob)?;
        manifest.execute(params![checkpoint, position, key, number])?;
        sealing = sealing.text(key).address(&blob.address());
    }
    failpoint::pass("commit.blobs");
    let bytes = adder.finish()?;
    transaction
        .prepare_cached("UPDATE checkpoints SET seal = ?2 WHERE checkpoint_id = ?1")?
        .execute(params![checkpoint, sealing.seal()])?;
    Ok(Receipt { checkpoint: Some(checkpoint), bytes })
}
