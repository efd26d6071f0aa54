//! The two transactions that change a store.

use rusqlite::{OptionalExtension, Transaction, params};

use super::{Commit, Failure, NewRun, Receipt, StoreError};
use crate::rollback::snapshot::Blob;

pub(super) fn begin(transaction: &Transaction<'_>, run: &NewRun) -> Result<i64, Failure> {
    transaction.execute(
        "INSERT INTO runs(run_id, thread_id, pipeline, version, status, started_at, updated_at)
         VALUES (?1, ?2, ?3, ?4, 'running', ?5, ?5)",
        params![run.run_id, run.thread_id, run.pipeline, run.version, run.at],
    )?;
    let epoch = transaction.query_row(
        "INSERT INTO threads(thread_id, epoch, run_id) VALUES (?1, 1, ?2)
         ON CONFLICT(thread_id) DO UPDATE SET epoch = epoch + 1, run_id = ?2, checkpoint_id = NULL RETURNING epoch",
        params![run.thread_id, run.run_id],
        |row| row.get(0),
    )?;
    Ok(epoch)
}

pub(super) fn commit(transaction: &Transaction<'_>, commit: &Commit) -> Result<Receipt, Failure> {
    hold(transaction, commit)?;
    transaction.execute(
        "UPDATE runs SET status = ?2, updated_at = ?3 WHERE run_id = ?1",
        params![commit.run_id, commit.status.as_str(), commit.at],
    )?;
    add_events(transaction, commit)?;
    match &commit.state {
        Some(state) => add_checkpoint(transaction, commit, state),
        None => Ok(Receipt { checkpoint: None, bytes: 0 }),
    }
}

/// Compare-and-set: the write lock is held, so an epoch that fits now fits until the end of the transaction.
fn hold(transaction: &Transaction<'_>, commit: &Commit) -> Result<(), Failure> {
    let holder: Option<i64> = transaction
        .query_row(
            "SELECT epoch FROM threads WHERE thread_id = ?1 AND run_id = ?2",
            params![commit.thread_id, commit.run_id],
            |row| row.get(0),
        )
        .optional()?;
    if holder == Some(commit.epoch) { Ok(()) } else { Err(StoreError::LeaseLost(commit.thread_id.clone()).into()) }
}

fn add_events(transaction: &Transaction<'_>, commit: &Commit) -> Result<(), Failure> {
    let mut insert = transaction
        .prepare_cached("INSERT INTO events(run_id, seq, kind, at, address, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?;
    for event in &commit.events {
        let (address, body) = (event.body.address(), event.body.stored());
        insert.execute(params![commit.run_id, event.seq, event.kind, event.at, address, body])?;
    }
    Ok(())
}

fn add_checkpoint(
    transaction: &Transaction<'_>,
    commit: &Commit,
    state: &[(String, Blob)],
) -> Result<Receipt, Failure> {
    transaction.execute(
        "INSERT INTO checkpoints(run_id, label, at) VALUES (?1, ?2, ?3)",
        params![commit.run_id, commit.label, commit.at],
    )?;
    let checkpoint = transaction.last_insert_rowid();
    let mut blobs = transaction.prepare_cached("INSERT OR IGNORE INTO blobs(address, stored) VALUES (?1, ?2)")?;
    let mut manifest = transaction
        .prepare_cached("INSERT INTO manifest(checkpoint_id, position, key, address) VALUES (?1, ?2, ?3, ?4)")?;
    let mut bytes = 0;
    for (position, (key, blob)) in (0_i64..).zip(state) {
        let added = blobs.execute(params![blob.address(), blob.stored()])?;
        bytes += (added * blob.stored().len()) as u64;
        manifest.execute(params![checkpoint, position, key, blob.address()])?;
    }
    transaction
        .execute("UPDATE threads SET checkpoint_id = ?2 WHERE thread_id = ?1", params![commit.thread_id, checkpoint])?;
    Ok(Receipt { checkpoint: Some(checkpoint), bytes })
}
