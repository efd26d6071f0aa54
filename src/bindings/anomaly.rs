//! Python's view of `validation::anomaly`.

use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::convert::observe;
use super::error::anomaly_error;
use crate::validation::anomaly::{Detector, Finding, Settings, Severity, Summary};

/// Path, rule, expected, actual, and whether it is reason to have the output made again.
type FindingRow = (String, &'static str, String, String, bool);

/// The baseline of one stage: learns accepted outputs, judges the next one.
#[pyclass(frozen, module = "hagane._core")]
struct Baseline {
    // Only ever held while the GIL is, and never while waiting.
    detector: Mutex<Detector>,
    settings: Settings,
}

/// What is known of the numbers at one path.
#[pyclass(frozen, get_all, module = "hagane._core")]
struct BaselineField {
    /// The path; of a list the number of its elements is meant.
    path: String,
    /// How many accepted numbers are remembered.
    known: usize,
    /// Their median.
    median: f64,
    /// The least number that belongs.
    low: f64,
    /// The greatest number that belongs.
    high: f64,
    /// How many stand so far off that they do not count as examples.
    strangers: usize,
    /// Whether it is a counter or a clock.
    is_running: bool,
}

impl Baseline {
    /// Nothing that is done under the lock leaves a baseline half changed.
    fn lock(&self) -> MutexGuard<'_, Detector> {
        self.detector.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[pymethods]
impl Baseline {
    #[new]
    #[pyo3(signature = (*, alpha, may_act, ignored, data=None))]
    fn new(alpha: f64, may_act: bool, ignored: Vec<String>, data: Option<&[u8]>) -> PyResult<Self> {
        let detector = data.map_or_else(|| Ok(Detector::new()), Detector::decode).map_err(anomaly_error)?;
        Ok(Self { detector: Mutex::new(detector), settings: Settings { alpha, may_act, ignored } })
    }

    /// What is unusual about `output`, the surest findings first.
    fn judge(&self, output: &Bound<'_, PyAny>) -> PyResult<Vec<FindingRow>> {
        let output = observe(output);
        Ok(self.lock().judge(&output, &self.settings).into_iter().map(row).collect())
    }

    /// Learns an output that was accepted.
    fn learn(&self, output: &Bound<'_, PyAny>) -> PyResult<()> {
        let output = observe(output);
        self.lock().observe(&output, &self.settings);
        Ok(())
    }

    /// The baseline as bytes.
    fn dump<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.lock().encode())
    }

    /// What is known of every path with numbers.
    fn summary(&self) -> Vec<BaselineField> {
        self.lock().summary().into_iter().map(BaselineField::from).collect()
    }

    /// How many accepted outputs are known.
    #[getter]
    fn outputs(&self) -> u32 {
        self.lock().outputs()
    }
}

#[pymethods]
impl BaselineField {
    fn __repr__(&self) -> String {
        format!(
            "BaselineField(path={:?}, known={}, median={}, low={}, high={}, strangers={}, is_running={})",
            self.path,
            self.known,
            self.median,
            self.low,
            self.high,
            self.strangers,
            if self.is_running { "True" } else { "False" },
        )
    }
}

impl From<Summary> for BaselineField {
    fn from(field: Summary) -> Self {
        let Summary { path, known, median, low, high, strangers, is_running } = field;
        Self { path, known, median, low, high, strangers, is_running }
    }
}

fn row(finding: Finding) -> FindingRow {
    let Finding { path, rule, severity, expected, actual } = finding;
    (path, rule, expected, actual, severity == Severity::Action)
}

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Baseline>()?;
    module.add_class::<BaselineField>()
}
