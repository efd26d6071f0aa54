//! The stores. SQLite's work is done without the GIL.

use std::path::PathBuf;
use std::sync::Arc;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::super::convert::from_value;
use super::super::error::{snapshot_error, store_error};
use super::Blob;
use super::records::{Head, RunRecord, head};
use crate::rollback::snapshot;
use crate::rollback::store::{self, MemoryStore, SqliteStore, StoreError};

/// Keeps runs, checkpoints and events; see `MemoryStore` and `SqliteStore`.
#[pyclass(frozen, subclass, module = "hagane._core")]
struct Store {
    inner: Arc<dyn store::Store>,
}

impl Store {
    /// Does `work` with the GIL released.
    fn detached<T: Send>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&dyn store::Store) -> Result<T, StoreError> + Send,
    ) -> PyResult<T> {
        py.detach(|| work(self.inner.as_ref())).map_err(store_error)
    }
}

/// Sequence number, kind, time, body.
type EventRow<'py> = (i64, String, i64, PyRef<'py, Blob>);
/// The same, with the body as a plain value.
type ShownEvent<'py> = (i64, String, i64, Bound<'py, PyAny>);
/// Key, value.
type StateRow<'py> = (String, PyRef<'py, Blob>);

fn event((seq, kind, at, body): EventRow<'_>) -> store::Event {
    store::Event { seq, kind, at, body: body.inner.clone() }
}

fn entry((key, blob): StateRow<'_>) -> (String, snapshot::Blob) {
    (key, blob.inner.clone())
}

#[pymethods]
impl Store {
    /// Short name, such as `sqlite`.
    #[getter]
    fn kind(&self) -> &'static str {
        self.inner.kind()
    }

    /// Begins a run with its first commit; returns the epoch for later ones, the checkpoint and the new bytes.
    #[allow(clippy::too_many_arguments)] // keyword-only in Python; a record class would be ceremony
    #[pyo3(signature = (*, thread_id, run_id, pipeline, version, at, events, state, label=""))]
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
    ) -> PyResult<(i64, Option<i64>, u64)> {
        let first = store::Commit {
            thread_id: thread_id.clone(),
            run_id: run_id.clone(),
            epoch: 0,
            status: store::Status::Running,
            at,
            events: events.into_iter().map(event).collect(),
            state: Some(state.into_iter().map(entry).collect()),
            label: label.to_owned(),
        };
        let run = store::NewRun { thread_id, run_id, pipeline, version, at };
        let (epoch, receipt) = self.detached(py, move |store| store.begin(&run, first))?;
        Ok((epoch, receipt.checkpoint, receipt.bytes))
    }

    /// Takes a thread over; former drivers can write no more.
    fn adopt(&self, py: Python<'_>, thread_id: &str) -> PyResult<Head> {
        head(py, self.detached(py, |store| store.adopt(thread_id))?)
    }

    /// A thread's newest run, without taking it over.
    fn head(&self, py: Python<'_>, thread_id: &str) -> PyResult<Head> {
        head(py, self.detached(py, |store| store.head(thread_id))?)
    }

    /// Writes events, status and, if given, a state, all or nothing; returns the checkpoint and the new bytes.
    #[allow(clippy::too_many_arguments)] // keyword-only in Python; a record class would be ceremony
    #[pyo3(signature = (*, thread_id, run_id, epoch, status, at, events, state=None, label=""))]
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
    ) -> PyResult<(Option<i64>, u64)> {
        let status = status.parse().map_err(|error: store::UnknownStatus| PyValueError::new_err(error.to_string()))?;
        let commit = store::Commit {
            thread_id,
            run_id,
            epoch,
            status,
            at,
            events: events.into_iter().map(event).collect(),
            state: state.map(|state| state.into_iter().map(entry).collect()),
            label: label.to_owned(),
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
        let show = |event: store::Event| {
            let body = from_value(py, &event.body.value().map_err(snapshot_error)?)?;
            Ok((event.seq, event.kind, event.at, body))
        };
        events.into_iter().map(show).collect()
    }

    /// Runs, newest first.
    #[pyo3(signature = (limit=20))]
    fn runs(&self, py: Python<'_>, limit: u32) -> PyResult<Vec<RunRecord>> {
        Ok(self.detached(py, |store| store.runs(limit))?.into_iter().map(RunRecord::from).collect())
    }

    /// Closes the store; closing twice is closing once.
    fn close(&self, py: Python<'_>) {
        py.detach(|| self.inner.close());
    }
}

/// Checkpoints in this process's memory.
#[pyclass(frozen, extends = Store, name = "MemoryStore", module = "hagane._core")]
struct PyMemoryStore;

#[pymethods]
impl PyMemoryStore {
    #[new]
    fn new() -> PyClassInitializer<Self> {
        PyClassInitializer::from(Store { inner: Arc::new(MemoryStore::new()) }).add_subclass(Self)
    }
}

/// Checkpoints in one SQLite file that several processes may share.
#[pyclass(frozen, extends = Store, name = "SqliteStore", module = "hagane._core")]
struct PySqliteStore {
    /// The file.
    #[pyo3(get)]
    path: PathBuf,
}

#[pymethods]
impl PySqliteStore {
    #[new]
    fn new(py: Python<'_>, path: PathBuf) -> PyResult<PyClassInitializer<Self>> {
        let inner = py.detach(|| SqliteStore::open(&path)).map_err(store_error)?;
        Ok(PyClassInitializer::from(Store { inner: Arc::new(inner) }).add_subclass(Self { path }))
    }

    fn __repr__(&self) -> String {
        format!("SqliteStore({:?})", self.path.display().to_string())
    }
}

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Head>()?;
    module.add_class::<RunRecord>()?;
    module.add_class::<Store>()?;
    module.add_class::<PyMemoryStore>()?;
    module.add_class::<PySqliteStore>()
}
