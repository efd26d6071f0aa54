//! Retention: what goes. Its roots are noted as garbage; `blobs::collect` frees them.

use super::session::{Session, typed};
use super::{Failure, Pruned, Retention};
use crate::rollback::store::failpoint;

/// How many runs and checkpoints go at most when a run begins, so that no beginning waits long.
pub(super) const BATCH: i64 = 50;

/// Removes a thread's checkpoints beyond the newest `keep`. The head is the newest, so it stays.
pub(super) async fn beyond_newest(session: &Session, thread_id: &str, keep: Option<u32>) -> Result<Pruned, Failure> {
    let Some(keep) = keep else { return Ok(Pruned::default()) };
    let sql = "SELECT checkpoint_id FROM checkpoints WHERE thread_id = $1 ORDER BY checkpoint_id DESC OFFSET $2";
    let old = session.rows(sql, typed![thread_id => TEXT, i64::from(keep.max(1)) => INT8]).await?;
    drop_checkpoints(session, &old.iter().map(|row| row.get(0)).collect::<Vec<i64>>()).await
}

/// Removes old runs that have ended, and old checkpoints that are not heads.
pub(super) async fn aged(
    session: &Session,
    retention: &Retention,
    now: i64,
    thread_id: Option<&str>,
    most: i64,
) -> Result<Pruned, Failure> {
    let Some(age) = retention.max_age else { return Ok(Pruned::default()) };
    let since = now.saturating_sub(age);
    let mut pruned = Pruned::default();
    // Threads that somebody writes to at this moment are passed over; their time comes again.
    let sql = "SELECT runs.run_id FROM runs LEFT JOIN threads USING (run_id)
         WHERE started_at < $1 AND updated_at < $1 AND ($2::text IS NULL OR runs.thread_id = $2)
         AND (status NOT IN ('running', 'escalated') OR threads.run_id IS NULL)
         ORDER BY number LIMIT $3 FOR UPDATE OF runs SKIP LOCKED";
    for row in session.rows(sql, typed![since => INT8, thread_id => TEXT, most => INT8]).await? {
        pruned += drop_run(session, row.get(0)).await?;
    }
    let sql = "SELECT checkpoint_id FROM checkpoints WHERE at < $1 AND ($2::text IS NULL OR thread_id = $2)
         AND NOT EXISTS (SELECT 1 FROM threads WHERE threads.checkpoint_id = checkpoints.checkpoint_id)
         ORDER BY checkpoint_id LIMIT $3 FOR UPDATE SKIP LOCKED";
    let old = session.rows(sql, typed![since => INT8, thread_id => TEXT, most => INT8]).await?;
    pruned += drop_checkpoints(session, &old.iter().map(|row| row.get(0)).collect::<Vec<i64>>()).await?;
    Ok(pruned)
}

/// All that `retention` says, whatever it takes.
pub(super) async fn prune(
    session: &Session,
    retention: &Retention,
    now: i64,
    thread_id: Option<&str>,
) -> Result<Pruned, Failure> {
    // Left by a consumer of documents that died between its two steps.
    super::documents::drop_abandoned(session).await?;
    let mut pruned = aged(session, retention, now, thread_id, i64::MAX).await?;
    let sql = "SELECT DISTINCT thread_id FROM checkpoints WHERE $1::text IS NULL OR thread_id = $1";
    for row in session.rows(sql, typed![thread_id => TEXT]).await? {
        pruned += beyond_newest(session, row.get(0), retention.keep).await?;
    }
    Ok(pruned)
}

async fn drop_run(session: &Session, run_id: &str) -> Result<Pruned, Failure> {
    let own = session.rows("SELECT checkpoint_id FROM checkpoints WHERE run_id = $1", typed![run_id => TEXT]).await?;
    let own: Vec<i64> = own.iter().map(|row| row.get(0)).collect();
    let pruned = drop_checkpoints(session, &own).await?;
    // The thread's next run must not get an epoch that a stale writer of this one still names.
    let sql = "INSERT INTO hagane_meta(key, value) SELECT 'epoch', epoch FROM threads WHERE run_id = $1
         ON CONFLICT (key) DO UPDATE SET value = greatest(hagane_meta.value, excluded.value)";
    session.run(sql, typed![run_id => TEXT]).await?;
    for table in ["events", "threads", "runs"] {
        session.run(&format!("DELETE FROM {table} WHERE run_id = $1"), typed![run_id => TEXT]).await?;
    }
    Ok(Pruned { runs: 1, ..pruned })
}

async fn drop_checkpoints(session: &Session, numbers: &[i64]) -> Result<Pruned, Failure> {
    if numbers.is_empty() {
        return Ok(Pruned::default());
    }
    let sql = "WITH gone AS (DELETE FROM manifest WHERE checkpoint_id = ANY($1) RETURNING blob)
         INSERT INTO garbage(blob) SELECT blob FROM gone";
    session.run(sql, typed![numbers => INT8_ARRAY]).await?;
    let sql = "DELETE FROM checkpoints WHERE checkpoint_id = ANY($1)";
    let checkpoints = session.run(sql, typed![numbers => INT8_ARRAY]).await?;
    failpoint::pass("prune.removed");
    Ok(Pruned { checkpoints, ..Pruned::default() })
}
