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
