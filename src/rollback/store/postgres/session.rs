//! One connection, and what its errors mean.

use std::time::Duration;

use tokio_postgres::error::SqlState;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Row};

use super::address::{Address, chain};
use super::tls::Tls;
use super::{Failure, StoreError};

/// A parameter and its type: said with each statement, so that one round trip does and no server keeps statements.
pub(super) type Typed<'a> = (&'a (dyn ToSql + Sync), Type);

/// `typed![name => TEXT, number => INT8]`: parameters with their types.
macro_rules! typed {
    ($($value:expr => $kind:ident),* $(,)?) => {
        &[$((&$value as &(dyn tokio_postgres::types::ToSql + Sync), tokio_postgres::types::Type::$kind)),*]
    };
}
pub(super) use typed;

/// A live connection.
pub(super) struct Session {
    client: Client,
    schema: String,
}

impl Session {
    pub(super) async fn open(address: &Address, tls: &Tls, schema: &str) -> Result<Self, tokio_postgres::Error> {
        let (client, connection) = address.config.connect(tls.clone()).await?;
        // It ends when the client is dropped or the connection breaks; whoever waits for an answer then gets an error.
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(error = chain(&error), "a connection to PostgreSQL ended");
            }
        });
        Ok(Self { client, schema: schema.to_owned() })
    }

    pub(super) fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// Begins a transaction in which names without a schema are ours. A pooler in between may give every transaction
    /// another connection, so nothing is set for longer.
    pub(super) async fn begin(&self, reading: bool) -> Result<(), tokio_postgres::Error> {
        let mode =
            if reading { "ISOLATION LEVEL REPEATABLE READ, READ ONLY" } else { "ISOLATION LEVEL READ COMMITTED" };
        self.client.batch_execute(&format!("BEGIN {mode}; SET LOCAL search_path TO \"{}\"", self.schema)).await
    }

    pub(super) async fn commit(&self) -> Result<(), tokio_postgres::Error> {
        self.client.batch_execute("COMMIT").await
    }

    pub(super) async fn roll_back(&self) {
        // It fails only where the connection is gone, and the transaction with it.
        let _ = self.client.batch_execute("ROLLBACK").await;
    }

    pub(super) async fn batch(&self, sql: &str) -> Result<(), Failure> {
        Ok(self.client.batch_execute(sql).await?)
    }

    pub(super) async fn rows(&self, sql: &str, parameters: &[Typed<'_>]) -> Result<Vec<Row>, Failure> {
        Ok(self.client.query_typed(sql, parameters).await?)
    }

    pub(super) async fn row(&self, sql: &str, parameters: &[Typed<'_>]) -> Result<Option<Row>, Failure> {
        Ok(self.rows(sql, parameters).await?.into_iter().next())
    }

    /// How many rows it changed.
    pub(super) async fn run(&self, sql: &str, parameters: &[Typed<'_>]) -> Result<u64, Failure> {
        Ok(self.client.execute_typed(sql, parameters).await?)
    }
}

/// Whether another try may go better: the connection is lost, the server starts or stops, or two writers collided.
pub(super) fn may_pass(error: &tokio_postgres::Error) -> bool {
    match error.code() {
        Some(code) => {
            let class = &code.code()[..2];
            class == "08"
                || class == "57" && *code != SqlState::QUERY_CANCELED
                || class == "40"
                || *code == SqlState::TOO_MANY_CONNECTIONS
        }
        // A name that does not resolve and a certificate that does not fit have no code either, but the first may
        // come back; the second is told apart by its text.
        None => !chain(error).contains("certificate") && !chain(error).contains("does not support TLS"),
    }
}

pub(super) fn explain(error: &tokio_postgres::Error, place: &str, budget: Duration) -> StoreError {
    let reason = error
        .as_db_error()
        .map_or_else(|| chain(error), |error| format!("{} ({})", error.message(), error.code().code()));
    let remedy = match error.code() {
        Some(code) if *code == SqlState::DISK_FULL => "free space on the server's disk, then resume the run",
        Some(code) if *code == SqlState::INSUFFICIENT_PRIVILEGE => {
            "grant this user CREATE on the database, or all rights on the schema"
        }
        Some(code) if *code == SqlState::DATA_CORRUPTED || *code == SqlState::INDEX_CORRUPTED => {
            return StoreError::Corrupt { place: place.to_owned(), reason };
        }
        Some(code) if code.code().starts_with("28") => "check the user and the password",
        Some(code) if code.code().starts_with("3D") => "create the database, or name another one",
        _ if may_pass(error) => {
            tracing::warn!(place, seconds = budget.as_secs(), "PostgreSQL was not reached within the budget");
            "it was tried again until retry_seconds were spent; the run can be resumed when the server is back"
        }
        None => "check sslmode and sslrootcert against the server's certificate",
        Some(_) => "see the reason; the run can be resumed when the store works again",
    };
    StoreError::Unusable { place: place.to_owned(), reason, remedy }
}
