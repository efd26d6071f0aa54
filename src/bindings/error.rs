//! The one table that turns an error of the core into an exception of `hagane.errors`.

use pyo3::exceptions::{PyImportError, PyValueError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyString, PyType};

/// An exception class of `hagane.errors`, by its name there.
///
/// The classes live in Python so that users can read them; they are looked up once.
pub(super) fn raise(class: &'static str, message: impl Into<String>) -> PyErr {
    let message = message.into();
    Python::attach(|py| match lookup(py, class) {
        Ok(kind) => PyErr::from_type(kind, message),
        Err(error) => error,
    })
}

fn lookup<'py>(py: Python<'py>, class: &'static str) -> PyResult<Bound<'py, PyType>> {
    static MODULE: PyOnceLock<Py<PyModule>> = PyOnceLock::new();
    let module = MODULE.get_or_try_init(py, || py.import("hagane.errors").map(Bound::unbind))?;
    module
        .bind(py)
        .getattr(PyString::intern(py, class))?
        .cast_into::<PyType>()
        .map_err(|_| PyImportError::new_err(format!("hagane.errors.{class} is not a class")))
}

/// Faults of a sandbox; a request that is not well formed is a `ValueError`.
pub(super) fn sandbox_error(error: crate::sandbox::SandboxError) -> PyErr {
    use crate::sandbox::SandboxError;
    let class = match &error {
        SandboxError::Unavailable { .. } => "SandboxUnavailable",
        SandboxError::Start { .. } => "SandboxStartError",
        SandboxError::Broken(_) => "ProviderError",
        SandboxError::Closed => "SandboxClosedError",
        SandboxError::Invalid(_) => return PyValueError::new_err(error.to_string()),
    };
    raise(class, error.to_string())
}

/// A listener that cannot start is an `OSError` with its errno; anything else about a metric is a `ValueError`.
pub(super) fn metric_error(error: crate::metrics::MetricError) -> PyErr {
    use crate::metrics::MetricError::{Address, Bind, Directory, Start, Tls, Unreadable};
    let os_error = |class, source: &std::io::Error| {
        let arguments = (source.raw_os_error(), error.to_string());
        Python::attach(|py| match lookup(py, class) {
            Ok(kind) => PyErr::from_type(kind, arguments),
            Err(error) => error,
        })
    };
    match &error {
        Bind { source, .. } | Start { source } => os_error("MetricsServerError", source),
        Directory { source, .. } | Unreadable { source, .. } => os_error("MetricsDirectoryError", source),
        Address { .. } | Tls { .. } => raise("MetricsServerError", error.to_string()),
        _ => raise("MetricError", error.to_string()),
    }
}

/// Errors of the checkpoint stores.
pub(super) fn store_error(error: crate::rollback::store::StoreError) -> PyErr {
    use crate::rollback::store::StoreError;
    let class = match &error {
        StoreError::Unusable { .. } => "StoreError",
        StoreError::Corrupt { .. } => "StoreCorrupt",
        StoreError::Newer { .. } => "StoreVersionError",
        StoreError::LeaseLost(_) => "LeaseLost",
        StoreError::Held { .. } => "LeaseHeld",
        StoreError::Snapshot(error) => return snapshot_error(error.clone()),
        StoreError::Unknown { .. } => "UnknownRun",
        StoreError::Forked(..) => "ForkError",
    };
    raise(class, error.to_string())
}

/// Errors of snapshots.
pub(super) fn snapshot_error(error: crate::rollback::snapshot::SnapshotError) -> PyErr {
    use crate::rollback::snapshot::SnapshotError;
    let class = match &error {
        SnapshotError::TooLarge(_) | SnapshotError::TooMany(_) => "SnapshotError",
        SnapshotError::Newer(_) => "StoreVersionError",
        SnapshotError::Damaged(_) => "StoreCorrupt",
    };
    raise(class, error.to_string())
}

/// Errors of the plan.
pub(super) fn plan_error(error: crate::rollback::plan::PlanError) -> PyErr {
    use crate::rollback::plan::PlanError;
    let class = match &error {
        PlanError::NotRun(..) => "UnknownStage",
        PlanError::OutOfTurn { .. } | PlanError::Settings(_) | PlanError::Foreign(_) => "PipelineError",
    };
    raise(class, error.to_string())
}

/// Errors of the baselines of anomaly detection; bytes of another kind are a `ValueError`.
pub(super) fn anomaly_error(error: crate::validation::anomaly::DecodeError) -> PyErr {
    use crate::validation::anomaly::DecodeError;
    let class = match &error {
        DecodeError::Foreign(_) => return PyValueError::new_err(error.to_string()),
        DecodeError::Newer { .. } => "StoreVersionError",
        DecodeError::Damaged(_) => "StoreCorrupt",
    };
    raise(class, error.to_string())
}
