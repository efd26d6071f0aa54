//! Who drives a thread.

use std::time::Duration;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::rollback::store::{self, OnConflict};

/// A wish to drive a thread: `owner` for `seconds` after its last write; "reject" or "supersede" if another has it.
#[pyclass(frozen, module = "hagane._core")]
pub(super) struct Claim {
    pub(super) inner: store::Claim,
}

#[pymethods]
impl Claim {
    #[new]
    #[pyo3(signature = (owner, seconds=30.0, on_conflict="reject"))]
    fn new(owner: String, seconds: f64, on_conflict: &str) -> PyResult<Self> {
        let lasting = Duration::try_from_secs_f64(seconds).ok().filter(|lasting| !lasting.is_zero());
        let wrong = || PyValueError::new_err(format!("a lease cannot last {seconds} seconds; give a number above 0"));
        let on_conflict = match on_conflict {
            "reject" => OnConflict::Reject,
            "supersede" => OnConflict::Supersede,
            word => {
                let what = format!("on_conflict is {word:?}; it must be \"reject\" or \"supersede\"");
                return Err(PyValueError::new_err(what));
            }
        };
        Ok(Self { inner: store::Claim { owner, lasting: lasting.ok_or_else(wrong)?, on_conflict } })
    }

    #[getter]
    fn owner(&self) -> &str {
        &self.inner.owner
    }
}

/// A thread's owner. `expires_at` is microseconds since 1970 by the database's clock.
#[pyclass(frozen, get_all, module = "hagane._core")]
pub(super) struct Lease {
    owner: String,
    epoch: i64,
    expires_at: i64,
    host: String,
    boot: String,
    pid: u32,
    process_started: i64,
}

impl From<store::Lease> for Lease {
    fn from(lease: store::Lease) -> Self {
        let store::Process { host, boot, pid, started } = lease.process;
        let (owner, epoch, expires_at) = (lease.owner, lease.epoch, lease.expires_at);
        Self { owner, epoch, expires_at, host, boot, pid, process_started: started }
    }
}

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Claim>()?;
    module.add_class::<Lease>()
}
