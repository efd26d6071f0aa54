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
mod routine;
mod schema;
mod session;
mod tls;
mod transact;
mod write;

use std::hash::{BuildHasher, RandomState};
use std::io::Read;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::runtime::Runtime;

use super::known::Known;
use super::recent::Recent;
use super::{
    CheckpointRecord, Claim, Commit, Document, Event, Head, Lease, Listing, NewRun, Pruned, Put, Query, Receipt,
    Retention, RunRecord, StateBlobs, Store, StoreError, Usage, failpoint, failure,
};
use address::Address;
use tls::Tls;
use transact::Failure;

/// One of so many writes frees what checkpoints and documents left behind. By chance, not by counting: a process may
/// end before it has counted so far.
const COLLECT_ONE_IN: u128 = 16;

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
    recent: Recent,
    known: Known,
    /// None once it was closed.
    open: Mutex<Option<Open>>,
}

/// A runtime of one thread, driven by whoever waits; and the connection, once there is one.
struct Open {
    runtime: Runtime,
    session: Option<session::Session>,
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
            recent: Recent::default(),
            known: Known::default(),
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

    /// Sends those parts that this store did not write before. None if one of the others is gone, and nothing written.
    fn commit_what_is_new(&self, commit: &Commit) -> Result<Option<Receipt>, StoreError> {
        let statement = {
            let known = self.known.addresses();
            routine::Statement::new(commit, &self.retention, |address| known.contains(address))?
        };
        self.write(async |session, token| {
            let written = statement.run(session, commit.epoch, token).await?;
            failpoint::pass("commit.before");
            Ok(written)
        })
    }

    /// Asks first which parts are there.
    fn commit_what_is_missing(&self, commit: &Commit) -> Result<Receipt, StoreError> {
        self.known.forget();
        self.write(async |session, token| write::commit(session, commit, commit.epoch, &self.retention, token).await)
    }

    /// Frees what others left behind, now and then, unless somebody else does.
    fn collect_sometimes(&self) {
        if !random().is_multiple_of(COLLECT_ONE_IN) {
            return;
        }
        let collected = self.write(async |session, _| {
            documents::forget_old(session).await?;
            blobs::collect(session, false).await
        });
        if let Err(error) = collected {
            tracing::warn!(%error, "what removed checkpoints left was not freed; the next writes will try again");
        }
    }
}

/// From the kernel: not the same twice, also in two clones of one virtual machine.
fn random() -> u128 {
    let mut bytes = [0; 16];
    match std::fs::File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut bytes)) {
        Ok(()) => u128::from_ne_bytes(bytes),
        // A system without it: the clock and keys of this process must do.
        Err(_) => {
            u128::from(RandomState::new().hash_one(std::time::SystemTime::now())) << 64 | u128::from(std::process::id())
        }
    }
}

impl Store for PostgresStore {
    fn kind(&self) -> &'static str {
        "postgres"
    }

    fn begin(&self, run: &NewRun, first: Commit, claim: Option<&Claim>) -> Result<(i64, Receipt), StoreError> {
        self.recent.cut(&run.thread_id, first.state.as_deref())?;
        let begun =
            self.write(async |session, token| write::begin(session, run, &first, claim, &self.retention, token).await)?;
        self.known.add(first.state.as_deref().unwrap_or_default())?;
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
        self.recent.cut(&commit.thread_id, commit.state.as_deref())?;
        let receipt = match self.commit_what_is_new(commit)? {
            Some(receipt) => receipt,
            None => self.commit_what_is_missing(commit)?,
        };
        self.known.add(commit.state.as_deref().unwrap_or_default())?;
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
        let put = self.write(async |session, token| documents::put(session, put, token).await)?;
        self.collect_sometimes();
        Ok(put)
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
        if !taken.is_empty() {
            self.collect_sometimes();
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
