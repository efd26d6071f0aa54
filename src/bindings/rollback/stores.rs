//! What every store does. Its work is done without the GIL.

use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::super::convert::decode;
use super::super::error::store_error;
use super::Blob;
use super::documents::{self, Document};
use super::leases::{Claim, Lease};
use super::records::{CheckpointRecord, Head, Pruned, RunRecord, Usage, head};
use super::writing::{self, EventRow, StateRow};
use crate::rollback::store::{self, Listing, Query, StoreError};

/// Keeps runs, checkpoints and events; see `MemoryStore` and `SqliteStore`.
#[pyclass(frozen, subclass, module = "hagane._core")]
pub(super) struct Store {
    inner: Arc<dyn store::Store>,
}

impl Store {
    /// The part that every kind of store shares.
    pub(super) fn over(store: impl store::Store + 'static) -> Self {
        Self { inner: Arc::new(store) }
    }

    /// Does `work` with the GIL released.
    fn detached<T: Send>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&dyn store::Store) -> Result<T, StoreError> + Send,
    ) -> PyResult<T> {
        py.detach(|| work(self.inner.as_ref())).map_err(store_error)
    }
}

/// Sequence number, kind, time, body as a plain value.
type ShownEvent<'py> = (i64, String, i64, Bound<'py, PyAny>);

#[pymethods]
impl Store {
    /// Short name, such as `sqlite`.
    #[getter]
    fn kind(&self) -> &'static str {
        self.inner.kind()
    }

    /// Begins a run with its first commit; returns the epoch for later ones, the checkpoint and the new bytes.
    #[allow(clippy::too_many_arguments)] // keyword-only in Python; a record class would be ceremony
    #[pyo3(signature = (*, thread_id, run_id, pipeline, version, at, events, state, label="", claim=None))]
    fn begin(
        &self,
        py: Python<'_>,
        thread_id: String,
        run_id: String,
        pipeline: String,
        version: String,
        at: i64,
        events: Vec<EventRow<'_>>,
        state: Vec<StateRow<'_>>,
        label: &str,
        claim: Option<&Claim>,
    ) -> PyResult<(i64, Option<i64>, u64)> {
        let first = store::Commit {
            thread_id: thread_id.clone(),
            run_id: run_id.clone(),
            epoch: 0,
            status: store::Status::Running,
            at,
            events: writing::events(events),
            state: Some(writing::state(state)),
            label: label.to_owned(),
            supersede_after: None,
        };
        let run = store::NewRun { thread_id, run_id, pipeline, version, at };
        let claim = claim.map(|claim| &claim.inner);
        let (epoch, receipt) = self.detached(py, move |store| store.begin(&run, first, claim))?;
        Ok((epoch, receipt.checkpoint, receipt.bytes))
    }

    /// Takes a thread over; former drivers can write no more.
    #[pyo3(signature = (thread_id, claim=None))]
    fn adopt(&self, py: Python<'_>, thread_id: &str, claim: Option<&Claim>) -> PyResult<Head> {
        let claim = claim.map(|claim| &claim.inner);
        head(py, self.detached(py, |store| store.adopt(thread_id, claim))?)
    }

    /// Makes a lease last its full time from now; returns when it ends, in microseconds by the database's clock.
    fn renew(&self, py: Python<'_>, thread_id: &str, epoch: i64) -> PyResult<i64> {
        self.detached(py, |store| store.renew(thread_id, epoch))
    }

    /// Gives a lease up.
    fn release(&self, py: Python<'_>, thread_id: &str, epoch: i64) -> PyResult<()> {
        self.detached(py, |store| store.release(thread_id, epoch))
    }

    /// Who drives a thread, if its owner left a lease.
    fn lease(&self, py: Python<'_>, thread_id: &str) -> PyResult<Option<Lease>> {
        Ok(self.detached(py, |store| store.lease(thread_id))?.map(Lease::from))
    }

    /// A thread's newest run, without taking it over.
    fn head(&self, py: Python<'_>, thread_id: &str) -> PyResult<Head> {
        head(py, self.detached(py, |store| store.head(thread_id))?)
    }

    /// Writes events, status and, if given, a state, all or nothing; returns the checkpoint and the new bytes.
    #[allow(clippy::too_many_arguments)] // keyword-only in Python; a record class would be ceremony
    #[pyo3(signature = (
        *, thread_id, run_id, epoch, status, at, events, state=None, label="", supersede_after=None
    ))]
    fn commit(
        &self,
        py: Python<'_>,
        thread_id: String,
        run_id: String,
        epoch: i64,
        status: &str,
        at: i64,
        events: Vec<EventRow<'_>>,
        state: Option<Vec<StateRow<'_>>>,
        label: &str,
        supersede_after: Option<i64>,
    ) -> PyResult<(Option<i64>, u64)> {
        let status = writing::status(status)?;
        let commit = store::Commit {
            thread_id,
            run_id,
            epoch,
            status,
            at,
            events: writing::events(events),
            state: state.map(writing::state),
            label: label.to_owned(),
            supersede_after,
        };
        let receipt = self.detached(py, |store| store.commit(&commit))?;
        Ok((receipt.checkpoint, receipt.bytes))
    }

    /// The state of a checkpoint: blobs by key.
    fn load<'py>(&self, py: Python<'py>, checkpoint: i64) -> PyResult<Bound<'py, PyDict>> {
        let state = PyDict::new(py);
        for (key, inner) in self.detached(py, |store| store.load(checkpoint))? {
            state.set_item(key, Bound::new(py, Blob { inner })?)?;
        }
        Ok(state)
    }

    /// A run's events in order: sequence number, kind, time in microseconds since 1970, body.
    fn events<'py>(&self, py: Python<'py>, run_id: &str) -> PyResult<Vec<ShownEvent<'py>>> {
        let events = self.detached(py, |store| store.events(run_id))?;
        let show = |event: store::Event| Ok((event.seq, event.kind, event.at, decode(py, &event.body)?));
        events.into_iter().map(show).collect()
    }

    /// Runs, newest first.
    #[pyo3(signature = (limit=20))]
    fn runs(&self, py: Python<'_>, limit: u32) -> PyResult<Vec<RunRecord>> {
        Ok(self.detached(py, |store| store.runs(limit))?.into_iter().map(RunRecord::from).collect())
    }

    /// Checkpoints, newest first.
    #[pyo3(signature = (thread_id=None, run_id=None, limit=50))]
    fn checkpoints(
        &self,
        py: Python<'_>,
        thread_id: Option<String>,
        run_id: Option<String>,
        limit: u32,
    ) -> PyResult<Vec<CheckpointRecord>> {
        let listing = Listing { thread_id, run_id, limit };
        let found = self.detached(py, |store| store.checkpoints(&listing))?;
        Ok(found.into_iter().map(CheckpointRecord::from).collect())
    }

    /// Removes what is beyond the retention at the time `at`.
    #[pyo3(signature = (*, at, keep=Some(50), max_age_seconds=Some(2_592_000.0), thread_id=None))]
    fn prune(
        &self,
        py: Python<'_>,
        at: i64,
        keep: Option<u32>,
        max_age_seconds: Option<f64>,
        thread_id: Option<&str>,
    ) -> PyResult<Pruned> {
        let retention = writing::retention(keep, max_age_seconds)?;
        self.detached(py, |store| store.prune(&retention, at, thread_id)).map(Pruned::from)
    }

    /// How much is there.
    fn usage(&self, py: Python<'_>) -> PyResult<Usage> {
        self.detached(py, |store| store.usage()).map(Usage::from)
    }

    /// Puts a document; false if `once` and there is one already.
    #[allow(clippy::too_many_arguments)] // keyword-only in Python; a record class would be ceremony
    #[pyo3(signature = (collection, thread_id, key, blob, *, at, epoch=None, once=false, keep=None))]
    fn put(
        &self,
        py: Python<'_>,
        collection: String,
        thread_id: String,
        key: String,
        blob: PyRef<'_, Blob>,
        at: i64,
        epoch: Option<i64>,
        once: bool,
        keep: Option<u32>,
    ) -> PyResult<bool> {
        let put = store::Put { collection, thread_id, key, body: blob.inner.clone(), at, epoch, once, keep };
        self.detached(py, |store| store.put(&put))
    }

    /// Documents, the one that was put last first.
    #[pyo3(signature = (collection, thread_id=None, key=None, limit=100))]
    fn documents(
        &self,
        py: Python<'_>,
        collection: String,
        thread_id: Option<String>,
        key: Option<String>,
        limit: u32,
    ) -> PyResult<Vec<Document>> {
        let query = Query { collection, thread_id, key, limit };
        let found = self.detached(py, |store| store.documents(&query))?;
        found.into_iter().map(|document| documents::show(py, document)).collect()
    }

    /// Removes documents and returns them. Of two that ask for the same one, one gets it.
    #[pyo3(signature = (collection, thread_id=None, key=None))]
    fn remove(
        &self,
        py: Python<'_>,
        collection: String,
        thread_id: Option<String>,
        key: Option<String>,
    ) -> PyResult<Vec<Document>> {
        let query = Query { collection, thread_id, key, limit: u32::MAX };
        let found = self.detached(py, |store| store.remove(&query))?;
        found.into_iter().map(|document| documents::show(py, document)).collect()
    }

    /// Closes the store; closing twice is closing once.
    fn close(&self, py: Python<'_>) {
        py.detach(|| self.inner.close());
    }
}

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Store>()
}
