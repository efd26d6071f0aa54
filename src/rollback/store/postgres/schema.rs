//! The tables. Text that PostgreSQL cannot hold (a NUL character) is refused by it with a clear error.

use super::session::{Session, typed};
use super::{Failure, StoreError, routine};

/// The layout of tables that this version writes.
pub(super) const SCHEMA: i64 = 3;

/// The writes of documents that happened, by their tokens, for those whose answer was lost.
const WRITES: &str = "
CREATE TABLE writes(token text PRIMARY KEY, at bigint NOT NULL, put boolean NOT NULL);
CREATE INDEX writes_at ON writes(at);
";

/// `garbage` holds roots that lost a reference; whoever frees them has everything to itself.
const TABLES: &str = "
CREATE TABLE hagane_meta(key text PRIMARY KEY, value bigint NOT NULL);
CREATE TABLE threads(
    thread_id text PRIMARY KEY, epoch bigint NOT NULL, run_id text NOT NULL, checkpoint_id bigint,
    owner text, lasting bigint, expires_at bigint, host text, boot text, pid bigint, started bigint,
    token text, token_checkpoint bigint, token_bytes bigint
);
CREATE INDEX threads_run ON threads(run_id);
CREATE TABLE runs(
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, run_id text NOT NULL UNIQUE, thread_id text NOT NULL,
    pipeline text NOT NULL, version text NOT NULL, status text NOT NULL, started_at bigint NOT NULL,
    updated_at bigint NOT NULL, format bigint NOT NULL DEFAULT 2
);
CREATE INDEX runs_started ON runs(started_at);
CREATE TABLE checkpoints(
    checkpoint_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, thread_id text NOT NULL, run_id text NOT NULL,
    label text NOT NULL, at bigint NOT NULL, superseded boolean NOT NULL DEFAULT false, size bigint NOT NULL,
    format bigint NOT NULL DEFAULT 2
);
CREATE INDEX checkpoints_thread ON checkpoints(thread_id, checkpoint_id);
CREATE INDEX checkpoints_run ON checkpoints(run_id);
CREATE TABLE manifest(
    checkpoint_id bigint NOT NULL, position bigint NOT NULL, key text NOT NULL, blob bigint NOT NULL,
    PRIMARY KEY (checkpoint_id, position)
);
CREATE TABLE blobs(
    blob bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, address bytea NOT NULL UNIQUE, stored bytea NOT NULL
);
ALTER TABLE blobs ALTER COLUMN stored SET STORAGE EXTERNAL;
CREATE TABLE counts(blob bigint PRIMARY KEY, count bigint NOT NULL) WITH (fillfactor = 70);
CREATE TABLE garbage(number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, blob bigint NOT NULL);
CREATE TABLE events(
    run_id text NOT NULL, seq bigint NOT NULL, kind text NOT NULL, at bigint NOT NULL, address bytea NOT NULL,
    body bytea NOT NULL, PRIMARY KEY (run_id, seq)
);
CREATE TABLE documents(
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, collection text NOT NULL, thread_id text NOT NULL,
    key text NOT NULL, at bigint NOT NULL, blob bigint NOT NULL, token text NOT NULL, taken text
);
CREATE UNIQUE INDEX documents_name ON documents(collection, thread_id, key) WHERE taken IS NULL;
CREATE INDEX documents_thread ON documents(collection, thread_id, seq);
CREATE INDEX documents_taken ON documents(taken) WHERE taken IS NOT NULL;
INSERT INTO hagane_meta VALUES ('schema', 3);
";

/// Makes the tables, or finds out that they are of a version that can be used.
pub(super) async fn prepare(session: &Session, schema: &str) -> Result<(), Failure> {
    // Two that come first together would both create; the second waits here and finds the tables.
    let lock = format!("hagane schema {schema}");
    session.run("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", typed![lock => TEXT]).await?;
    let meta = format!("\"{schema}\".hagane_meta");
    let there = session.row("SELECT to_regclass($1) IS NOT NULL", typed![meta => TEXT]).await?;
    if !there.is_some_and(|row| row.get(0)) {
        let schema_there = session
            .row("SELECT to_regnamespace($1) IS NOT NULL", typed![format!("\"{schema}\"") => TEXT])
            .await?
            .is_some_and(|row| row.get(0));
        if !schema_there {
            session.batch(&format!("CREATE SCHEMA \"{schema}\"")).await?;
        }
        session.batch(TABLES).await?;
        session.batch(WRITES).await?;
        session.batch(routine::CREATE).await?;
        tracing::info!(schema, "tables of the checkpoint store created");
        return Ok(());
    }
    let found = session.row("SELECT value FROM hagane_meta WHERE key = 'schema'", &[]).await?;
    match found.map(|row| row.get::<_, i64>(0)) {
        Some(SCHEMA) => add_routine(session, schema).await,
        Some(2) => {
            session.batch(WRITES).await?;
            session.batch("UPDATE hagane_meta SET value = 3 WHERE key = 'schema'").await?;
            tracing::info!(schema, "tables of the previous format upgraded");
            add_routine(session, schema).await
        }
        Some(found) if found > SCHEMA => Err(Failure::Newer(found)),
        Some(found) => Err(Failure::Corrupt(format!("format {found} never existed"))),
        None => Err(StoreError::Corrupt { place: schema.to_owned(), reason: "it has no format".into() }.into()),
    }
}

/// Tables that another version made lack this version's function.
async fn add_routine(session: &Session, schema: &str) -> Result<(), Failure> {
    let name = format!("\"{schema}\".{}", routine::NAME);
    let there = session.row("SELECT to_regproc($1) IS NOT NULL", typed![name => TEXT]).await?;
    if !there.is_some_and(|row| row.get(0)) {
        session.batch(routine::CREATE).await?;
        tracing::info!(schema, "function of the checkpoint store created");
    }
    Ok(())
}
