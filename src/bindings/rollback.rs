//! Python's view of `rollback`: blobs and the stores. The plan has a file of its own.

mod documents;
mod kinds;
mod leases;
mod records;
mod stores;
mod writing;

use pyo3::prelude::*;

use super::convert::{decode, encode};
use super::error::snapshot_error;
use crate::rollback::snapshot;

/// One encoded value: an immutable deep copy that is stored under the address of its content.
#[pyclass(frozen, module = "hagane._core")]
pub(super) struct Blob {
    inner: snapshot::Blob,
}

impl Blob {
    pub(super) fn inner(&self) -> &snapshot::Blob {
        &self.inner
    }
}

impl From<snapshot::Blob> for Blob {
    fn from(inner: snapshot::Blob) -> Self {
        Self { inner }
    }
}

#[pymethods]
impl Blob {
    #[new]
    #[pyo3(signature = (value, path = "state"))]
    fn new(value: &Bound<'_, PyAny>, path: &str) -> PyResult<Self> {
        let inner = snapshot::Blob::from_writer(encode(value, path)?).map_err(snapshot_error)?;
        Ok(Self { inner })
    }

    /// A fresh copy of the value.
    fn value<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        decode(py, &self.inner)
    }

    /// BLAKE3 of the content, hexadecimal.
    #[getter]
    fn address(&self, py: Python<'_>) -> String {
        py.detach(|| self.inner.address()).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Bytes that it takes in a store that has nothing of it yet.
    #[getter]
    fn size(&self, py: Python<'_>) -> PyResult<usize> {
        py.detach(|| self.inner.size()).map_err(snapshot_error)
    }
}

/// BLAKE3 over texts, hexadecimal; two lists of texts have the same only if they are equal.
#[pyfunction]
fn fingerprint(parts: Vec<String>) -> String {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    hasher.finalize().to_hex().to_string()
}

/// Lets this process kill itself (SIGKILL) when it passes a place in a store's write for the `hits`-th time.
#[cfg(feature = "failpoints")]
#[pyfunction]
#[pyo3(signature = (name, hits=1))]
fn _arm_failpoint(name: &str, hits: u32) -> PyResult<()> {
    use crate::rollback::store::failpoint;
    if !failpoint::NAMES.contains(&name) || hits == 0 {
        let what = format!("no failpoint {name:?} to pass {hits} times; there are {}", failpoint::NAMES.join(", "));
        return Err(pyo3::exceptions::PyValueError::new_err(what));
    }
    failpoint::arm(name, hits);
    Ok(())
}

/// The places that `_arm_failpoint` knows.
#[cfg(feature = "failpoints")]
#[pyfunction]
fn _failpoints() -> Vec<&'static str> {
    crate::rollback::store::failpoint::NAMES.to_vec()
}

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Blob>()?;
    module.add_function(wrap_pyfunction!(fingerprint, module)?)?;
    #[cfg(feature = "failpoints")]
    {
        // Set, not added: what is added is in `__all__`, and these are no part of the module.
        module.setattr("_arm_failpoint", wrap_pyfunction!(_arm_failpoint, module)?)?;
        module.setattr("_failpoints", wrap_pyfunction!(_failpoints, module)?)?;
    }
    records::register(module)?;
    leases::register(module)?;
    documents::register(module)?;
    stores::register(module)?;
    kinds::register(module)
}
