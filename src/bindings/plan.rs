//! The plan: Python reports what happened and gets one action back.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use super::error::plan_error;
use crate::rollback::plan;
use crate::validation::OnFail;

/// Name, ladder of actions, stage to go back to, retries, rollbacks.
type CheckRow = (String, Vec<String>, Option<usize>, u32, u32);
/// Limits of wall time in milliseconds, tokens, and cost in millionths.
type LimitRow = (Option<u64>, Option<u64>, Option<u64>);
/// Whether it compensates, asks before, asks after; attempts; limits; tokens and cost that must be left before a start.
type TraitsRow = (bool, bool, bool, Option<u32>, LimitRow, (u64, u64));

/// What the driver is to do. `kind` is run, judge, accept, check_final, retry, rollback, compensate, skip, fallback,
/// ask, complete, cancelled, or one of the ways to stop: fail, reject, abort. `ask` is output, results, before, after or
/// agent; `budget` is starts, attempts, wall, tokens or cost.
#[pyclass(frozen, get_all, module = "hagane._core")]
struct Action {
    kind: &'static str,
    stage: Option<usize>,
    attempt: Option<u32>,
    check: Option<usize>,
    origin: Option<usize>,
    ask: Option<&'static str>,
    budget: Option<&'static str>,
    partial: bool,
}

impl From<plan::Action> for Action {
    fn from(action: plan::Action) -> Self {
        use plan::Action as Plan;
        let nothing = (None, None, None);
        let (stage, attempt, check) = nothing;
        let blank = Self { kind: "", stage, attempt, check, origin: None, ask: None, budget: None, partial: false };
        let at = |kind, stage| Self { kind, stage: Some(stage), ..blank };
        match action {
            Plan::Run { stage, attempt } => Self { attempt: Some(attempt), ..at("run", stage) },
            Plan::Judge { stage } => at("judge", stage),
            Plan::Accept { stage } => at("accept", stage),
            Plan::CheckFinal => Self { kind: "check_final", ..blank },
            Plan::Retry { stage, attempt, check } => Self { attempt: Some(attempt), check, ..at("retry", stage) },
            Plan::Rollback { from, to, attempt, check } => {
                Self { attempt: Some(attempt), check, origin: Some(from), ..at("rollback", to) }
            }
            Plan::Compensate { stage } => at("compensate", stage),
            Plan::Skip { stage, check } => Self { check: Some(check), ..at("skip", stage) },
            Plan::Fallback { stage, check } => Self { check: Some(check), ..at("fallback", stage) },
            Plan::Ask { stage, ask } => {
                let (word, check) = asked(ask);
                Self { ask: Some(word), check, ..at("ask", stage) }
            }
            Plan::Stop { how, stage, check, budget } => {
                Self { check, budget: budget.map(plan::Budget::as_str), ..at(how.as_str(), stage) }
            }
            Plan::Cancelled => Self { kind: "cancelled", ..blank },
            Plan::Complete { partial } => Self { kind: "complete", partial, ..blank },
        }
    }
}

fn asked(ask: plan::Ask) -> (&'static str, Option<usize>) {
    match ask {
        plan::Ask::Output(check) => ("output", Some(check)),
        plan::Ask::Results(check) => ("results", Some(check)),
        plan::Ask::Before => ("before", None),
        plan::Ask::After => ("after", None),
        plan::Ask::Agent => ("agent", None),
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
    #[allow(clippy::too_many_arguments)] // keyword-only in Python; a record class would be ceremony
    #[pyo3(signature = (*, stages, checks, final_checks, max_starts, traits=vec![], limit=(None, None, None), state=None))]
    fn new(
        stages: Vec<String>,
        checks: Vec<CheckRow>,
        final_checks: bool,
        max_starts: u32,
        traits: Vec<TraitsRow>,
        limit: LimitRow,
        state: Option<&[u8]>,
    ) -> PyResult<Self> {
        let checks = checks.into_iter().map(check).collect::<PyResult<_>>()?;
        let traits = traits.into_iter().map(stage_traits).collect();
        let limit = limits(limit);
        let settings = plan::Settings { stages, traits, checks, final_checks, max_starts, limit };
        let inner = match state {
            None => plan::Plan::new(settings),
            Some(bytes) => plan::State::from_bytes(bytes).and_then(|state| plan::Plan::restore(settings, state)),
        };
        Ok(Self { inner: inner.map_err(plan_error)? })
    }

    /// A run under the same settings that has not begun.
    fn fresh(&self) -> Self {
        Self { inner: self.inner.fresh() }
    }

    fn begin(&mut self) -> Action {
        self.inner.begin().into()
    }

    #[pyo3(signature = (failures, fingerprint=None))]
    fn judged(&mut self, failures: Vec<usize>, fingerprint: Option<&str>) -> PyResult<Action> {
        given(self.inner.judged(&failures, fingerprint))
    }

    /// Every check passed: whether the output is taken over now, and what comes next.
    fn passed(&mut self) -> PyResult<(bool, Action)> {
        self.inner.passed().map(|(accepted, action)| (accepted, action.into())).map_err(plan_error)
    }

    fn accepted(&mut self) -> PyResult<Action> {
        given(self.inner.accepted())
    }

    /// The running stage's output lacks a part.
    fn damaged(&mut self) -> PyResult<()> {
        self.inner.damaged().map_err(plan_error)
    }

    /// The rollback is noted; what comes first.
    fn going_back(&mut self) -> PyResult<Action> {
        given(self.inner.going_back())
    }

    /// The compensation is done and recorded.
    fn compensated(&mut self) -> PyResult<Action> {
        given(self.inner.compensated())
    }

    /// The stage did something that going back has to undo.
    fn touched(&mut self, stage: usize) {
        self.inner.touched(stage);
    }

    /// The running stage's agent asks a human.
    fn asked(&mut self) -> PyResult<Action> {
        given(self.inner.asked())
    }

    /// A human's answer: approve, update, retry, reject or cancel.
    fn decided(&mut self, decision: &str) -> PyResult<Action> {
        let decision =
            decision.parse().map_err(|error: plan::UnknownDecision| PyValueError::new_err(error.to_string()))?;
        given(self.inner.decided(decision))
    }

    /// Books what an attempt used: milliseconds, tokens, millionths of cost.
    #[pyo3(signature = (stage, *, wall=0, tokens=0, cost=0))]
    fn used(&mut self, stage: usize, wall: u64, tokens: u64, cost: u64) {
        self.inner.used(stage, plan::Amount { wall, tokens, cost });
    }

    /// Books the wall time of an attempt, rounded up to milliseconds; other than a time from 0 up counts as none.
    fn ran(&mut self, stage: usize, seconds: f64) {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // saturates, and NaN is 0
        let wall = (seconds * 1000.0).ceil() as u64;
        self.inner.used(stage, plan::Amount { wall, tokens: 0, cost: 0 });
    }

    /// What the stage may still use of wall time, tokens and cost; None without a limit.
    fn left(&self, stage: usize) -> LimitRow {
        let left = self.inner.left(stage);
        (left.wall, left.tokens, left.cost)
    }

    /// What an attempt of the stage has to know: wall time that is left, None without a limit, and how often it was undone.
    fn entering(&self, stage: usize) -> (Option<u64>, u32) {
        (self.inner.left(stage).wall, self.generation(stage))
    }

    /// Goes back to the state before `stage`, which must have run; `begin` goes on from there.
    fn rollback_to(&mut self, stage: &str) -> PyResult<usize> {
        self.inner.rollback_to(stage).map_err(plan_error)
    }

    /// The progress to store beside a checkpoint.
    fn state(&self) -> PyResult<Vec<u8>> {
        self.inner.state().to_bytes().map_err(plan_error)
    }

    /// The first stage that has no output yet or is to run again, if any.
    #[getter]
    fn position(&self) -> Option<usize> {
        let state = self.inner.state();
        let open = state.done.iter().position(|done| *done == plan::Done::Open);
        match state.phase {
            plan::Phase::Unwinding(to, plan::Then::Again) => Some(open.map_or(to, |open| open.min(to))),
            _ => open,
        }
    }

    /// How often each stage was started.
    #[getter]
    fn attempts(&self) -> Vec<u32> {
        self.inner.state().attempts.clone()
    }

    /// How often the stage was undone.
    fn generation(&self, stage: usize) -> u32 {
        self.inner.state().generations.get(stage).copied().unwrap_or_default()
    }

    /// Stages that used tokens or money: stage, tokens, cost in millionths.
    #[getter]
    fn spent(&self) -> Vec<(usize, u64, u64)> {
        let spent = self.inner.state().spent.iter().enumerate();
        spent
            .filter(|(_, spent)| spent.tokens > 0 || spent.cost > 0)
            .map(|(stage, spent)| (stage, spent.tokens, spent.cost))
            .collect()
    }

    /// What a human is asked: output, results, before, after or agent; None if nothing.
    #[getter]
    fn awaiting(&self) -> Option<&'static str> {
        match self.inner.state().phase {
            plan::Phase::Awaiting(_, ask) => Some(asked(ask).0),
            _ => None,
        }
    }
}

fn given(action: Result<plan::Action, plan::PlanError>) -> PyResult<Action> {
    action.map(Action::from).map_err(plan_error)
}

fn check((name, ladder, rollback_to, retries, rollbacks): CheckRow) -> PyResult<plan::Check> {
    let parse = |word: String| word.parse::<OnFail>().map_err(|error| PyValueError::new_err(error.to_string()));
    let ladder = ladder.into_iter().map(parse).collect::<PyResult<_>>()?;
    Ok(plan::Check { name, ladder, rollback_to, retries, rollbacks })
}

fn limits((wall, tokens, cost): LimitRow) -> plan::Limit {
    plan::Limit { wall, tokens, cost }
}

fn stage_traits((compensates, ask_before, ask_after, attempts, limit, (tokens, cost)): TraitsRow) -> plan::Traits {
    let reserve = plan::Amount { wall: 0, tokens, cost };
    plan::Traits { compensates, ask_before, ask_after, attempts, limit: limits(limit), reserve }
}

/// Seconds to wait before retry number `retry` (from 1).
#[pyfunction]
#[pyo3(signature = (retry, base, cap, draw, asked=None))]
fn backoff(retry: u32, base: f64, cap: f64, draw: f64, asked: Option<f64>) -> f64 {
    plan::backoff(retry, base, cap, draw, asked)
}

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Action>()?;
    module.add_class::<Plan>()?;
    module.add_function(wrap_pyfunction!(backoff, module)?)
}
