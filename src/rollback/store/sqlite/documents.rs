//! Documents: values beside runs.

use std::collections::HashSet;

use rusqlite::{OptionalExtension, Transaction, params};

use super::blobs::{self, Adder};
use super::{Failure, lease};
use crate::rollback::snapshot::Address;
use crate::rollback::store::{Document, Put, Query};

pub(super) fn put(transaction: &Transaction<'_>, put: &Put, known: &HashSet<Address>) -> Result<bool, Failure> {
    if let Some(epoch) = put.epoch {
        lease::held(transaction, &put.thread_id, epoch)?;
    }
    let name = params![put.collection, put.thread_id, put.key];
    let mut find = transaction
        .prepare_cached("SELECT seq, blob FROM documents WHERE collection = ?1 AND thread_id = ?2 AND key = ?3")?;
    let there: Option<(i64, i64)> = find.query_row(name, |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    if put.once && there.is_some() {
        return Ok(false);
    }
    let mut adder = Adder::new(transaction, known);
    let blob = adder.add(&put.body)?;
    adder.finish()?;
    if let Some((seq, blob)) = there {
        drop_document(transaction, seq, blob)?;
    }
    transaction
        .prepare_cached("INSERT INTO documents(collection, thread_id, key, at, blob) VALUES (?1, ?2, ?3, ?4, ?5)")?
        .execute(params![put.collection, put.thread_id, put.key, put.at, blob])?;
    if let Some(keep) = put.keep {
        keep_newest(transaction, put, keep)?;
    }
    Ok(true)
}

fn keep_newest(transaction: &Transaction<'_>, put: &Put, keep: u32) -> Result<(), Failure> {
    let mut old = transaction.prepare_cached(
        "SELECT seq, blob FROM documents WHERE collection = ?1 AND thread_id = ?2 ORDER BY seq DESC LIMIT -1 OFFSET ?3",
    )?;
    let rows = old.query_map(params![put.collection, put.thread_id, keep], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let rows: Vec<(i64, i64)> = rows.collect::<Result<_, _>>()?;
    rows.into_iter().try_for_each(|(seq, blob)| drop_document(transaction, seq, blob))
}

fn drop_document(transaction: &Transaction<'_>, seq: i64, blob: i64) -> Result<(), Failure> {
    transaction.prepare_cached("DELETE FROM documents WHERE seq = ?1")?.execute([seq])?;
    blobs::release(transaction, blob)?;
    Ok(())
}

pub(super) fn find(transaction: &Transaction<'_>, query: &Query) -> Result<Vec<Document>, Failure> {
    Ok(rows(transaction, query)?.into_iter().map(|(document, _)| document).collect())
}

pub(super) fn remove(transaction: &Transaction<'_>, query: &Query) -> Result<Vec<Document>, Failure> {
    let rows = rows(transaction, query)?;
    for (document, blob) in &rows {
        drop_document(transaction, document.seq, *blob)?;
    }
    Ok(rows.into_iter().map(|(document, _)| document).collect())
}

/// Documents with the numbers of their roots. One statement for each way to ask, so that each finds its index.
fn rows(transaction: &Transaction<'_>, query: &Query) -> Result<Vec<(Document, i64)>, Failure> {
    let thread = if query.thread_id.is_some() { "AND thread_id = ?2" } else { "AND ?2 IS NULL" };
    let key = if query.key.is_some() { "AND key = ?3" } else { "AND ?3 IS NULL" };
    let sql = format!(
        "SELECT thread_id, key, seq, at, blob FROM documents WHERE collection = ?1 {thread} {key}
         ORDER BY seq DESC LIMIT ?4"
    );
    let mut statement = transaction.prepare_cached(&sql)?;
    let mut rows = statement.query(params![query.collection, query.thread_id, query.key, query.limit])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let (key, blob): (String, i64) = (row.get(1)?, row.get(4)?);
        let body = blobs::load(transaction, blob)?;
        let body = body.ok_or_else(|| Failure::Corrupt(format!("the content of document {key:?} is missing")))?;
        let document = Document { thread_id: row.get(0)?, key, seq: row.get(2)?, at: row.get(3)?, body };
        found.push((document, blob));
    }
    Ok(found)
}
