//! The compiled module `hagane._core`: one file per core module, and no logic of its own.
//!
//! Every file has one `register` that adds its classes and functions; nothing outside this folder names pyo3.

use pyo3::prelude::*;

mod anomaly;
mod checkpointer;
mod convert;
mod copies;
mod error;
mod log;
mod metrics;
mod plan;
mod rollback;
mod runtime;
mod sandbox;
mod validation;

/// The Rust core of hagane.
#[pymodule(gil_used = true)]
fn _core(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    log::register(module)?;
    runtime::register(module)?;
    metrics::register(module)?;
    validation::register(module)?;
    plan::register(module)?;
    anomaly::register(module)?;
    rollback::register(module)?;
    checkpointer::register(module)?;
    copies::register(module)?;
    sandbox::register(module)
}
