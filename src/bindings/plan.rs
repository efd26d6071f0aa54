//! The plan: Python reports what happened and gets one action back.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use super::error::plan_error;
use crate::rollback::plan;
use crate::validation::OnFail;

/// Name, ladder of actions, stage to go back to, retries, rollbacks.
type CheckRow = (String, Vec<String>, Option<usize>, u32, u32);

/// What the driver is to do. `kind` is run, accept, check_final, retry, rollback, skip, fallback, complete, or one of
/// the ways to stop: escalate, fail, reject, abort.
#[pyclass(frozen, get_all, module = "hagane._core")]
struct Action {
    kind: &'static str,
    stage: Option<usize>,
    attempt: Option<u32>,
    check: Option<usize>,
    origin: Option<usize>,
    partial: bool,
}

impl From<plan::Action> for Action {
    fn from(action: plan::Action) -> Self {
        use plan::Action as Plan;
        let blank = Self { kind: "", stage: None, attempt: None, check: None, origin: None, partial: false };
        let at = |kind, stage| Self { kind, stage: Some(stage), ..blank };
        match action {
            Plan::Run { stage, attempt } => Self { attempt: Some(attempt), ..at("run", stage) },
            Plan::Accept { stage } => at("accept", stage),
            Plan::CheckFinal => Self { kind: "check_final", ..blank },
            Plan::Retry { stage, attempt, check } => {
                Self { attempt: Some(attempt), check: Some(check), ..at("retry", stage) }
            }
            Plan::Rollback { from, to, attempt, check } => {
                Self { attempt: Some(attempt), check: Some(check), origin: Some(from), ..at("rollback", to) }
            }
            Plan::Skip { stage, check } => Self { check: Some(check), ..at("skip", stage) },
            Plan::Fallback { stage, check } => Self { check: Some(check), ..at("fallback", stage) },
            Plan::Stop { how, stage, check } => Self { check, ..at(how.as_str(), stage) },
            Plan::Complete { partial } => Self { kind: "complete", partial, ..blank },
        }
    }
}

/// A run's progress. Not for use by several threads at once; the engine has one per run.
#[pyclass(module = "hagane._core")]
struct Plan {
    inner: plan::Plan,
}

#[pymethods]
impl Plan {
    #[new]
    #[pyo3(signature = (*, stages, checks, final_checks, max_starts, state=None))]
    fn new(
        stages: Vec<String>,
        checks: Vec<CheckRow>,
        final_checks: bool,
        max_starts: u32,
        state: Option<&[u8]>,
    ) -> PyResult<Self> {
        let checks = checks.into_iter().map(check).collect::<PyResult<_>>()?;
        let settings = plan::Settings { stages, checks, final_checks, max_starts };
        let inner = match state {
            None => plan::Plan::new(settings),
            Some(bytes) => plan::State::from_bytes(bytes).and_then(|state| plan::Plan::restore(settings, state)),
        };
        Ok(Self { inner: inner.map_err(plan_error)? })
    }

    fn begin(&mut self) -> Action {
        self.inner.begin().into()
    }

    #[pyo3(signature = (failures, fingerprint=None))]
    fn judged(&mut self, failures: Vec<usize>, fingerprint: Option<&str>) -> PyResult<Action> {
        self.inner.judged(&failures, fingerprint).map(Action::from).map_err(plan_error)
    }

    fn accepted(&mut self) -> PyResult<Action> {
        self.inner.accepted().map(Action::from).map_err(plan_error)
    }

    /// Goes back to the state before `stage`, which must have run; `begin` goes on from there.
    fn rollback_to(&mut self, stage: &str) -> PyResult<usize> {
        self.inner.rollback_to(stage).map_err(plan_error)
    }

    /// The progress to store beside a checkpoint.
    fn state(&self) -> PyResult<Vec<u8>> {
        self.inner.state().to_bytes().map_err(plan_error)
    }

    /// The first stage that has no output yet, if any.
    #[getter]
    fn position(&self) -> Option<usize> {
        self.inner.state().done.iter().position(|done| *done == plan::Done::Open)
    }

    /// How often each stage was started.
    #[getter]
    fn attempts(&self) -> Vec<u32> {
        self.inner.state().attempts.clone()
    }
}

fn check((name, ladder, rollback_to, retries, rollbacks): CheckRow) -> PyResult<plan::Check> {
    let parse = |word: String| word.parse::<OnFail>().map_err(|error| PyValueError::new_err(error.to_string()));
    let ladder = ladder.into_iter().map(parse).collect::<PyResult<_>>()?;
    Ok(plan::Check { name, ladder, rollback_to, retries, rollbacks })
}

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Action>()?;
    module.add_class::<Plan>()
}
