//! Checkpoints in PostgreSQL, for runs that any of several machines may continue.
//!
//! A connection that breaks is opened again, and the transaction repeated, until a budget of time is spent. A commit
//! whose answer was lost may have happened: every write carries a token, and a repeated one finds it.

mod address;
mod blobs;
mod documents;
mod lease;
mod query;
mod remove;
mod schema;
mod session;
mod tls;
mod write;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;

use super::{
    CheckpointRecord, Claim, Commit, Document, Event, Head, Lease, Listing, NewRun, Process, Pruned, Put, Query,
    Receipt, Retention, RunRecord, StateBlobs, Store, StoreError, Usage, failpoint,
};
use address::Address;
use session::Session;
use tls::Tls;

/// Roots that checkpoints left behind are looked at after so many commits.
const COLLECT_EVERY: u64 = 16;
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// A store in a schema of a PostgreSQL database.
pub struct PostgresStore {
    address: Address,
    tls: Tls,
    schema: String,
    retention: Retention,
    /// How long a broken connection is tried again.
    budget: Duration,
    /// A connection must not be used on both sides of a fork.
    owner: u32,
    commits: AtomicU64,
    /// None once it was closed.
    open: Mutex<Option<Open>>,
}

/// A runtime of one thread, driven by whoever waits; and the connection, once there is one.
struct Open {
    runtime: Runtime,
    session: Option<Session>,
}

impl PostgresStore {
    /// Connects to `url` and creates the tables in `schema` if they are not there.
    pub fn open(url: &str, schema: &str, budget: Duration, retention: Retention) -> Result<Self, StoreError> {
        let unusable =
            |reason: String| StoreError::Unusable { place: "PostgreSQL".into(), reason, remedy: "correct the address" };
        if schema.is_empty() || !schema.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            return Err(unusable(format!("schema {schema:?} is no plain name of letters, digits and _")));
        }
        let address = address::parse(url).map_err(unusable)?;
        let tls = Tls::new(&address).map_err(unusable)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| unusable(format!("no runtime: {error}")))?;
        let store = Self {
            address,
            tls,
            schema: schema.to_owned(),
            retention,
            budget,
            owner: std::process::id(),
            commits: AtomicU64::new(0),
            open: Mutex::new(Some(Open { runtime, session: None })),
        };
        store.write(async |session, _| schema::prepare(session, &store.schema).await)?;
        Ok(store)
    }

    /// The address without its password.
    #[must_use]
    pub fn place(&self) -> &str {
        &self.address.place
    }

    fn write<T>(&self, work: impl AsyncFn(&Session, &str) -> Result<T, Failure>) -> Result<T, StoreError> {
        let token = self.token();
        self.transact(false, async |session| work(session, &token).await)
    }

    fn read<T>(&self, work: impl AsyncFn(&Session) -> Result<T, Failure>) -> Result<T, StoreError> {
        self.transact(true, work)
    }

    fn transact<T>(&self, reading: bool, work: impl AsyncFn(&Session) -> Result<T, Failure>) -> Result<T, StoreError> {
        if self.owner != std::process::id() {
            return Err(StoreError::Forked(self.place().to_owned(), self.owner));
        }
        // A panic inside a transaction leaves a connection that the server rolls back; the next use opens a new one.
        let mut guard = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let Open { runtime, session } = guard.as_mut().ok_or_else(|| closed(self.place()))?;
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
                Err(Failure::Postgres(error)) => error,
                Err(failure) => return Err(failure.at(self.place())),
            };
            if !session::may_pass(&error) || Instant::now() + pause > deadline {
                return Err(session::explain(&error, self.place(), self.budget));
            }
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
        session.begin(reading).await?;
        let done = match work(&session).await {
            Ok(value) => session.commit().await.map(|()| value).map_err(Failure::from),
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
    fn token(&self) -> String {
        static COUNTER: AtomicU64 = AtomicU64::new(0);
        let Process { host, boot, pid, started } = Process::own();
        let count = COUNTER.fetch_add(1, Ordering::Relaxed);
        blake3::hash(format!("{host} {boot} {pid} {started} {count}").as_bytes()).to_hex()[..32].to_owned()
    }

    /// Frees what removed checkpoints left, now and then, unless somebody else does.
    fn collect_sometimes(&self) {
        if self.commits.fetch_add(1, Ordering::Relaxed) % COLLECT_EVERY == COLLECT_EVERY - 1 {
            let collected = self.write(async |session, _| blobs::collect(session, false).await);
            if let Err(error) = collected {
                tracing::warn!(%error, "what removed checkpoints left was not freed; the next commits will try again");
            }
        }
    }
}

impl Store for PostgresStore {
    fn kind(&self) -> &'static str {
        "postgres"
    }

    fn begin(&self, run: &NewRun, first: Commit, claim: Option<&Claim>) -> Result<(i64, Receipt), StoreError> {
        let begun =
            self.write(async |session, token| write::begin(session, run, &first, claim, &self.retention, token).await)?;
        failpoint::pass("commit.after");
        Ok(begun)
    }

    fn adopt(&self, thread_id: &str, claim: Option<&Claim>) -> Result<Head, StoreError> {
        self.write(async |session, _| {
            lease::check(session, thread_id, claim).await?;
            let sql = "UPDATE threads SET epoch = epoch + 1 WHERE thread_id = $1";
            session.run(sql, session::typed![thread_id => TEXT]).await?;
            lease::record(session, thread_id, claim).await?;
            query::head(session, thread_id).await
        })
        .inspect(|_| tracing::info!(thread = thread_id, "run taken over; who held it before can no longer write"))
    }

    fn renew(&self, thread_id: &str, epoch: i64) -> Result<i64, StoreError> {
        self.write(async |session, _| lease::renew(session, thread_id, epoch).await)
    }

    fn release(&self, thread_id: &str, epoch: i64) -> Result<(), StoreError> {
        self.write(async |session, _| {
            lease::held(session, thread_id, epoch).await?;
            lease::prolong(session, thread_id, false).await
        })
    }

    fn lease(&self, thread_id: &str) -> Result<Option<Lease>, StoreError> {
        self.read(async |session| {
            query::head(session, thread_id).await?;
            lease::find(session, thread_id).await
        })
    }

    fn commit(&self, commit: &Commit) -> Result<Receipt, StoreError> {
        let receipt =
            self.write(async |session, token| write::commit(session, commit, &self.retention, token).await)?;
        failpoint::pass("commit.after");
        self.collect_sometimes();
        Ok(receipt)
    }

    fn head(&self, thread_id: &str) -> Result<Head, StoreError> {
        self.read(async |session| query::head(session, thread_id).await)
    }

    fn load(&self, checkpoint: i64) -> Result<StateBlobs, StoreError> {
        self.read(async |session| query::load(session, checkpoint).await)
    }

    fn events(&self, run_id: &str) -> Result<Vec<Event>, StoreError> {
        self.read(async |session| query::events(session, run_id).await)
    }

    fn runs(&self, limit: u32) -> Result<Vec<RunRecord>, StoreError> {
        self.read(async |session| query::runs(session, limit).await)
    }

    fn checkpoints(&self, listing: &Listing) -> Result<Vec<CheckpointRecord>, StoreError> {
        self.read(async |session| query::checkpoints(session, listing).await)
    }

    fn prune(&self, retention: &Retention, now: i64, thread_id: Option<&str>) -> Result<Pruned, StoreError> {
        let removed = self.write(async |session, _| remove::prune(session, retention, now, thread_id).await)?;
        let (blobs, bytes) = self.write(async |session, _| blobs::collect(session, true).await)?;
        Ok(Pruned { blobs, bytes, ..removed })
    }

    fn usage(&self) -> Result<Usage, StoreError> {
        self.read(async |session| query::usage(session, &self.schema).await)
    }

    fn put(&self, put: &Put) -> Result<bool, StoreError> {
        self.write(async |session, token| documents::put(session, put, token).await)
    }

    fn documents(&self, query: &Query) -> Result<Vec<Document>, StoreError> {
        self.read(async |session| documents::find(session, query).await)
    }

    /// In two steps: a lost answer must not lose documents that the first step took out of everybody else's sight.
    fn remove(&self, query: &Query) -> Result<Vec<Document>, StoreError> {
        let token = self.token();
        let taken = self.write(async |session, _| documents::take(session, query, &token).await)?;
        if !taken.is_empty()
            && let Err(error) = self.write(async |session, _| documents::drop_taken(session, &token).await)
        {
            tracing::warn!(%error, "removed documents still take space");
        }
        Ok(taken)
    }

    fn close(&self) {
        if self.owner == std::process::id() {
            drop(self.open.lock().unwrap_or_else(PoisonError::into_inner).take());
        }
    }
}

impl Drop for PostgresStore {
    /// In a forked child the parent's connection is leaked on purpose: closing it would end the parent's session.
    fn drop(&mut self) {
        if self.owner != std::process::id() {
            let open = self.open.get_mut().unwrap_or_else(PoisonError::into_inner);
            std::mem::forget(open.take());
        }
    }
}

/// What went wrong inside a transaction.
enum Failure {
    Postgres(tokio_postgres::Error),
    Store(StoreError),
    Corrupt(String),
    Newer(i64),
    Twice(String),
}

impl From<tokio_postgres::Error> for Failure {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Postgres(error)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Failure {
    fn unknown(kind: &'static str, name: impl ToString) -> Self {
        Self::Store(StoreError::Unknown { kind, name: name.to_string() })
    }

    fn at(self, place: &str) -> StoreError {
        let place = place.to_owned();
        match self {
            Self::Store(error) => error,
            Self::Corrupt(reason) => StoreError::Corrupt { place, reason },
            Self::Newer(found) => StoreError::Newer { place, found, known: schema::SCHEMA },
            Self::Twice(run) => StoreError::Unusable {
                place,
                reason: format!("run {run:?} exists already"),
                remedy: "give every run an id of its own",
            },
            Self::Postgres(error) => session::explain(&error, &place, Duration::ZERO),
        }
    }
}

fn closed(place: &str) -> StoreError {
    StoreError::Unusable {
        place: place.to_owned(),
        reason: "it was closed".into(),
        remedy: "open a new store for further work",
    }
}
