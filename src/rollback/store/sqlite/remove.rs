//! Retention: what goes, and with it every part that nothing names any more.

use rusqlite::{Transaction, params};

use super::{Failure, blobs};
use crate::rollback::store::failpoint;
use crate::rollback::store::{Pruned, Retention};

/// How many runs and checkpoints go at most when a run begins, so that no beginning waits long.
pub(super) const BATCH: u32 = 50;

/// Removes a thread's checkpoints beyond the newest `keep`. The head is the newest, so it stays.
pub(super) fn beyond_newest(
    transaction: &Transaction<'_>,
    thread_id: &str,
    keep: Option<u32>,
) -> Result<Pruned, Failure> {
    let Some(keep) = keep else { return Ok(Pruned::default()) };
    let mut old = transaction.prepare_cached(
        "SELECT checkpoint_id FROM checkpoints WHERE thread_id = ?1 ORDER BY checkpoint_id DESC LIMIT -1 OFFSET ?2",
    )?;
    let old: Vec<i64> = old.query_map(params![thread_id, keep.max(1)], |row| row.get(0))?.collect::<Result<_, _>>()?;
    drop_checkpoints(transaction, &old)
}

/// Removes old runs that have ended, and old checkpoints that are not heads.
pub(super) fn aged(
    transaction: &Transaction<'_>,
    retention: &Retention,
    now: i64,
    thread_id: Option<&str>,
    most: u32,
) -> Result<Pruned, Failure> {
    let Some(age) = retention.max_age else { return Ok(Pruned::default()) };
    let since = now.saturating_sub(age);
    let mut pruned = Pruned::default();
    let mut runs = transaction.prepare_cached(
        "SELECT run_id FROM runs WHERE started_at < ?1 AND updated_at < ?1 AND (?2 IS NULL OR thread_id = ?2)
         AND (status NOT IN ('running', 'escalated') OR run_id NOT IN (SELECT run_id FROM threads)) LIMIT ?3",
    )?;
    let runs: Vec<String> =
        runs.query_map(params![since, thread_id, most], |row| row.get(0))?.collect::<Result<_, _>>()?;
    for run in runs {
        pruned += drop_run(transaction, &run)?;
    }
    let mut old = transaction.prepare_cached(
        "SELECT checkpoint_id FROM checkpoints WHERE at < ?1 AND (?2 IS NULL OR thread_id = ?2)
         AND checkpoint_id NOT IN (SELECT checkpoint_id FROM threads WHERE checkpoint_id IS NOT NULL)
         ORDER BY checkpoint_id LIMIT ?3",
    )?;
    let old: Vec<i64> = old.query_map(params![since, thread_id, most], |row| row.get(0))?.collect::<Result<_, _>>()?;
    pruned += drop_checkpoints(transaction, &old)?;
    Ok(pruned)
}

/// All that `retention` says, whatever it takes.
pub(super) fn prune(
    transaction: &Transaction<'_>,
    retention: &Retention,
    now: i64,
    thread_id: Option<&str>,
) -> Result<Pruned, Failure> {
    let mut pruned = aged(transaction, retention, now, thread_id, u32::MAX)?;
    let mut threads =
        transaction.prepare("SELECT DISTINCT thread_id FROM checkpoints WHERE ?1 IS NULL OR thread_id = ?1")?;
    let threads: Vec<String> = threads.query_map([thread_id], |row| row.get(0))?.collect::<Result<_, _>>()?;
    for thread in threads {
        pruned += beyond_newest(transaction, &thread, retention.keep)?;
    }
    Ok(pruned)
}

fn drop_run(transaction: &Transaction<'_>, run_id: &str) -> Result<Pruned, Failure> {
    let mut own = transaction.prepare_cached("SELECT checkpoint_id FROM checkpoints WHERE run_id = ?1")?;
    let own: Vec<i64> = own.query_map([run_id], |row| row.get(0))?.collect::<Result<_, _>>()?;
    let pruned = drop_checkpoints(transaction, &own)?;
    for sql in [
        // The thread's next run must not get an epoch that a stale writer of this one still names.
        "INSERT INTO hagane_meta(key, value) SELECT 'epoch', epoch FROM threads WHERE run_id = ?1
         ON CONFLICT(key) DO UPDATE SET value = max(value, excluded.value)",
        "DELETE FROM events WHERE run_id = ?1",
        "DELETE FROM threads WHERE run_id = ?1",
        "DELETE FROM runs WHERE run_id = ?1",
    ] {
        transaction.prepare_cached(sql)?.execute([run_id])?;
    }
    Ok(Pruned { runs: 1, ..pruned })
}

fn drop_checkpoints(transaction: &Transaction<'_>, numbers: &[i64]) -> Result<Pruned, Failure> {
    let mut pruned = Pruned::default();
    for number in numbers {
        let mut manifest =
            transaction.prepare_cached("DELETE FROM manifest WHERE checkpoint_id = ?1 RETURNING blob")?;
        let roots: Vec<i64> = manifest.query_map([number], |row| row.get(0))?.collect::<Result<_, _>>()?;
        transaction.prepare_cached("DELETE FROM checkpoints WHERE checkpoint_id = ?1")?.execute([number])?;
        pruned.checkpoints += 1;
        for root in roots {
            let (parts, bytes) = blobs::release(transaction, root)?;
            pruned.blobs += parts;
            pruned.bytes += bytes;
        }
        failpoint::pass("prune.removed");
    }
    Ok(pruned)
}
