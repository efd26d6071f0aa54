//! What is read. Every row is untrusted: a wrong word or a missing blob is damage.

use tokio_postgres::Row;

use super::schema::SCHEMA;
use super::session::{Session, typed};
use super::{CheckpointRecord, Event, Failure, Head, Listing, RunRecord, StateBlobs, Usage, blobs};
use crate::rollback::snapshot::{Address, Blob};

const RUN: &str = "run_id, thread_id, pipeline, version, status, started_at, updated_at, format";

pub(super) async fn head(session: &Session, thread_id: &str) -> Result<Head, Failure> {
    let sql = "SELECT epoch, run_id, checkpoint_id FROM threads WHERE thread_id = $1";
    let thread = session.row(sql, typed![thread_id => TEXT]).await?;
    let thread = thread.ok_or_else(|| Failure::unknown("thread", thread_id))?;
    let run_id: String = thread.get(1);
    let run = session.row(&format!("SELECT {RUN} FROM runs WHERE run_id = $1"), typed![run_id => TEXT]).await?;
    let run = run.ok_or_else(|| Failure::Corrupt(format!("run {run_id:?} of thread {thread_id:?} is missing")))?;
    let sql = "SELECT coalesce(max(seq), 0) FROM events WHERE run_id = $1";
    let last_seq = session.row(sql, typed![run_id => TEXT]).await?.map_or(0, |row| row.get(0));
    Ok(Head { run: run_record(&run)?, epoch: thread.get(0), checkpoint: thread.get(2), last_seq })
}

pub(super) async fn load(session: &Session, checkpoint: i64) -> Result<StateBlobs, Failure> {
    let sql = "SELECT format FROM checkpoints WHERE checkpoint_id = $1";
    let row = session.row(sql, typed![checkpoint => INT8]).await?;
    known_format(row.ok_or_else(|| Failure::unknown("checkpoint", checkpoint))?.get(0))?;
    let sql = "SELECT key, blob FROM manifest WHERE checkpoint_id = $1 ORDER BY position";
    let rows = session.rows(sql, typed![checkpoint => INT8]).await?;
    let roots: Vec<i64> = rows.iter().map(|row| row.get(1)).collect();
    let found = blobs::load(session, &roots).await?;
    let entry = |row: &Row| {
        let key: String = row.get(0);
        let blob = found.get(&row.get::<_, i64>(1)).cloned();
        let blob = blob.ok_or_else(|| Failure::Corrupt(format!("the content of {key:?} is missing")))?;
        Ok((key, blob))
    };
    rows.iter().map(entry).collect()
}

pub(super) async fn events(session: &Session, run_id: &str) -> Result<Vec<Event>, Failure> {
    let known = session.row("SELECT 1 FROM runs WHERE run_id = $1", typed![run_id => TEXT]).await?;
    known.ok_or_else(|| Failure::unknown("run", run_id))?;
    let sql = "SELECT seq, kind, at, address, body FROM events WHERE run_id = $1 ORDER BY seq";
    let event = |row: &Row| {
        let address = Address::try_from(row.get::<_, &[u8]>(3));
        let address = address.map_err(|_| Failure::Corrupt("an event has no address".into()))?;
        let body = Blob::from_stored(address, row.get(4));
        Ok(Event { seq: row.get(0), kind: row.get(1), at: row.get(2), body })
    };
    session.rows(sql, typed![run_id => TEXT]).await?.iter().map(event).collect()
}

pub(super) async fn runs(session: &Session, limit: u32) -> Result<Vec<RunRecord>, Failure> {
    let sql = format!("SELECT {RUN} FROM runs ORDER BY number DESC LIMIT $1");
    session.rows(&sql, typed![i64::from(limit) => INT8]).await?.iter().map(run_record).collect()
}

pub(super) async fn checkpoints(session: &Session, listing: &Listing) -> Result<Vec<CheckpointRecord>, Failure> {
    let sql = "SELECT checkpoint_id, run_id, thread_id, label, at, superseded, size FROM checkpoints
         WHERE ($1::text IS NULL OR thread_id = $1) AND ($2::text IS NULL OR run_id = $2)
         ORDER BY checkpoint_id DESC LIMIT $3";
    let limit = i64::from(listing.limit);
    let rows = session.rows(sql, typed![listing.thread_id => TEXT, listing.run_id => TEXT, limit => INT8]).await?;
    let record = |row: &Row| CheckpointRecord {
        checkpoint: row.get(0),
        run_id: row.get(1),
        thread_id: row.get(2),
        label: row.get(3),
        at: row.get(4),
        superseded: row.get(5),
        size: row.get::<_, i64>(6).unsigned_abs(),
    };
    Ok(rows.iter().map(record).collect())
}

pub(super) async fn usage(session: &Session, schema: &str) -> Result<Usage, Failure> {
    let sql = "SELECT (SELECT count(*) FROM threads), (SELECT count(*) FROM runs), (SELECT count(*) FROM checkpoints),
         (SELECT count(*) FROM events), (SELECT count(*) FROM documents WHERE taken IS NULL),
         (SELECT count(*) FROM blobs), (SELECT coalesce(sum(length(stored)), 0)::bigint FROM blobs),
         (SELECT coalesce(sum(pg_total_relation_size(oid)), 0)::bigint FROM pg_class
          WHERE relnamespace = to_regnamespace($1) AND relkind = 'r')";
    let row = session.row(sql, typed![format!("\"{schema}\"") => TEXT]).await?;
    let row = row.ok_or_else(|| Failure::Corrupt("no figures".into()))?;
    let number = |index: usize| row.get::<_, i64>(index).unsigned_abs();
    Ok(Usage {
        threads: number(0),
        runs: number(1),
        checkpoints: number(2),
        events: number(3),
        documents: number(4),
        blobs: number(5),
        blob_bytes: number(6),
        file_bytes: number(7),
    })
}

/// A row may come from a newer version that could keep the tables as they are.
fn known_format(found: i64) -> Result<(), Failure> {
    if found > SCHEMA { Err(Failure::Newer(found)) } else { Ok(()) }
}

fn run_record(row: &Row) -> Result<RunRecord, Failure> {
    known_format(row.get(7))?;
    let status: &str = row.get(4);
    Ok(RunRecord {
        run_id: row.get(0),
        thread_id: row.get(1),
        pipeline: row.get(2),
        version: row.get(3),
        status: status.parse().map_err(|_| Failure::Corrupt(format!("{status:?} is no status")))?,
        started_at: row.get(5),
        updated_at: row.get(6),
    })
}
