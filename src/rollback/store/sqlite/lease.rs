//! Leases in the file. The clock is SQLite's: all who share a file share it too.

use rusqlite::{OptionalExtension, Row, Transaction, params};

use super::seal::Thread;
use super::{Failure, StoreError};
use crate::rollback::store::{Claim, Lease, OnConflict, Process};

const COLUMNS: &str = "owner, epoch, expires_at, host, boot, pid, started, lasting";

pub(super) fn now(transaction: &Transaction<'_>) -> Result<i64, Failure> {
    let mut clock = transaction.prepare_cached("SELECT CAST(unixepoch('subsec') * 1000000 AS INTEGER)")?;
    Ok(clock.query_row([], |row| row.get(0))?)
}

/// The lease of a thread; none if it has no owner or is not there.
pub(super) fn find(transaction: &Transaction<'_>, thread_id: &str) -> Result<Option<Lease>, Failure> {
    let sql = format!("SELECT {COLUMNS} FROM threads WHERE thread_id = ?1 AND owner IS NOT NULL");
    Ok(transaction.prepare_cached(&sql)?.query_row([thread_id], lease).optional()?)
}

fn lease(row: &Row<'_>) -> rusqlite::Result<Lease> {
    let process = Process { host: row.get(3)?, boot: row.get(4)?, pid: row.get(5)?, started: row.get(6)? };
    Ok(Lease { owner: row.get(0)?, epoch: row.get(1)?, expires_at: row.get(2)?, process })
}

/// Whether a thread may be taken.
pub(super) fn check(transaction: &Transaction<'_>, thread_id: &str, claim: Option<&Claim>) -> Result<(), Failure> {
    match claim {
        Some(claim) if claim.on_conflict == OnConflict::Reject => {
            let lease = find(transaction, thread_id)?;
            Ok(claim.check(thread_id, lease.as_ref(), now(transaction)?)?)
        }
        _ => Ok(()),
    }
}

/// Writes the new owner down, or that there is none.
pub(super) fn record(transaction: &Transaction<'_>, thread_id: &str, claim: Option<&Claim>) -> Result<(), Failure> {
    let Some(claim) = claim else {
        let sql = "UPDATE threads SET owner = NULL, lasting = NULL WHERE thread_id = ?1";
        transaction.prepare_cached(sql)?.execute([thread_id])?;
        return Ok(());
    };
    let (process, lasting) = (Process::own(), claim.micros());
    let expires_at = now(transaction)?.saturating_add(lasting);
    transaction.execute(
        "UPDATE threads SET owner = ?2, lasting = ?3, expires_at = ?4, host = ?5, boot = ?6, pid = ?7, started = ?8
         WHERE thread_id = ?1",
        params![thread_id, claim.owner, lasting, expires_at, process.host, process.boot, process.pid, process.started],
    )?;
    Ok(())
}

/// A write under a lease makes it last its full time again; the last write of a run ends it.
pub(super) fn prolong(transaction: &Transaction<'_>, thread_id: &str, running: bool) -> Result<(), Failure> {
    let sql = if running {
        "UPDATE threads SET expires_at = CAST(unixepoch('subsec') * 1000000 AS INTEGER) + lasting
         WHERE thread_id = ?1 AND owner IS NOT NULL"
    } else {
        "UPDATE threads SET owner = NULL, lasting = NULL WHERE thread_id = ?1"
    };
    transaction.prepare_cached(sql)?.execute([thread_id])?;
    Ok(())
}

/// Proves the epoch alone, for writes that name no run.
pub(super) fn held(transaction: &Transaction<'_>, thread_id: &str, epoch: i64) -> Result<(), Failure> {
    let found = Thread::find(transaction, thread_id)?.map(|thread| thread.epoch);
    if found == Some(epoch) { Ok(()) } else { Err(StoreError::LeaseLost(thread_id.to_owned()).into()) }
}

/// When the lease ends now that it was renewed.
pub(super) fn renew(transaction: &Transaction<'_>, thread_id: &str, epoch: i64) -> Result<i64, Failure> {
    held(transaction, thread_id, epoch)?;
    prolong(transaction, thread_id, true)?;
    let found = find(transaction, thread_id)?;
    found.map_or_else(|| now(transaction), |lease| Ok(lease.expires_at))
}
