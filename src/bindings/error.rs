//! The one table that turns an error of the core into an exception of `hagane.errors`.

use pyo3::exceptions::PyImportError;
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

impl From<crate::sandbox::SandboxError> for PyErr {
    fn from(error: crate::sandbox::SandboxError) -> Self {
        use crate::sandbox::SandboxError as E;
        let message = error.to_string();
        match error {
            E::Unavailable { .. } => raise("SandboxUnavailable", message),
            E::Start { .. } => raise("SandboxStartError", message),
            E::Broken(_) => raise("ProviderError", message),
            E::Closed => raise("SandboxClosedError", message),
            E::Invalid(_) => pyo3::exceptions::PyValueError::new_err(message),
        }
    }
}
