//! Parts of snapshots in the database, each counted by how many places name it.
//!
//! Writers share a lock and only ever add; references that go are noted in `garbage`. Whoever frees has the lock
//! alone, so that no part vanishes between being found by a writer and being counted by it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use super::session::{Session, typed};
use super::{Failure, StoreError};
use crate::rollback::snapshot::{self, Address, Blob, Packer, Part};

/// The advisory lock of writers and of whoever frees, one for each schema.
const LOCK: &str = "hashtextextended('hagane blobs ' || current_schema(), 0)";
/// So many roots are freed in one transaction at most.
const BATCH: i64 = 1000;

/// Keeps parts from being freed until the end of the transaction.
pub(super) async fn hold(session: &Session) -> Result<(), Failure> {
    session.rows(&format!("SELECT pg_advisory_xact_lock_shared({LOCK})"), &[]).await?;
    Ok(())
}

/// Which parts of values the database has; they stay until the end of the transaction.
pub(super) async fn there<'a>(
    session: &Session,
    values: impl Iterator<Item = &'a Blob>,
) -> Result<HashSet<Address>, Failure> {
    hold(session).await?;
    let mut wanted: Vec<&[u8]> = Vec::new();
    for value in values {
        wanted.extend(value.parts().map_err(StoreError::from)?.iter().map(|part| part.address().as_slice()));
    }
    let sql = "SELECT address FROM blobs WHERE address = ANY($1)";
    let rows = session.rows(sql, typed![wanted => BYTEA_ARRAY]).await?;
    Ok(rows.iter().filter_map(|row| address(row.get(0))).collect())
}

/// Puts what is not there yet of several values and counts one more reference to each root. Returns the roots' numbers
/// in order and the new bytes. The caller holds the lock.
pub(super) async fn add(session: &Session, values: &[&Blob]) -> Result<(Vec<i64>, u64), Failure> {
    let mut known: HashMap<Address, &Arc<Part>> = HashMap::new();
    for value in values {
        known.extend(value.parts().map_err(StoreError::from)?.iter().map(|part| (*part.address(), part)));
    }
    let mut adding = Adding { numbers: HashMap::new(), references: BTreeMap::new(), bytes: 0, packer: Packer::new() };
    let mut level: HashSet<Address> = values.iter().map(|value| value.address()).collect();
    let mut added = Vec::new();
    while !level.is_empty() {
        let new = adding.level(session, &level, &known).await?;
        let children = new.iter().flat_map(|part| part.children()).map(|child| child.address);
        level = children.filter(|address| !adding.numbers.contains_key(address)).collect();
        added.extend(new);
    }
    for child in added.iter().flat_map(|part| part.children()) {
        adding.refer(&child.address)?;
    }
    let roots = values.iter().map(|value| adding.refer(&value.address())).collect::<Result<_, _>>()?;
    adding.count(session).await?;
    Ok((roots, adding.bytes))
}

struct Adding {
    numbers: HashMap<Address, i64>,
    /// Sorted, so that two writers lock the rows in one order.
    references: BTreeMap<i64, i64>,
    bytes: u64,
    packer: Packer,
}

impl Adding {
    /// Finds or puts parts; returns those that were put here. What another writer has just put counts its own children.
    async fn level<'a>(
        &mut self,
        session: &Session,
        wanted: &HashSet<Address>,
        known: &HashMap<Address, &'a Arc<Part>>,
    ) -> Result<Vec<&'a Arc<Part>>, Failure> {
        self.find(session, wanted).await?;
        let mut missing: Vec<_> = wanted.iter().filter(|address| !self.numbers.contains_key(*address)).collect();
        if missing.is_empty() {
            return Ok(Vec::new());
        }
        missing.sort_unstable();
        let parts = missing.iter().map(|address| known.get(*address).copied().ok_or_else(|| lost(address)));
        let parts = parts.collect::<Result<Vec<_>, _>>()?;
        let stored: Vec<Vec<u8>> = parts.iter().map(|part| self.packer.pack(part)).collect();
        let addresses: Vec<&[u8]> = missing.iter().map(|address| address.as_slice()).collect();
        let sql = "INSERT INTO blobs(address, stored) SELECT * FROM unnest($1, $2)
             ON CONFLICT (address) DO NOTHING RETURNING address, blob";
        let rows = session.rows(sql, typed![addresses => BYTEA_ARRAY, stored => BYTEA_ARRAY]).await?;
        let own: HashSet<Address> = rows.iter().filter_map(|row| address(row.get(0))).collect();
        for row in &rows {
            if let Some(address) = address(row.get(0)) {
                self.numbers.insert(address, row.get(1));
            }
        }
        let new: Vec<_> = parts.iter().zip(&stored).filter(|(part, _)| own.contains(part.address())).collect();
        self.bytes += new.iter().map(|(_, bytes)| bytes.len() as u64).sum::<u64>();
        let new = new.into_iter().map(|(part, _)| *part).collect();
        if own.len() < missing.len() {
            self.find(session, wanted).await?;
        }
        Ok(new)
    }

    async fn find(&mut self, session: &Session, wanted: &HashSet<Address>) -> Result<(), Failure> {
        let addresses: Vec<&[u8]> = wanted.iter().map(<[u8; 32]>::as_slice).collect();
        let sql = "SELECT address, blob FROM blobs WHERE address = ANY($1)";
        for row in session.rows(sql, typed![addresses => BYTEA_ARRAY]).await? {
            if let Some(address) = address(row.get(0)) {
                self.numbers.insert(address, row.get(1));
            }
        }
        Ok(())
    }

    fn refer(&mut self, address: &Address) -> Result<i64, Failure> {
        let number = *self.numbers.get(address).ok_or_else(|| lost(address))?;
        *self.references.entry(number).or_default() += 1;
        Ok(number)
    }

    async fn count(&self, session: &Session) -> Result<(), Failure> {
        let (numbers, more): (Vec<i64>, Vec<i64>) = self.references.iter().unzip();
        let sql = "INSERT INTO counts(blob, count) SELECT * FROM unnest($1, $2)
             ON CONFLICT (blob) DO UPDATE SET count = counts.count + excluded.count";
        session.run(sql, typed![numbers => INT8_ARRAY, more => INT8_ARRAY]).await?;
        Ok(())
    }
}

/// Frees what lost its last reference; returns how many parts and bytes went. Waits for the lock, or leaves it.
pub(super) async fn collect(session: &Session, waiting: bool) -> Result<(u64, u64), Failure> {
    if waiting {
        session.rows(&format!("SELECT pg_advisory_xact_lock({LOCK})"), &[]).await?;
    } else {
        let got = session.row(&format!("SELECT pg_try_advisory_xact_lock({LOCK})"), &[]).await?;
        if !got.is_some_and(|row| row.get(0)) {
            return Ok((0, 0));
        }
    }
    let (mut parts, mut bytes) = (0, 0);
    loop {
        let sql = "DELETE FROM garbage WHERE number IN (SELECT number FROM garbage ORDER BY number LIMIT $1)
             RETURNING blob";
        let rows = session.rows(sql, typed![BATCH => INT8]).await?;
        if rows.is_empty() {
            return Ok((parts, bytes));
        }
        let mut level: Vec<i64> = rows.iter().map(|row| row.get(0)).collect();
        while !level.is_empty() {
            let gone = release(session, &level).await?;
            parts += gone.len() as u64;
            bytes += gone.iter().map(|stored| stored.len() as u64).sum::<u64>();
            level = children(session, &gone).await?;
        }
        if !waiting {
            return Ok((parts, bytes));
        }
    }
}

/// Takes a reference away from each (a number that stands twice loses two) and deletes what has none left.
async fn release(session: &Session, numbers: &[i64]) -> Result<Vec<Vec<u8>>, Failure> {
    let mut less: BTreeMap<i64, i64> = BTreeMap::new();
    numbers.iter().for_each(|number| *less.entry(*number).or_default() += 1);
    let (numbers, less): (Vec<i64>, Vec<i64>) = less.into_iter().unzip();
    let sql = "UPDATE counts SET count = count - less FROM unnest($1, $2) AS gone(number, less) WHERE blob = number";
    session.run(sql, typed![numbers => INT8_ARRAY, less => INT8_ARRAY]).await?;
    let sql = "WITH dead AS (DELETE FROM counts WHERE blob = ANY($1) AND count <= 0 RETURNING blob)
         DELETE FROM blobs USING dead WHERE blobs.blob = dead.blob RETURNING stored";
    let rows = session.rows(sql, typed![numbers => INT8_ARRAY]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// The numbers of all that these parts named, each as often as it was named.
async fn children(session: &Session, gone: &[Vec<u8>]) -> Result<Vec<i64>, Failure> {
    let mut named: Vec<Address> = Vec::new();
    for stored in gone {
        named.extend(snapshot::children(stored).map_err(StoreError::from)?);
    }
    if named.is_empty() {
        return Ok(Vec::new());
    }
    let addresses: Vec<&[u8]> = named.iter().map(<[u8; 32]>::as_slice).collect();
    let sql = "SELECT blob FROM unnest($1::bytea[]) AS named(address) JOIN blobs USING (address)";
    Ok(session.rows(sql, typed![addresses => BYTEA_ARRAY]).await?.iter().map(|row| row.get(0)).collect())
}

/// The values of these roots with all their parts, as far as they are there.
pub(super) async fn load(session: &Session, roots: &[i64]) -> Result<HashMap<i64, Blob>, Failure> {
    let sql = "SELECT address, stored, blob FROM blobs WHERE blob = ANY($1)";
    let rows = session.rows(sql, typed![roots => INT8_ARRAY]).await?;
    let mut found: HashMap<Address, Vec<u8>> = HashMap::new();
    let mut named: Vec<(i64, Address)> = Vec::new();
    for row in rows {
        let Some(address) = address(row.get(0)) else { continue };
        named.push((row.get(2), address));
        found.insert(address, row.get(1));
    }
    let mut level: Vec<Address> = found.values().flat_map(|stored| table(stored)).collect();
    while !level.is_empty() {
        level.retain(|address| !found.contains_key(address));
        let addresses: Vec<&[u8]> = level.iter().map(<[u8; 32]>::as_slice).collect();
        let sql = "SELECT address, stored FROM blobs WHERE address = ANY($1)";
        let rows = session.rows(sql, typed![addresses => BYTEA_ARRAY]).await?;
        level.clear();
        for row in rows {
            let (Some(address), stored) = (address(row.get(0)), row.get::<_, Vec<u8>>(1)) else { continue };
            level.extend(table(&stored));
            found.insert(address, stored);
        }
    }
    Ok(named.into_iter().map(|(number, root)| (number, Blob::from_parts(root, below(&root, &found)))).collect())
}

/// The parts of one value out of those of several.
fn below(root: &Address, found: &HashMap<Address, Vec<u8>>) -> HashMap<Address, Vec<u8>> {
    let (mut own, mut waiting) = (HashMap::new(), vec![*root]);
    while let Some(address) = waiting.pop() {
        if let Some(stored) = found.get(&address)
            && !own.contains_key(&address)
        {
            waiting.extend(table(stored));
            own.insert(address, stored.clone());
        }
    }
    own
}

/// A part that is damaged is found out when its value is read; others can still be read then.
fn table(stored: &[u8]) -> Vec<Address> {
    snapshot::children(stored).unwrap_or_default()
}

fn address(bytes: &[u8]) -> Option<Address> {
    bytes.try_into().ok()
}

fn lost(address: &Address) -> Failure {
    let name: String = address[..4].iter().map(|byte| format!("{byte:02x}")).collect();
    Failure::Corrupt(format!("part {name}... of a value is named but not there"))
}
