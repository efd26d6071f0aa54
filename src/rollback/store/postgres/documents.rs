//! Documents: values beside runs.

use tokio_postgres::Row;

use super::session::{Session, typed};
use super::{Document, Failure, Put, Query, blobs, lease};

/// Longer than anybody tries a write again: microseconds.
const DAY: i64 = 86_400 * 1_000_000;

/// What the write of this token did, if it has happened already: only its answer was lost. What others did since then
/// to the document is theirs.
async fn done(session: &Session, token: &str) -> Result<Option<bool>, Failure> {
    let row = session.row("SELECT put FROM writes WHERE token = $1", typed![token => TEXT]).await?;
    Ok(row.map(|row| row.get(0)))
}

/// Notes a write in its own transaction.
async fn note(session: &Session, token: &str, put: bool) -> Result<(), Failure> {
    let sql = format!("INSERT INTO writes(token, at, put) VALUES ($1, {}, $2)", lease::CLOCK);
    session.run(&sql, typed![token => TEXT, put => BOOL]).await?;
    Ok(())
}

pub(super) async fn put(session: &Session, put: &Put, token: &str) -> Result<bool, Failure> {
    // One at a time under a name, so that two who put it once see each other; and who repeats a write whose answer was
    // lost waits here for its end.
    let name = format!("{}\u{1f}{}\u{1f}{}", put.collection, put.thread_id, put.key);
    session.run("SELECT pg_advisory_xact_lock(hashtextextended($1, 1))", typed![name => TEXT]).await?;
    if let Some(known) = done(session, token).await? {
        return Ok(known);
    }
    let written = put_new(session, put, token).await?;
    note(session, token, written).await?;
    Ok(written)
}

async fn put_new(session: &Session, put: &Put, token: &str) -> Result<bool, Failure> {
    if let Some(epoch) = put.epoch {
        lease::held(session, &put.thread_id, epoch).await?;
    }
    blobs::hold(session).await?;
    let sql = "SELECT seq FROM documents WHERE collection = $1 AND thread_id = $2 AND key = $3 AND taken IS NULL";
    let names = typed![put.collection => TEXT, put.thread_id => TEXT, put.key => TEXT];
    if let Some(row) = session.row(sql, names).await? {
        if put.once {
            return Ok(false);
        }
        drop_documents(session, &[row.get(0)]).await?;
    }
    let (roots, _) = blobs::add(session, &[&put.body]).await?;
    let sql = "INSERT INTO documents(collection, thread_id, key, at, blob, token) VALUES ($1, $2, $3, $4, $5, $6)";
    let parameters = typed![
        put.collection => TEXT, put.thread_id => TEXT, put.key => TEXT, put.at => INT8, roots[0] => INT8, token => TEXT
    ];
    session.run(sql, parameters).await?;
    if let Some(keep) = put.keep {
        let sql = "SELECT seq FROM documents WHERE collection = $1 AND thread_id = $2 AND taken IS NULL
             ORDER BY seq DESC OFFSET $3";
        let keep = i64::from(keep);
        let old = session.rows(sql, typed![put.collection => TEXT, put.thread_id => TEXT, keep => INT8]).await?;
        drop_documents(session, &old.iter().map(|row| row.get(0)).collect::<Vec<_>>()).await?;
    }
    Ok(true)
}

async fn drop_documents(session: &Session, numbers: &[i64]) -> Result<(), Failure> {
    if !numbers.is_empty() {
        let sql = "WITH gone AS (DELETE FROM documents WHERE seq = ANY($1) RETURNING blob)
             INSERT INTO garbage(blob) SELECT blob FROM gone";
        session.run(sql, typed![numbers => INT8_ARRAY]).await?;
    }
    Ok(())
}

const MEANT: &str = "collection = $1 AND ($2::text IS NULL OR thread_id = $2) AND ($3::text IS NULL OR key = $3)";

pub(super) async fn find(session: &Session, query: &Query) -> Result<Vec<Document>, Failure> {
    let sql = format!(
        "SELECT thread_id, key, seq, at, blob FROM documents WHERE {MEANT} AND taken IS NULL
         ORDER BY seq DESC LIMIT $4"
    );
    let limit = i64::from(query.limit);
    let parameters = typed![query.collection => TEXT, query.thread_id => TEXT, query.key => TEXT, limit => INT8];
    let rows = session.rows(&sql, parameters).await?;
    show(session, &rows).await
}

/// Takes documents out of everybody's sight. A repeated call with the same token finds the same ones.
pub(super) async fn take(session: &Session, query: &Query, token: &str) -> Result<Vec<Document>, Failure> {
    let sql = "SELECT thread_id, key, seq, at, blob FROM documents WHERE taken = $1 ORDER BY seq DESC";
    if done(session, token).await?.is_some() {
        let before = session.rows(sql, typed![token => TEXT]).await?;
        return show(session, &before).await;
    }
    let taking = format!("UPDATE documents SET taken = $4 WHERE {MEANT} AND taken IS NULL");
    let parameters = typed![query.collection => TEXT, query.thread_id => TEXT, query.key => TEXT, token => TEXT];
    if session.run(&taking, parameters).await? > 0 {
        note(session, token, false).await?;
    }
    let rows = session.rows(sql, typed![token => TEXT]).await?;
    show(session, &rows).await
}

pub(super) async fn drop_taken(session: &Session, token: &str) -> Result<(), Failure> {
    let rows = session.rows("SELECT seq FROM documents WHERE taken = $1", typed![token => TEXT]).await?;
    drop_documents(session, &rows.iter().map(|row| row.get(0)).collect::<Vec<_>>()).await
}

/// What was taken out of sight so long ago that its consumer has it or is dead; and the notes of old writes.
pub(super) async fn drop_abandoned(session: &Session) -> Result<(), Failure> {
    let before = format!("{} - {DAY}", lease::CLOCK);
    let sql = format!(
        "SELECT seq FROM documents WHERE taken IS NOT NULL
         AND NOT EXISTS (SELECT 1 FROM writes WHERE writes.token = taken AND writes.at >= {before})
         FOR UPDATE SKIP LOCKED"
    );
    let rows = session.rows(&sql, &[]).await?;
    drop_documents(session, &rows.iter().map(|row| row.get(0)).collect::<Vec<_>>()).await?;
    forget_old(session).await
}

/// Notes that nobody can ask for any more.
pub(super) async fn forget_old(session: &Session) -> Result<(), Failure> {
    let sql = format!("DELETE FROM writes WHERE at < {} - {DAY}", lease::CLOCK);
    session.run(&sql, &[]).await?;
    Ok(())
}

async fn show(session: &Session, rows: &[Row]) -> Result<Vec<Document>, Failure> {
    let roots: Vec<i64> = rows.iter().map(|row| row.get(4)).collect();
    let found = blobs::load(session, &roots).await?;
    let document = |row: &Row| {
        let key: String = row.get(1);
        let body = found.get(&row.get::<_, i64>(4)).cloned();
        let body = body.ok_or_else(|| Failure::Corrupt(format!("the content of document {key:?} is missing")))?;
        Ok(Document { thread_id: row.get(0), key, seq: row.get(2), at: row.get(3), body })
    };
    rows.iter().map(document).collect()
}
