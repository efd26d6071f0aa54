//! Checksums over rows: a bit that flips in a page is found out, whatever it makes of a number or a name.
//!
//! Parts of values have their address. What says which parts make up which checkpoint, and who may write, has a seal:
//! the first 16 bytes of BLAKE3 over the fields, each with its length. Rows that an older version wrote have none.

use rusqlite::types::Null;
use rusqlite::{OptionalExtension, ToSql, Transaction, params};

use super::Failure;
use crate::rollback::snapshot::Address;

pub(super) type Seal = [u8; 16];

/// Fields of a row, one after the other.
pub(super) struct Sealing(blake3::Hasher);

impl Sealing {
    pub(super) fn of(table: &str) -> Self {
        Self(blake3::Hasher::new()).text(table)
    }

    pub(super) fn text(mut self, text: &str) -> Self {
        self.0.update(&(text.len() as u64).to_le_bytes()).update(text.as_bytes());
        self
    }

    pub(super) fn number(mut self, number: i64) -> Self {
        self.0.update(&number.to_le_bytes());
        self
    }

    pub(super) fn address(mut self, address: &Address) -> Self {
        self.0.update(address);
        self
    }

    pub(super) fn seal(self) -> Seal {
        let mut seal = [0; 16];
        seal.copy_from_slice(&self.0.finalize().as_bytes()[..16]);
        seal
    }
}

/// Nothing if a row's seal fits or it never had one.
pub(super) fn check(
    found: Option<Seal>,
    expected: impl FnOnce() -> Seal,
    what: impl FnOnce() -> String,
) -> Result<(), Failure> {
    match found {
        Some(found) if found != expected() => Err(Failure::Corrupt(format!("{} does not match its checksum", what()))),
        _ => Ok(()),
    }
}

/// Who may write to a thread, and where it stands.
pub(super) struct Thread {
    pub(super) epoch: i64,
    pub(super) run_id: String,
    pub(super) checkpoint: Option<i64>,
}

impl Thread {
    /// The thread's row, checked.
    pub(super) fn find(transaction: &Transaction<'_>, thread_id: &str) -> Result<Option<Self>, Failure> {
        let sql = "SELECT epoch, run_id, checkpoint_id, seal FROM threads WHERE thread_id = ?1";
        let row = transaction.prepare_cached(sql)?.query_row([thread_id], |row| {
            Ok((Self { epoch: row.get(0)?, run_id: row.get(1)?, checkpoint: row.get(2)? }, row.get(3)?))
        });
        let Some((thread, seal)) = row.optional()? else { return Ok(None) };
        check(seal, || thread.seal(thread_id), || format!("the row of thread {thread_id:?}"))?;
        Ok(Some(thread))
    }

    /// Writes epoch and checkpoint, with a new seal.
    pub(super) fn write(&self, transaction: &Transaction<'_>, thread_id: &str) -> Result<(), Failure> {
        let sql = "UPDATE threads SET epoch = ?2, checkpoint_id = ?3, seal = ?4 WHERE thread_id = ?1";
        let checkpoint: &dyn ToSql = if let Some(checkpoint) = &self.checkpoint { checkpoint } else { &Null };
        transaction.prepare_cached(sql)?.execute(params![thread_id, self.epoch, checkpoint, self.seal(thread_id)])?;
        Ok(())
    }

    fn seal(&self, thread_id: &str) -> Seal {
        let checkpoint = self.checkpoint.unwrap_or(-1);
        Sealing::of("threads").text(thread_id).number(self.epoch).text(&self.run_id).number(checkpoint).seal()
    }
}
