//! Blobs as plain bytes, for places that keep them by themselves, such as Redis.
//!
//! Layout: the address of the content (32 bytes), then the one part that holds all of it, as a store has it.

use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::error::snapshot_error;
use super::rollback::Blob;
use crate::rollback::snapshot::{self, Packer, SnapshotError};

const ADDRESS: usize = 32;

/// The bytes of a blob; they hold all of it.
#[pyfunction]
fn pack_blob<'py>(py: Python<'py>, blob: &Blob) -> PyResult<Bound<'py, PyBytes>> {
    let inner = blob.inner();
    let packed = py
        .detach(|| {
            let part = inner.whole()?;
            Ok([part.address().as_slice(), &Packer::new().pack(&part)].concat())
        })
        .map_err(snapshot_error)?;
    Ok(PyBytes::new(py, &packed))
}

/// The blob of such bytes; its content is checked when it is read.
#[pyfunction]
fn unpack_blob(packed: &[u8]) -> PyResult<Blob> {
    let Some((address, stored)) = packed.split_first_chunk::<ADDRESS>() else {
        return Err(snapshot_error(SnapshotError::Damaged("it is shorter than an address".into())));
    };
    Ok(Blob::from(snapshot::Blob::from_stored(*address, stored.to_vec())))
}

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(pack_blob, module)?)?;
    module.add_function(wrap_pyfunction!(unpack_blob, module)?)
}
