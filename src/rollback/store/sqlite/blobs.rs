//! Parts of snapshots in the file, each counted by how many places name it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use rusqlite::{OptionalExtension, Transaction, params};

use super::Failure;
use crate::rollback::snapshot::{self, Address, Blob, Packer, Part};

/// Puts the parts of several values and counts who names them.
pub(super) struct Adder<'a> {
    transaction: &'a Transaction<'a>,
    /// Parts that this process knows to be good if they are there.
    good: &'a HashSet<Address>,
    packer: Packer,
    /// How many references more each part has; written once, at the end.
    references: HashMap<i64, i64>,
    mended: u64,
    /// Bytes of parts that were not there before.
    pub(super) bytes: u64,
}

impl<'a> Adder<'a> {
    pub(super) fn new(transaction: &'a Transaction<'a>, good: &'a HashSet<Address>) -> Self {
        Self { transaction, good, packer: Packer::new(), references: HashMap::new(), mended: 0, bytes: 0 }
    }

    /// Puts what is not there yet of a value and counts one more reference to its root, whose number it returns.
    /// Nothing below a part that is known to be good is looked at: what names its children keeps them. Another that is
    /// there is read before it is relied on, and written anew if it is damaged.
    pub(super) fn add(&mut self, blob: &Blob) -> Result<i64, Failure> {
        let parts = blob.parts().map_err(super::StoreError::from)?;
        let known: HashMap<&Address, &Arc<Part>> = parts.iter().map(|part| (part.address(), part)).collect();
        let root = blob.address();
        let (mut numbers, mut added, mut waiting) = (HashMap::new(), Vec::new(), vec![root]);
        while let Some(address) = waiting.pop() {
            if numbers.contains_key(&address) {
                continue;
            }
            if let Some(number) = find(self.transaction, &address)? {
                numbers.insert(address, number);
                if !self.good.contains(&address) {
                    let part = *known.get(&address).ok_or_else(|| missing(&address))?;
                    self.mend(number, part)?;
                    waiting.extend(part.children().iter().map(|child| child.address));
                }
                continue;
            }
            let part = *known.get(&address).ok_or_else(|| missing(&address))?;
            numbers.insert(address, self.insert(part)?);
            waiting.extend(part.children().iter().map(|child| child.address));
            added.push(part);
        }
        for child in added.iter().flat_map(|part| part.children()) {
            let number = numbers.get(&child.address).ok_or_else(|| missing(&child.address))?;
            *self.references.entry(*number).or_default() += 1;
        }
        let number = *numbers.get(&root).ok_or_else(|| missing(&root))?;
        *self.references.entry(number).or_default() += 1;
        Ok(number)
    }

    /// Reads a part that another process wrote; what is there is replaced if it is not the part.
    fn mend(&mut self, number: i64, part: &Part) -> Result<(), Failure> {
        let mut read = self.transaction.prepare_cached("SELECT stored FROM blobs WHERE blob = ?1")?;
        let stored: Vec<u8> = read.query_row([number], |row| row.get(0))?;
        if !snapshot::is_part(&stored, part.address()) {
            self.mended += 1;
            let stored = self.packer.pack(part);
            let mut write = self.transaction.prepare_cached("UPDATE blobs SET stored = ?2 WHERE blob = ?1")?;
            write.execute(params![number, stored])?;
        }
        Ok(())
    }

    fn insert(&mut self, part: &Part) -> Result<i64, Failure> {
        let stored = self.packer.pack(part);
        self.bytes += stored.len() as u64;
        let mut insert = self.transaction.prepare_cached("INSERT INTO blobs(address, stored) VALUES (?1, ?2)")?;
        Ok(insert.insert(params![part.address(), stored])?)
    }

    pub(super) fn finish(self) -> Result<u64, Failure> {
        if self.mended > 0 {
            tracing::warn!(parts = self.mended, "damaged parts of a state were written anew");
        }
        let mut count = self.transaction.prepare_cached(
            "INSERT INTO counts(blob, count) VALUES (?1, ?2) ON CONFLICT(blob) DO UPDATE SET count = count + ?2",
        )?;
        for (number, more) in self.references {
            count.execute(params![number, more])?;
        }
        Ok(self.bytes)
    }
}

/// Takes one reference away from a part; what nothing names any more goes. Returns how many parts and bytes went.
pub(super) fn release(transaction: &Transaction<'_>, number: i64) -> Result<(u64, u64), Failure> {
    let mut less = transaction.prepare_cached("UPDATE counts SET count = count - 1 WHERE blob = ?1 RETURNING count")?;
    let mut forget = transaction.prepare_cached("DELETE FROM counts WHERE blob = ?1")?;
    let mut take = transaction.prepare_cached("DELETE FROM blobs WHERE blob = ?1 RETURNING stored")?;
    let (mut parts, mut bytes, mut waiting) = (0, 0, vec![number]);
    while let Some(number) = waiting.pop() {
        let left: Option<i64> = less.query_row([number], |row| row.get(0)).optional()?;
        if left.is_none_or(|left| left > 0) {
            continue;
        }
        forget.execute([number])?;
        let Some(stored) = take.query_row([number], |row| row.get::<_, Vec<u8>>(0)).optional()? else { continue };
        parts += 1;
        bytes += stored.len() as u64;
        for child in snapshot::children(&stored).map_err(super::StoreError::from)? {
            waiting.extend(find(transaction, &child)?);
        }
    }
    Ok((parts, bytes))
}

/// The value whose root is part `number`, with all its parts. None if the root is missing.
pub(super) fn load(transaction: &Transaction<'_>, number: i64) -> Result<Option<Blob>, Failure> {
    let mut root = transaction.prepare_cached("SELECT address, stored FROM blobs WHERE blob = ?1")?;
    let mut other = transaction.prepare_cached("SELECT stored FROM blobs WHERE address = ?1")?;
    let found = root.query_row([number], |row| Ok((row.get::<_, Address>(0)?, row.get::<_, Vec<u8>>(1)?)));
    let Some((address, stored)) = found.optional()? else { return Ok(None) };
    let mut waiting = named(&stored);
    let mut parts = HashMap::from([(address, stored)]);
    while let Some(child) = waiting.pop() {
        if parts.contains_key(&child) {
            continue;
        }
        // A part that is missing or damaged is found out when the value is read; others can still be read then.
        if let Some(stored) = other.query_row([child], |row| row.get::<_, Vec<u8>>(0)).optional()? {
            waiting.extend(named(&stored));
            parts.insert(child, stored);
        }
    }
    Ok(Some(Blob::from_parts(address, parts)))
}

fn named(stored: &[u8]) -> Vec<Address> {
    snapshot::children(stored).unwrap_or_default()
}

fn find(transaction: &Transaction<'_>, address: &Address) -> Result<Option<i64>, Failure> {
    let mut find = transaction.prepare_cached("SELECT blob FROM blobs WHERE address = ?1")?;
    Ok(find.query_row([address], |row| row.get(0)).optional()?)
}

fn missing(address: &Address) -> Failure {
    let name: String = address[..4].iter().map(|byte| format!("{byte:02x}")).collect();
    Failure::Corrupt(format!("part {name}... of a value is named but not there"))
}
