//! The transactions that begin and continue a run.

use super::session::{Session, typed};
use super::{Commit, Failure, NewRun, Receipt, Retention, StoreError, blobs, lease, remove};
use crate::rollback::snapshot::{Blob, Packer};
use crate::rollback::store::failpoint;
use crate::rollback::store::{Claim, Status};

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
    let sql = "INSERT INTO threads(thread_id, epoch, run_id) VALUES ($1, 1, $2)
         ON CONFLICT (thread_id) DO UPDATE SET epoch = threads.epoch + 1, run_id = $2, checkpoint_id = NULL
         RETURNING epoch";
    let row = session.row(sql, typed![run.thread_id => TEXT, run.run_id => TEXT]).await?;
    let epoch = row.map_or(1, |row| row.get(0));
    lease::record(session, &run.thread_id, claim).await?;
    failpoint::pass("begin.started");
    let receipt = commit(session, &Commit { epoch, ..first.clone() }, retention, token).await?;
    remove::aged(session, retention, run.at, None, remove::BATCH).await?;
    Ok((epoch, receipt))
}

pub(super) async fn commit(
    session: &Session,
    commit: &Commit,
    retention: &Retention,
    token: &str,
) -> Result<Receipt, Failure> {
    let sql = "SELECT epoch, run_id, token, token_checkpoint, token_bytes FROM threads WHERE thread_id = $1 FOR UPDATE";
    let row = session.row(sql, typed![commit.thread_id => TEXT]).await?;
    let lost = || Failure::Store(StoreError::LeaseLost(commit.thread_id.clone()));
    let row = row.ok_or_else(lost)?;
    if row.get::<_, Option<&str>>(2) == Some(token) {
        return Ok(receipt(row.get(3), row.get(4)));
    }
    // Compare-and-set: the row is locked, so an epoch that fits now fits until the end of the transaction.
    if row.get::<_, i64>(0) != commit.epoch || row.get::<_, &str>(1) != commit.run_id {
        return Err(lost());
    }
    failpoint::pass("commit.held");
    // What does not wait for each other goes out together: one round trip for all.
    tokio::try_join!(
        set_status(session, commit),
        lease::prolong(session, &commit.thread_id, commit.status == Status::Running),
        add_events(session, commit),
        supersede(session, commit),
    )?;
    failpoint::pass("commit.events");
    let written = match &commit.state {
        Some(state) => {
            let written = add_checkpoint(session, commit, state).await?;
            remove::beyond_newest(session, &commit.thread_id, retention.keep).await?;
            written
        }
        None => Receipt { checkpoint: None, bytes: 0 },
    };
    let sql = "UPDATE threads SET checkpoint_id = coalesce($3, checkpoint_id), token = $2, token_checkpoint = $3,
         token_bytes = $4 WHERE thread_id = $1";
    let bytes = i64::try_from(written.bytes).unwrap_or(i64::MAX);
    let parameters = typed![commit.thread_id => TEXT, token => TEXT, written.checkpoint => INT8, bytes => INT8];
    session.run(sql, parameters).await?;
    failpoint::pass("commit.before");
    Ok(written)
}

async fn set_status(session: &Session, commit: &Commit) -> Result<(), Failure> {
    let sql = "UPDATE runs SET status = $2, updated_at = $3 WHERE run_id = $1";
    session.run(sql, typed![commit.run_id => TEXT, commit.status.as_str() => TEXT, commit.at => INT8]).await?;
    Ok(())
}

async fn supersede(session: &Session, commit: &Commit) -> Result<(), Failure> {
    if let Some(kept) = commit.supersede_after {
        let sql = "UPDATE checkpoints SET superseded = true
             WHERE thread_id = $1 AND run_id = $2 AND checkpoint_id > $3";
        session.run(sql, typed![commit.thread_id => TEXT, commit.run_id => TEXT, kept => INT8]).await?;
    }
    Ok(())
}

/// Whether the write of this token has happened already: its answer was lost.
async fn done(session: &Session, thread_id: &str, token: &str) -> Result<Option<(i64, Receipt)>, Failure> {
    let sql = "SELECT epoch, token_checkpoint, token_bytes FROM threads WHERE thread_id = $1 AND token = $2";
    let row = session.row(sql, typed![thread_id => TEXT, token => TEXT]).await?;
    Ok(row.map(|row| (row.get(0), receipt(row.get(1), row.get(2)))))
}

fn receipt(checkpoint: Option<i64>, bytes: Option<i64>) -> Receipt {
    Receipt { checkpoint, bytes: bytes.unwrap_or(0).unsigned_abs() }
}

async fn add_events(session: &Session, commit: &Commit) -> Result<(), Failure> {
    if commit.events.is_empty() {
        return Ok(());
    }
    let mut packer = Packer::new();
    let (mut addresses, mut bodies): (Vec<Vec<u8>>, Vec<Vec<u8>>) = (Vec::new(), Vec::new());
    for event in &commit.events {
        let body = event.body.whole().map_err(StoreError::from)?;
        addresses.push(body.address().to_vec());
        bodies.push(packer.pack(&body));
    }
    let numbers: Vec<i64> = commit.events.iter().map(|event| event.seq).collect();
    let kinds: Vec<&str> = commit.events.iter().map(|event| event.kind.as_str()).collect();
    let times: Vec<i64> = commit.events.iter().map(|event| event.at).collect();
    let sql = "INSERT INTO events(run_id, seq, kind, at, address, body)
         SELECT $1, * FROM unnest($2, $3, $4, $5, $6)";
    let parameters = typed![
        commit.run_id => TEXT, numbers => INT8_ARRAY, kinds => TEXT_ARRAY, times => INT8_ARRAY,
        addresses => BYTEA_ARRAY, bodies => BYTEA_ARRAY
    ];
    session.run(sql, parameters).await?;
    Ok(())
}

async fn add_checkpoint(session: &Session, commit: &Commit, state: &[(String, Blob)]) -> Result<Receipt, Failure> {
    let size = crate::rollback::store::length(state).map_err(StoreError::from)?;
    let size = i64::try_from(size).unwrap_or(i64::MAX);
    let sql = "INSERT INTO checkpoints(thread_id, run_id, label, at, size) VALUES ($1, $2, $3, $4, $5)
         RETURNING checkpoint_id";
    let parameters = typed![
        commit.thread_id => TEXT, commit.run_id => TEXT, commit.label => TEXT, commit.at => INT8, size => INT8
    ];
    let values: Vec<&Blob> = state.iter().map(|(_, blob)| blob).collect();
    let (row, ()) = tokio::try_join!(session.row(sql, parameters), blobs::hold(session))?;
    let checkpoint: i64 = row.map_or(0, |row| row.get(0));
    let (roots, bytes) = blobs::add(session, &values).await?;
    failpoint::pass("commit.blobs");
    let keys: Vec<&str> = state.iter().map(|(key, _)| key.as_str()).collect();
    let positions: Vec<i64> = (0_i64..).take(keys.len()).collect();
    let sql = "INSERT INTO manifest(checkpoint_id, position, key, blob) SELECT $1, * FROM unnest($2, $3, $4)";
    let parameters = typed![checkpoint => INT8, positions => INT8_ARRAY, keys => TEXT_ARRAY, roots => INT8_ARRAY];
    session.run(sql, parameters).await?;
    failpoint::pass("commit.manifest");
    Ok(Receipt { checkpoint: Some(checkpoint), bytes })
}
