//! Python's view of `sandbox`: the local provider, and the entry point of its supervisor.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use pyo3::prelude::*;

use super::error::sandbox_error;
use super::runtime;
use crate::sandbox::{Ending, Interpreter, Limits, Outcome, Request, local};

/// Runs code in the local sandbox; `hagane.sandbox.LocalProvider` is its public face.
#[pyclass(frozen, name = "LocalSandbox", module = "hagane._core")]
struct PyLocalSandbox(Arc<local::LocalProvider>);

#[pymethods]
impl PyLocalSandbox {
    #[new]
    fn new(command: Vec<OsString>, executable: PathBuf, trees: Vec<PathBuf>) -> Self {
        Self(Arc::new(local::LocalProvider::new(command, Interpreter { executable, trees })))
    }

    /// An awaitable of the outcome; cancelling it kills the run.
    fn execute<'py>(&self, py: Python<'py>, request: PyRequest) -> PyResult<Bound<'py, PyAny>> {
        let provider = self.0.clone();
        runtime::future_into_py(
            py,
            async move { provider.execute(request.0).await.map(PyOutcome).map_err(sandbox_error) },
        )
    }

    /// The same, blocking; other Python threads run on.
    fn execute_blocking(&self, py: Python<'_>, request: PyRequest) -> PyResult<PyOutcome> {
        let provider = self.0.clone();
        runtime::block_on(py, async move { provider.execute(request.0).await.map(PyOutcome).map_err(sandbox_error) })
    }

    fn close(&self, py: Python<'_>) {
        py.detach(|| self.0.close());
    }
}

/// A request, taken from a `hagane.sandbox` call.
#[pyclass(frozen, from_py_object, name = "SandboxRequest", module = "hagane._core")]
#[derive(Clone)]
struct PyRequest(Request);

#[pymethods]
impl PyRequest {
    #[new]
    #[pyo3(signature = (code, *, env, files, timeout, memory, disk))]
    fn new(
        code: String,
        env: BTreeMap<String, String>,
        files: BTreeMap<String, Vec<u8>>,
        timeout: Duration,
        memory: u64,
        disk: u64,
    ) -> Self {
        let limits = Limits { timeout, memory, disk, file_size: disk, ..Limits::default() };
        Self(Request { code, env, files, limits })
    }
}

/// What a run gave back, as plain Python values.
#[pyclass(frozen, name = "SandboxOutcome", module = "hagane._core")]
struct PyOutcome(Outcome);

#[pymethods]
impl PyOutcome {
    /// `exited`, `signalled`, `timeout`, `memory_limit` or `output_limit`.
    #[getter]
    fn ending(&self) -> &'static str {
        match self.0.ending {
            Ending::Exited(_) => "exited",
            Ending::Signalled(_) => "signalled",
            Ending::TimedOut => "timeout",
            Ending::OutOfMemory => "memory_limit",
            Ending::TooMuchOutput => "output_limit",
        }
    }

    #[getter]
    fn exit_code(&self) -> i32 {
        self.0.ending.exit_code()
    }

    #[getter]
    fn signal(&self) -> Option<i32> {
        match self.0.ending {
            Ending::Signalled(signal) => Some(signal),
            _ => None,
        }
    }

    #[getter]
    fn stdout(&self) -> &[u8] {
        &self.0.stdout
    }

    #[getter]
    fn stderr(&self) -> &[u8] {
        &self.0.stderr
    }

    #[getter]
    fn truncated(&self) -> bool {
        self.0.truncated
    }

    #[getter]
    fn files(&self) -> BTreeMap<&str, &[u8]> {
        self.0.files.iter().map(|(path, bytes)| (path.as_str(), bytes.as_slice())).collect()
    }

    #[getter]
    fn skipped(&self) -> Vec<(String, String)> {
        self.0.skipped.clone()
    }

    #[getter]
    fn seconds(&self) -> f64 {
        self.0.duration.as_secs_f64()
    }

    #[getter]
    fn cpu_seconds(&self) -> f64 {
        self.0.usage.cpu.as_secs_f64()
    }

    #[getter]
    fn peak_memory(&self) -> u64 {
        self.0.usage.peak_memory
    }

    /// Level, mechanisms, and limits that are not enforced.
    #[getter]
    fn isolation(&self) -> (&str, Vec<String>, Vec<String>) {
        let isolation = &self.0.isolation;
        (&isolation.level, isolation.mechanisms.clone(), isolation.unenforced.clone())
    }

    /// Class name and text of the exception that ended the code, in the code's own words.
    #[getter]
    fn uncaught(&self) -> Option<(&str, &str)> {
        self.0.uncaught.as_ref().map(|uncaught| (uncaught.kind.as_str(), uncaught.message.as_str()))
    }
}

/// Become the supervisor of the host process `host`, which gave its socket as standard input. Never returns.
#[pyfunction]
fn supervise_sandboxes(host: u32) -> PyResult<()> {
    let control = local::supervisor::control_from_stdin()?;
    local::supervisor::run(control, host)
}

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<PyLocalSandbox>()?;
    module.add_class::<PyRequest>()?;
    module.add_class::<PyOutcome>()?;
    module.add_function(wrap_pyfunction!(supervise_sandboxes, module)?)
}
