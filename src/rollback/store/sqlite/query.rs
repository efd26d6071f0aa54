//! What is read from a store. Every row is untrusted: a wrong type, a wrong word or a missing blob is damage.

use rusqlite::{OptionalExtension, Row, Transaction};

use super::schema::SCHEMA;
use super::seal::{self, Seal, Sealing, Thread};
use super::{Event, Failure, Head, RunRecord, StateBlobs, blobs};
use crate::rollback::snapshot::{Address, Blob};
use crate::rollback::store::{CheckpointRecord, Listing, Status, Usage};

const RUN: &str = "run_id, thread_id, pipeline, version, status, started_at, updated_at, format, seal, status_seal";

pub(super) fn head(transaction: &Transaction<'_>, thread_id: &str) -> Result<Head, Failure> {
    let thread = Thread::find(transaction, thread_id)?.ok_or_else(|| Failure::unknown("thread", thread_id))?;
    let Thread { epoch, run_id, checkpoint } = thread;
    let sql = format!("SELECT {RUN} FROM runs WHERE run_id = ?1");
    let run = transaction.query_row(&sql, [&run_id], |row| Ok(run_record(row))).optional()?;
    let run = run.ok_or_else(|| Failure::Corrupt(format!("run {run_id:?} of thread {thread_id:?} is missing")))??;
    let last = "SELECT coalesce(max(seq), 0) FROM events WHERE run_id = ?1";
    let last_seq = transaction.query_row(last, [&run_id], |row| row.get(0))?;
    Ok(Head { run, epoch, checkpoint, last_seq })
}

pub(super) fn load(transaction: &Transaction<'_>, checkpoint: i64) -> Result<StateBlobs, Failure> {
    let sql = "SELECT run_id, label, at, thread_id, size, format, seal FROM checkpoints WHERE checkpoint_id = ?1";
    let row = transaction.query_row(sql, [checkpoint], |row| {
        let start = Sealing::of("checkpoints").number(checkpoint);
        let texts = (row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get::<_, String>(3)?);
        let sealing = start.text(&texts.0).text(&texts.1).number(row.get(2)?).text(&texts.2).number(row.get(4)?);
        Ok((row.get(5)?, row.get::<_, Option<Seal>>(6)?, sealing))
    });
    let (format, found, mut sealing) = row.optional()?.ok_or_else(|| Failure::unknown("checkpoint", checkpoint))?;
    known_format(format)?;
    if format == SCHEMA && found.is_none() {
        return Err(Failure::Corrupt(format!("checkpoint {checkpoint} has no checksum")));
    }
    let mut statement =
        transaction.prepare_cached("SELECT key, blob FROM manifest WHERE checkpoint_id = ?1 ORDER BY position")?;
    let mut rows = statement.query([checkpoint])?;
    let mut state = Vec::new();
    while let Some(row) = rows.next()? {
        let key: String = row.get(0)?;
        let blob = blobs::load(transaction, row.get(1)?)?;
        let blob = blob.ok_or_else(|| Failure::Corrupt(format!("the content of {key:?} is missing")))?;
        sealing = sealing.text(&key).address(&blob.address());
        state.push((key, blob));
    }
    seal::check(found, || sealing.seal(), || format!("what makes up checkpoint {checkpoint}"))?;
    Ok(state)
}

/// A row may come from a newer version that could keep the tables as they are.
fn known_format(found: i64) -> Result<(), Failure> {
    if found > SCHEMA { Err(Failure::Newer(found)) } else { Ok(()) }
}

pub(super) fn events(transaction: &Transaction<'_>, run_id: &str) -> Result<Vec<Event>, Failure> {
    let known = transaction.query_row("SELECT 1 FROM runs WHERE run_id = ?1", [run_id], |_| Ok(())).optional()?;
    known.ok_or_else(|| Failure::unknown("run", run_id))?;
    let mut statement =
        transaction.prepare_cached("SELECT seq, kind, at, address, body FROM events WHERE run_id = ?1 ORDER BY seq")?;
    let rows = statement.query_map([run_id], |row| {
        let body = Blob::from_stored(row.get::<_, Address>(3)?, row.get(4)?);
        Ok(Event { seq: row.get(0)?, kind: row.get(1)?, at: row.get(2)?, body })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub(super) fn runs(transaction: &Transaction<'_>, limit: u32) -> Result<Vec<RunRecord>, Failure> {
    let sql = format!("SELECT {RUN} FROM runs ORDER BY number DESC LIMIT ?1");
    let mut statement = transaction.prepare_cached(&sql)?;
    let rows = statement.query_map([limit], |row| Ok(run_record(row)))?;
    rows.map(|row| row?).collect()
}

fn run_record(row: &Row<'_>) -> Result<RunRecord, Failure> {
    known_format(row.get(7)?)?;
    let status: String = row.get(4)?;
    let record = RunRecord {
        run_id: row.get(0)?,
        thread_id: row.get(1)?,
        pipeline: row.get(2)?,
        version: row.get(3)?,
        status: status.parse().map_err(|_| Failure::Corrupt(format!("{status:?} is no status")))?,
        started_at: row.get(5)?,
        updated_at: row.get(6)?,
    };
    let what = || format!("the row of run {:?}", record.run_id);
    let origin =
        || origin_seal(&record.run_id, &record.thread_id, &record.pipeline, &record.version, record.started_at);
    seal::check(row.get(8)?, origin, what)?;
    seal::check(row.get(9)?, || status_seal(&record.run_id, record.status, record.updated_at), what)?;
    Ok(record)
}

/// Over what stays as it is from a run's beginning.
pub(super) fn origin_seal(run_id: &str, thread_id: &str, pipeline: &str, version: &str, started_at: i64) -> Seal {
    Sealing::of("runs").text(run_id).text(thread_id).text(pipeline).text(version).number(started_at).seal()
}

/// Over what each commit changes.
pub(super) fn status_seal(run_id: &str, status: Status, updated_at: i64) -> Seal {
    Sealing::of("status").text(run_id).text(status.as_str()).number(updated_at).seal()
}

pub(super) fn checkpoints(transaction: &Transaction<'_>, listing: &Listing) -> Result<Vec<CheckpointRecord>, Failure> {
    let mut statement = transaction.prepare_cached(
        "SELECT checkpoint_id, run_id, thread_id, label, at, superseded, size FROM checkpoints
         WHERE (?1 IS NULL OR thread_id = ?1) AND (?2 IS NULL OR run_id = ?2) ORDER BY checkpoint_id DESC LIMIT ?3",
    )?;
    let rows = statement.query_map(rusqlite::params![listing.thread_id, listing.run_id, listing.limit], |row| {
        Ok(CheckpointRecord {
            checkpoint: row.get(0)?,
            run_id: row.get(1)?,
            thread_id: row.get(2)?,
            label: row.get(3)?,
            at: row.get(4)?,
            superseded: row.get(5)?,
            size: row.get::<_, i64>(6)?.unsigned_abs(),
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub(super) fn usage(transaction: &Transaction<'_>) -> Result<Usage, Failure> {
    let number = |sql: &str| -> Result<u64, Failure> {
        Ok(transaction.query_row(sql, [], |row| row.get::<_, i64>(0))?.unsigned_abs())
    };
    Ok(Usage {
        threads: number("SELECT count(*) FROM threads")?,
        runs: number("SELECT count(*) FROM runs")?,
        checkpoints: number("SELECT count(*) FROM checkpoints")?,
        events: number("SELECT count(*) FROM events")?,
        documents: number("SELECT count(*) FROM documents")?,
        blobs: number("SELECT count(*) FROM blobs")?,
        blob_bytes: number("SELECT coalesce(sum(length(stored)), 0) FROM blobs")?,
        file_bytes: 0,
    })
}
