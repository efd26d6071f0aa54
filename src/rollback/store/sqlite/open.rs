//! Opening a file: see what it is before a byte of it is changed.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use super::schema::{self, SCHEMA};
use super::{Failure, StoreError, at, foreign, wait};

/// What a file is before anything of it is changed.
enum Found {
    Nothing,
    Current,
    Older(i64),
}

pub(super) fn open(path: &Path) -> Result<Connection, StoreError> {
    attempt(path).map_err(|failure| at(failure, path))
}

fn attempt(path: &Path) -> Result<Connection, Failure> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(named(path)?, flags)?;
    connection.busy_handler(Some(wait::wait))?;
    foreign::distrust(&connection)?;
    // Reads only, so that a damaged, foreign or newer file stays as it is.
    let found = inspect(&connection, path)?;
    let log = connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get::<_, String>(0))?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    // A file that can be read but not written is found out here, not at the first checkpoint. SQLite opens such a file
    // without a word, and a transaction on it begins as one that reads.
    if connection.is_readonly("main")? {
        let remedy = "make both writable for this user, or name another file";
        return Err(unusable(path, "the file or its folder is read-only", remedy));
    }
    if log != "wal" {
        let reason = format!("its file system keeps no write-ahead log (journal mode {log})");
        return Err(unusable(path, &reason, "put the file on a local disk"));
    }
    if matches!(found, Found::Current) {
        connection.transaction_with_behavior(TransactionBehavior::Immediate)?.rollback()?;
    } else {
        make_current(&mut connection, path)?;
    }
    tracing::debug!(path = %path.display(), "checkpoint store opened");
    Ok(connection)
}

/// The name as SQLite must get it: as the name of a file, whatever else it could mean to it.
fn named(path: &Path) -> Result<PathBuf, Failure> {
    let text = path.as_os_str().as_encoded_bytes();
    if text.is_empty() || text == b":memory:" {
        let remedy = "name a file; MemoryStore keeps checkpoints in memory";
        return Err(unusable(path, "it would be gone when it is closed", remedy));
    }
    if text.contains(&0) {
        return Err(unusable(path, "the name holds a NUL", "name another file"));
    }
    if path.metadata().is_ok_and(|found| !found.is_file()) {
        return Err(unusable(path, "it is no file", "create its folder, or name a file"));
    }
    // SQLite reads `file:name?option` as an address.
    Ok(if path.is_absolute() { path.to_owned() } else { Path::new(".").join(path) })
}

fn unusable(path: &Path, reason: &str, remedy: &'static str) -> Failure {
    Failure::Store(StoreError::Unusable { place: path.display().to_string(), reason: reason.into(), remedy })
}

/// Anything else than a new file or a store of a known version is an error.
fn inspect(connection: &Connection, path: &Path) -> Result<Found, Failure> {
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_master", [], |row| row.get(0))?;
    if tables == 0 {
        return Ok(Found::Nothing);
    }
    let ours = "SELECT count(*) FROM sqlite_master WHERE name = 'hagane_meta'";
    if connection.query_row(ours, [], |row| row.get::<_, i64>(0))? == 0 {
        return Err(unusable(path, "it is a SQLite file of another program", "name another file"));
    }
    foreign::check(connection)?;
    match version(connection)? {
        found if found > SCHEMA => {
            Err(StoreError::Newer { place: path.display().to_string(), found, known: SCHEMA }.into())
        }
        SCHEMA => Ok(Found::Current),
        found @ (1 | 2) => Ok(Found::Older(found)),
        found => Err(Failure::Corrupt(format!("format {found} never existed"))),
    }
}

fn version(connection: &Connection) -> Result<i64, Failure> {
    Ok(connection.query_row("SELECT value FROM hagane_meta WHERE key = 'schema'", [], |row| row.get(0))?)
}

/// Two processes may find the file new, or old, at the same moment; the second finds it current.
fn make_current(connection: &mut Connection, path: &Path) -> Result<(), Failure> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    match inspect(&transaction, path)? {
        Found::Current => {}
        Found::Nothing => schema::create(&transaction)?,
        Found::Older(found) => {
            schema::upgrade(&transaction, found)?;
            tracing::info!(path = %path.display(), format = found, "checkpoint store of an older format upgraded");
        }
    }
    Ok(transaction.commit()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SIGKILL loses nothing that the kernel has, so no crash test can tell whether a commit reached the disk.
    #[test]
    fn a_commit_is_flushed_to_a_write_ahead_log_in_full() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("runs.db");
        for _ in 0..2 {
            let connection = open(&path).unwrap();
            let log: String = connection.query_row("PRAGMA journal_mode", [], |row| row.get(0)).unwrap();
            let flushing: i64 = connection.query_row("PRAGMA synchronous", [], |row| row.get(0)).unwrap();
            assert_eq!((log.as_str(), flushing), ("wal", 2));
        }
    }
}
