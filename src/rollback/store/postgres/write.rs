//! The transactions that begin and continue a run.

use super::routine::Statement;
use super::session::{Session, typed};
use super::{Commit, Failure, NewRun, Receipt, Retention, blobs, lease, remove};
use crate::rollback::store::Claim;
use crate::rollback::store::failpoint;

pub(super) async fn begin(
    session: &Session,
    run: &NewRun,
    first: &Commit,
    claim: Option<&Claim>,
    retention: &Retention,
    token: &str,
) -> Result<(i64, Receipt), Failure> {
    if let Some((epoch, receipt)) = done(session, &run.thread_id, token).await? {
        return Ok((epoch, receipt));
    }
    if session.row("SELECT 1 FROM runs WHERE run_id = $1", typed![run.run_id => TEXT]).await?.is_some() {
        return Err(Failure::Twice(run.run_id.clone()));
    }
    lease::check(session, &run.thread_id, claim).await?;
    let sql = "INSERT INTO runs(run_id, thread_id, pipeline, version, status, started_at, updated_at)
         VALUES ($1, $2, $3, $4, 'running', $5, $5)";
    let parameters = typed![
        run.run_id => TEXT, run.thread_id => TEXT, run.pipeline => TEXT, run.version => TEXT, run.at => INT8
    ];
    session.run(sql, parameters).await?;
    let sql = "INSERT INTO threads(thread_id, epoch, run_id)
         VALUES ($1, 1 + coalesce((SELECT value FROM hagane_meta WHERE key = 'epoch'), 0), $2)
         ON CONFLICT (thread_id) DO UPDATE SET epoch = threads.epoch + 1, run_id = $2, checkpoint_id = NULL
         RETURNING epoch";
    let row = session.row(sql, typed![run.thread_id => TEXT, run.run_id => TEXT]).await?;
    let epoch = row.map_or(1, |row| row.get(0));
    lease::record(session, &run.thread_id, claim).await?;
    failpoint::pass("begin.started");
    let receipt = commit(session, first, epoch, retention, token).await?;
    remove::aged(session, retention, run.at, None, remove::BATCH).await?;
    Ok((epoch, receipt))
}

/// A commit in a transaction that is open, sending what the database does not have.
pub(super) async fn commit(
    session: &Session,
    commit: &Commit,
    epoch: i64,
    retention: &Retention,
    token: &str,
) -> Result<Receipt, Failure> {
    let state = commit.state.as_deref().unwrap_or_default();
    let there = blobs::there(session, state.iter().map(|(_, blob)| blob)).await?;
    let written = Statement::new(commit, retention, |address| there.contains(address))?;
    let written = written.run(session, epoch, token).await?;
    failpoint::pass("commit.before");
    written.ok_or_else(|| Failure::Corrupt("a part of a state is there without those that it names".into()))
}

/// Whether the write of this token has happened already: its answer was lost.
async fn done(session: &Session, thread_id: &str, token: &str) -> Result<Option<(i64, Receipt)>, Failure> {
    let sql = "SELECT epoch, token_checkpoint, token_bytes FROM threads WHERE thread_id = $1 AND token = $2";
    let row = session.row(sql, typed![thread_id => TEXT, token => TEXT]).await?;
    Ok(row.map(|row| {
        let bytes = row.get::<_, Option<i64>>(2).unwrap_or(0).unsigned_abs();
        (row.get(0), Receipt { checkpoint: row.get(1), bytes })
    }))
}
