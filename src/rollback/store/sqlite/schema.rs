//! The tables, and how an older file gets them.

use rusqlite::Transaction;

use super::Failure;

/// The layout of tables that this version writes.
pub(super) const SCHEMA: i64 = 3;

/// `counts` stands beside `blobs` because it is written often and is small: its rows share few pages.
const TABLES: &str = "
CREATE TABLE hagane_meta(key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE threads(
    thread_id TEXT PRIMARY KEY, epoch INTEGER NOT NULL, run_id TEXT NOT NULL, checkpoint_id INTEGER,
    owner TEXT, lasting INTEGER, expires_at INTEGER, host TEXT, boot TEXT, pid INTEGER, started INTEGER,
    seal BLOB
) WITHOUT ROWID;
CREATE TABLE runs(
    number INTEGER PRIMARY KEY, run_id TEXT NOT NULL UNIQUE, thread_id TEXT NOT NULL, pipeline TEXT NOT NULL,
    version TEXT NOT NULL, status TEXT NOT NULL, started_at INTEGER NOT NULL, updated_at INTEGER NOT NULL,
    format INTEGER NOT NULL DEFAULT 2, seal BLOB, status_seal BLOB
);
CREATE INDEX runs_started ON runs(started_at);
CREATE TABLE checkpoints(
    checkpoint_id INTEGER PRIMARY KEY AUTOINCREMENT, run_id TEXT NOT NULL, label TEXT NOT NULL, at INTEGER NOT NULL,
    thread_id TEXT NOT NULL, superseded INTEGER NOT NULL DEFAULT 0, size INTEGER NOT NULL,
    format INTEGER NOT NULL DEFAULT 2, seal BLOB
);
CREATE INDEX checkpoints_thread ON checkpoints(thread_id);
CREATE TABLE manifest(
    checkpoint_id INTEGER NOT NULL, position INTEGER NOT NULL, key TEXT NOT NULL, blob INTEGER NOT NULL,
    PRIMARY KEY (checkpoint_id, position)
) WITHOUT ROWID;
CREATE TABLE blobs(blob INTEGER PRIMARY KEY, address BLOB NOT NULL UNIQUE, stored BLOB NOT NULL);
CREATE TABLE counts(blob INTEGER PRIMARY KEY, count INTEGER NOT NULL);
CREATE TABLE events(
    run_id TEXT NOT NULL, seq INTEGER NOT NULL, kind TEXT NOT NULL, at INTEGER NOT NULL, address BLOB NOT NULL,
    body BLOB NOT NULL, PRIMARY KEY (run_id, seq)
) WITHOUT ROWID;
CREATE TABLE documents(
    seq INTEGER PRIMARY KEY AUTOINCREMENT, collection TEXT NOT NULL, thread_id TEXT NOT NULL, key TEXT NOT NULL,
    at INTEGER NOT NULL, blob INTEGER NOT NULL, UNIQUE (collection, thread_id, key)
);
CREATE INDEX documents_thread ON documents(collection, thread_id, seq);
INSERT INTO hagane_meta VALUES ('schema', 3);
";

/// The statements above that make indexes, as SQLite keeps them.
pub(super) const INDEXES: [&str; 3] = [
    "CREATE INDEX runs_started ON runs(started_at)",
    "CREATE INDEX checkpoints_thread ON checkpoints(thread_id)",
    "CREATE INDEX documents_thread ON documents(collection, thread_id, seq)",
];

/// Format 1 kept each value in one blob under its address, had no leases and no documents.
const FROM_1: &str = "
INSERT INTO threads(thread_id, epoch, run_id, checkpoint_id)
    SELECT thread_id, epoch, run_id, checkpoint_id FROM old_threads;
INSERT INTO runs(number, run_id, thread_id, pipeline, version, status, started_at, updated_at, format)
    SELECT number, run_id, thread_id, pipeline, version, status, started_at, updated_at, 1 FROM old_runs;
INSERT INTO checkpoints(checkpoint_id, run_id, label, at, thread_id, size, format)
    SELECT checkpoint_id, run_id, label, at, thread_id,
        (SELECT coalesce(sum(length(stored)), 0) FROM old_manifest JOIN old_blobs USING (address)
         WHERE old_manifest.checkpoint_id = old_checkpoints.checkpoint_id), 1
    FROM old_checkpoints JOIN old_runs USING (run_id);
INSERT INTO blobs(address, stored) SELECT address, stored FROM old_blobs;
INSERT INTO manifest SELECT checkpoint_id, position, key, blob FROM old_manifest JOIN blobs USING (address);
INSERT INTO counts SELECT blob, (SELECT count(*) FROM manifest WHERE manifest.blob = blobs.blob) FROM blobs;
INSERT INTO events SELECT * FROM old_events;
";

/// Format 2 had no checksums over rows; its rows stay without.
const FROM_2: &str = "
ALTER TABLE threads ADD COLUMN seal BLOB;
ALTER TABLE runs ADD COLUMN seal BLOB;
ALTER TABLE runs ADD COLUMN status_seal BLOB;
ALTER TABLE checkpoints ADD COLUMN seal BLOB;
UPDATE hagane_meta SET value = 3 WHERE key = 'schema';
";

const OLD: [&str; 6] = ["threads", "runs", "checkpoints", "manifest", "blobs", "events"];

pub(super) fn create(transaction: &Transaction<'_>) -> Result<(), Failure> {
    Ok(transaction.execute_batch(TABLES)?)
}

/// Brings a file of an older format up to date, all in one transaction.
pub(super) fn upgrade(transaction: &Transaction<'_>, from: i64) -> Result<(), Failure> {
    if from == 2 {
        return Ok(transaction.execute_batch(FROM_2)?);
    }
    for table in OLD {
        transaction.execute_batch(&format!("ALTER TABLE {table} RENAME TO old_{table}"))?;
    }
    transaction.execute_batch("DROP TABLE hagane_meta")?;
    create(transaction)?;
    transaction.execute_batch(FROM_1)?;
    for table in OLD {
        transaction.execute_batch(&format!("DROP TABLE old_{table}"))?;
    }
    // What no checkpoint named was left by a version that never removed anything.
    transaction.execute_batch(
        "DELETE FROM blobs WHERE blob IN (SELECT blob FROM counts WHERE count = 0); DELETE FROM counts WHERE count = 0",
    )?;
    Ok(())
}
