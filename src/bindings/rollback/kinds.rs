//! The kinds of stores, and how each is opened.

use std::path::PathBuf;
use std::time::Duration;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use super::super::error::store_error;
use super::stores::Store;
use super::writing;
use crate::rollback::store::{MemoryStore, PostgresStore, SqliteStore};

/// Checkpoints in this process's memory.
#[pyclass(frozen, extends = Store, name = "MemoryStore", module = "hagane._core")]
struct PyMemoryStore;

#[pymethods]
impl PyMemoryStore {
    #[new]
    #[pyo3(signature = (*, keep=Some(50), max_age_seconds=Some(2_592_000.0)))]
    fn new(keep: Option<u32>, max_age_seconds: Option<f64>) -> PyResult<PyClassInitializer<Self>> {
        let store = MemoryStore::new(writing::retention(keep, max_age_seconds)?);
        Ok(PyClassInitializer::from(Store::over(store)).add_subclass(Self))
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
    #[pyo3(signature = (path, *, keep=Some(50), max_age_seconds=Some(2_592_000.0)))]
    fn new(
        py: Python<'_>,
        path: PathBuf,
        keep: Option<u32>,
        max_age_seconds: Option<f64>,
    ) -> PyResult<PyClassInitializer<Self>> {
        let retention = writing::retention(keep, max_age_seconds)?;
        let store = py.detach(|| SqliteStore::open(&path, retention)).map_err(store_error)?;
        Ok(PyClassInitializer::from(Store::over(store)).add_subclass(Self { path }))
    }

    fn __repr__(&self) -> String {
        format!("SqliteStore({:?})", self.path.display().to_string())
    }
}

/// Checkpoints in a schema of a PostgreSQL database.
#[pyclass(frozen, extends = Store, name = "PostgresStore", module = "hagane._core")]
struct PyPostgresStore {
    /// The address without its password.
    #[pyo3(get)]
    place: String,
}

#[pymethods]
impl PyPostgresStore {
    #[new]
    #[pyo3(signature = (
        url, *, schema="hagane", retry_seconds=10.0, keep=Some(50), max_age_seconds=Some(2_592_000.0)
    ))]
    fn new(
        py: Python<'_>,
        url: &str,
        schema: &str,
        retry_seconds: f64,
        keep: Option<u32>,
        max_age_seconds: Option<f64>,
    ) -> PyResult<PyClassInitializer<Self>> {
        let retention = writing::retention(keep, max_age_seconds)?;
        let budget = Duration::try_from_secs_f64(retry_seconds).map_err(|_| {
            PyValueError::new_err(format!("retry_seconds is {retry_seconds}; give a number of seconds from 0"))
        })?;
        let store = py.detach(|| PostgresStore::open(url, schema, budget, retention)).map_err(store_error)?;
        let place = store.place().to_owned();
        Ok(PyClassInitializer::from(Store::over(store)).add_subclass(Self { place }))
    }

    fn __repr__(&self) -> String {
        format!("PostgresStore({:?})", self.place)
    }
}

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<PyMemoryStore>()?;
    module.add_class::<PySqliteStore>()?;
    module.add_class::<PyPostgresStore>()
}
