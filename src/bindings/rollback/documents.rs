//! Values beside runs.

use pyo3::prelude::*;

use super::Blob;
use crate::rollback::store;

/// A value that is kept under a collection, a thread and a key; `at` as it was put.
#[pyclass(frozen, get_all, module = "hagane._core")]
pub(super) struct Document {
    thread_id: String,
    key: String,
    seq: i64,
    at: i64,
    blob: Py<Blob>,
}

pub(super) fn show(py: Python<'_>, document: store::Document) -> PyResult<Document> {
    let store::Document { thread_id, key, seq, at, body } = document;
    Ok(Document { thread_id, key, seq, at, blob: Py::new(py, Blob { inner: body })? })
}

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Document>()
}
