//! One transaction, again and again until it is done, fails for good, or the budget of time is spent.

use std::sync::PoisonError;
use std::time::{Duration, Instant};

use super::session::{self, Session};
use super::{Open, PostgresStore, StoreError, address, failure, schema};

const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

impl PostgresStore {
    /// A transaction that changes something; `work` gets a name for it that no other has.
    pub(super) fn write<T>(&self, work: impl AsyncFn(&Session, &str) -> Result<T, Failure>) -> Result<T, StoreError> {
        let token = self.token();
        self.transact(false, async |session| work(session, &token).await)
    }

    pub(super) fn read<T>(&self, work: impl AsyncFn(&Session) -> Result<T, Failure>) -> Result<T, StoreError> {
        self.transact(true, work)
    }

    fn transact<T>(&self, reading: bool, work: impl AsyncFn(&Session) -> Result<T, Failure>) -> Result<T, StoreError> {
        if self.owner != std::process::id() {
            return Err(StoreError::Forked(self.place().to_owned(), self.owner));
        }
        // A panic inside a transaction leaves a connection that the server rolls back; the next use opens a new one.
        let mut guard = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let Open { runtime, session } = guard.as_mut().ok_or_else(|| failure::closed(self.place().to_owned()))?;
        runtime.block_on(self.persist(session, reading, work))
    }

    /// Tries until it works, fails for good, or the budget is spent.
    async fn persist<T>(
        &self,
        slot: &mut Option<Session>,
        reading: bool,
        work: impl AsyncFn(&Session) -> Result<T, Failure>,
    ) -> Result<T, StoreError> {
        let deadline = Instant::now() + self.budget;
        let mut pause = FIRST_PAUSE;
        loop {
            let error = match self.attempt(slot, reading, &work).await {
                Ok(value) => return Ok(value),
                Err(Failure::Database(error)) if session::may_pass(&error) && Instant::now() + pause <= deadline => {
                    error
                }
                Err(failure) => {
                    let explain = |error, place: String| session::explain(&error, &place, self.budget);
                    return Err(failure.at(self.place().to_owned(), schema::SCHEMA, explain));
                }
            };
            tracing::debug!(place = self.place(), error = address::chain(&error), "trying again");
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn attempt<T>(
        &self,
        slot: &mut Option<Session>,
        reading: bool,
        work: &impl AsyncFn(&Session) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        // Out of its place while it is used: a panic or an error drops it, and a dropped one is never used again.
        let session = match slot.take().filter(|session| !session.is_closed()) {
            Some(session) => session,
            None => Session::open(&self.address, &self.tls, &self.schema).await?,
        };
        let begun = async { session.begin(reading).await.map_err(Failure::from) };
        // Both go out at once: the first statement does not wait for the answer that the transaction has begun.
        let done = match tokio::try_join!(biased; begun, work(&session)) {
            Ok(((), value)) => session.commit().await.map(|()| value).map_err(Failure::from),
            Err(failure) => {
                session.roll_back().await;
                Err(failure)
            }
        };
        if !session.is_closed() {
            *slot = Some(session);
        }
        done
    }

    /// A name for one write that no other write has.
    pub(super) fn token(&self) -> String {
        format!("{:032x}", super::random())
    }
}

pub(super) type Failure = failure::Failure<tokio_postgres::Error>;

impl From<tokio_postgres::Error> for Failure {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Database(error)
    }
}
