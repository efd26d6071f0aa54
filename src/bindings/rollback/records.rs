//! Records of a store as Python sees them.

use pyo3::prelude::*;

use crate::rollback::store;

/// A thread's newest run and checkpoint.
#[pyclass(frozen, get_all, module = "hagane._core")]
pub(super) struct Head {
    run: Py<RunRecord>,
    epoch: i64,
    checkpoint: Option<i64>,
    last_seq: i64,
}

/// One run in a listing. Times are microseconds since 1970.
#[pyclass(frozen, get_all, module = "hagane._core")]
pub(super) struct RunRecord {
    run_id: String,
    thread_id: String,
    pipeline: String,
    version: String,
    status: &'static str,
    started_at: i64,
    updated_at: i64,
}

#[pymethods]
impl RunRecord {
    fn __repr__(&self) -> String {
        format!("RunRecord(run_id={:?}, thread_id={:?}, status={:?})", self.run_id, self.thread_id, self.status)
    }
}

impl From<store::RunRecord> for RunRecord {
    fn from(run: store::RunRecord) -> Self {
        Self {
            run_id: run.run_id,
            thread_id: run.thread_id,
            pipeline: run.pipeline,
            version: run.version,
            status: run.status.as_str(),
            started_at: run.started_at,
            updated_at: run.updated_at,
        }
    }
}

pub(super) fn head(py: Python<'_>, head: store::Head) -> PyResult<Head> {
    let run = Py::new(py, RunRecord::from(head.run))?;
    Ok(Head { run, epoch: head.epoch, checkpoint: head.checkpoint, last_seq: head.last_seq })
}

/// One checkpoint in a listing; `at` in microseconds since 1970, `size` in bytes before compression.
#[pyclass(frozen, get_all, module = "hagane._core")]
pub(super) struct CheckpointRecord {
    checkpoint: i64,
    run_id: String,
    thread_id: String,
    label: String,
    at: i64,
    superseded: bool,
    size: u64,
}

#[pymethods]
impl CheckpointRecord {
    fn __repr__(&self) -> String {
        let Self { checkpoint, thread_id, label, .. } = self;
        format!("CheckpointRecord(checkpoint={checkpoint}, thread_id={thread_id:?}, label={label:?})")
    }
}

impl From<store::CheckpointRecord> for CheckpointRecord {
    fn from(record: store::CheckpointRecord) -> Self {
        let store::CheckpointRecord { checkpoint, run_id, thread_id, label, at, superseded, size } = record;
        Self { checkpoint, run_id, thread_id, label, at, superseded, size }
    }
}

/// What a prune removed; `bytes` are those of the blobs.
#[pyclass(frozen, get_all, module = "hagane._core")]
pub(super) struct Pruned {
    checkpoints: u64,
    runs: u64,
    blobs: u64,
    bytes: u64,
}

impl From<store::Pruned> for Pruned {
    fn from(pruned: store::Pruned) -> Self {
        let store::Pruned { checkpoints, runs, blobs, bytes } = pruned;
        Self { checkpoints, runs, blobs, bytes }
    }
}

/// What a store holds; `file_bytes` counts the log too and is 0 where there is no file.
#[pyclass(frozen, get_all, module = "hagane._core")]
pub(super) struct Usage {
    threads: u64,
    runs: u64,
    checkpoints: u64,
    events: u64,
    documents: u64,
    blobs: u64,
    blob_bytes: u64,
    file_bytes: u64,
}

impl From<store::Usage> for Usage {
    fn from(usage: store::Usage) -> Self {
        let store::Usage { threads, runs, checkpoints, events, documents, blobs, blob_bytes, file_bytes } = usage;
        Self { threads, runs, checkpoints, events, documents, blobs, blob_bytes, file_bytes }
    }
}

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Head>()?;
    module.add_class::<RunRecord>()?;
    module.add_class::<CheckpointRecord>()?;
    module.add_class::<Pruned>()?;
    module.add_class::<Usage>()
}
