//! Opening a file: see what it is before a byte of it is changed.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use super::{Failure, StoreError};

/// The layout of tables that this version writes.
const SCHEMA: i64 = 1;
const BUSY: Duration = Duration::from_secs(30);
const TABLES: &str = "
CREATE TABLE hagane_meta(key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE threads(
    thread_id TEXT PRIMARY KEY, epoch INTEGER NOT NULL, run_id TEXT NOT NULL, checkpoint_id INTEGER
) WITHOUT ROWID;
CREATE TABLE runs(
    number INTEGER PRIMARY KEY, run_id TEXT NOT NULL UNIQUE, thread_id TEXT NOT NULL, pipeline TEXT NOT NULL,
    version TEXT NOT NULL, status TEXT NOT NULL, started_at INTEGER NOT NULL, updated_at INTEGER NOT NULL
);
CREATE TABLE checkpoints(
    checkpoint_id INTEGER PRIMARY KEY AUTOINCREMENT, run_id TEXT NOT NULL, label TEXT NOT NULL, at INTEGER NOT NULL
);
CREATE TABLE manifest(
    checkpoint_id INTEGER NOT NULL, position INTEGER NOT NULL, key TEXT NOT NULL, address BLOB NOT NULL,
    PRIMARY KEY (checkpoint_id, position)
) WITHOUT ROWID;
CREATE TABLE blobs(address BLOB PRIMARY KEY, stored BLOB NOT NULL);
CREATE TABLE events(
    run_id TEXT NOT NULL, seq INTEGER NOT NULL, kind TEXT NOT NULL, at INTEGER NOT NULL, address BLOB NOT NULL,
    body BLOB NOT NULL, PRIMARY KEY (run_id, seq)
) WITHOUT ROWID;
INSERT INTO hagane_meta VALUES ('schema', 1);
";

pub(super) fn open(path: &Path) -> Result<Connection, StoreError> {
    attempt(path).map_err(|failure| failure.at(path))
}

fn attempt(path: &Path) -> Result<Connection, Failure> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY)?;
    // Reads only, so that a damaged, foreign or newer file stays as it is.
    let empty = inspect(&connection, path)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    if empty {
        create(&mut connection)?;
    }
    // A file that can be read but not written is found out here, not at the first checkpoint. SQLite opens such a file
    // without a word, and a transaction on it begins as one that reads.
    if connection.is_readonly("main")? {
        return Err(Failure::Store(StoreError::Unusable {
            place: path.display().to_string(),
            reason: "the file or its folder is read-only".into(),
            remedy: "make both writable for this user, or name another file",
        }));
    }
    connection.transaction_with_behavior(TransactionBehavior::Immediate)?.rollback()?;
    tracing::debug!(path = %path.display(), created = empty, "checkpoint store opened");
    Ok(connection)
}

/// Whether the file is new. Anything else than a store of a known version is an error.
fn inspect(connection: &Connection, path: &Path) -> Result<bool, Failure> {
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_master", [], |row| row.get(0))?;
    if tables == 0 {
        return Ok(true);
    }
    let ours = "SELECT count(*) FROM sqlite_master WHERE name = 'hagane_meta'";
    if connection.query_row(ours, [], |row| row.get::<_, i64>(0))? == 0 {
        return Err(StoreError::Unusable {
            place: path.display().to_string(),
            reason: "it is a SQLite file of another program".into(),
            remedy: "name another file",
        }
        .into());
    }
    match version(connection)? {
        found if found > SCHEMA => {
            Err(StoreError::Newer { place: path.display().to_string(), found, known: SCHEMA }.into())
        }
        SCHEMA => Ok(false),
        found => Err(Failure::Corrupt(format!("format {found} never existed"))),
    }
}

fn version(connection: &Connection) -> Result<i64, Failure> {
    Ok(connection.query_row("SELECT value FROM hagane_meta WHERE key = 'schema'", [], |row| row.get(0))?)
}

/// Two processes may find the file new at the same moment; the second finds the tables there.
fn create(connection: &mut Connection) -> Result<(), Failure> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let tables: i64 = transaction.query_row("SELECT count(*) FROM sqlite_master", [], |row| row.get(0))?;
    if tables == 0 {
        transaction.execute_batch(TABLES)?;
    }
    Ok(transaction.commit()?)
}
