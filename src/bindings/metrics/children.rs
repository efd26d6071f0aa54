//! Handles onto one series: taken once, after which a write touches atomics only.

use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::exemplars::exemplar as exemplar_of;
use super::handles::Handle;
use crate::bindings::error::metric_error;
use crate::metrics::{Counter, Gauge, Histogram, Series};

/// One series of a counter.
#[pyclass(frozen, module = "hagane._core")]
pub(super) struct CounterChild(pub(super) Arc<Series<Counter>>);

#[pymethods]
impl CounterChild {
    /// Adds a finite amount of at least 0; the total stops at the greatest finite number. Raises MetricError.
    /// `exemplar` is a mapping of label names to values, at most 128 characters together.
    #[pyo3(signature = (value = 1.0, exemplar = None))]
    fn inc(&self, value: f64, exemplar: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        increment(&self.0, "counter", value, exemplar)
    }

    /// What it holds now.
    fn get(&self) -> f64 {
        self.0.cell.get()
    }
}

/// One series of a gauge.
#[pyclass(frozen, module = "hagane._core")]
pub(super) struct GaugeChild(pub(super) Arc<Series<Gauge>>);

#[pymethods]
impl GaugeChild {
    /// Sets the value, which may be NaN or infinite.
    fn set(&self, value: f64) {
        self.0.cell.set(value);
    }

    /// Adds a finite amount; the value stops at the greatest finite number. Raises MetricError.
    #[pyo3(signature = (value = 1.0))]
    fn inc(&self, value: f64) -> PyResult<()> {
        self.0.cell.add(value).map_err(metric_error)
    }

    /// Subtracts a finite amount. Raises MetricError.
    #[pyo3(signature = (value = 1.0))]
    fn dec(&self, value: f64) -> PyResult<()> {
        self.0.cell.add(-value).map_err(metric_error)
    }

    /// What it holds now.
    fn get(&self) -> f64 {
        self.0.cell.get()
    }
}

/// One series of a histogram.
#[pyclass(frozen, module = "hagane._core")]
pub(super) struct HistogramChild(pub(super) Arc<Series<Histogram>>);

#[pymethods]
impl HistogramChild {
    /// Counts a finite value; the sum stops at the greatest finite number. Raises MetricError. `exemplar` is as that of a counter.
    #[pyo3(signature = (value, exemplar = None))]
    fn observe(&self, value: f64, exemplar: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        observe(&self.0, "histogram", value, exemplar)
    }

    /// count, sum, avg, min, max and buckets: {upper bound: how many were at most that}.
    fn get_stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        stats(py, Some(&self.0.cell))
    }
}

/// Adds to a counter, with the exemplar of a call if it has one.
#[inline]
pub(super) fn increment(
    series: &Series<Counter>,
    metric: &str,
    value: f64,
    labels: Option<&Bound<'_, PyAny>>,
) -> PyResult<()> {
    let Some(labels) = labels else { return series.cell.increment(value).map_err(metric_error) };
    match exemplar_of(metric, labels, value)? {
        None => series.cell.increment(value),
        Some(exemplar) => series.increment(value, exemplar),
    }
    .map_err(metric_error)
}

/// Observes a value, with the exemplar of a call if it has one.
#[inline]
pub(super) fn observe(
    series: &Series<Histogram>,
    metric: &str,
    value: f64,
    labels: Option<&Bound<'_, PyAny>>,
) -> PyResult<()> {
    let Some(labels) = labels else { return series.observe(value).map_err(metric_error) };
    let exemplar = exemplar_of(metric, labels, value)?;
    series.observe(value).map_err(metric_error)?;
    if let Some(exemplar) = exemplar {
        series.exemplify(value, exemplar);
    }
    Ok(())
}

macro_rules! handles {
    ($($handle:ident onto $cell:ident),*) => {$(
        impl Handle for $handle {
            type Cell = $cell;
            fn onto(series: Arc<Series<$cell>>) -> Self {
                Self(series)
            }
        }
    )*};
}
handles!(CounterChild onto Counter, GaugeChild onto Gauge, HistogramChild onto Histogram);

/// AgentFlow's shape: count, sum, avg, min, max, and per bound how many were at most that (none while it is empty).
pub(super) fn stats<'py>(py: Python<'py>, histogram: Option<&Histogram>) -> PyResult<Bound<'py, PyDict>> {
    let (stats, buckets) = (PyDict::new(py), PyDict::new(py));
    let seen = histogram.map(|histogram| (histogram.bounds(), histogram.snapshot()));
    let (mut count, mut numbers) = (0, [0.0; 4]);
    if let Some((bounds, seen)) = seen.filter(|(_, seen)| seen.count() > 0) {
        count = seen.count();
        numbers = [seen.sum, seen.sum / count as f64, seen.min, seen.max];
        for (bound, at_most) in bounds.as_slice().iter().zip(&seen.cumulative) {
            buckets.set_item(bound, at_most)?;
        }
    }
    stats.set_item("count", count)?;
    for (name, number) in ["sum", "avg", "min", "max"].into_iter().zip(numbers) {
        stats.set_item(name, number)?;
    }
    stats.set_item("buckets", buckets)?;
    Ok(stats)
}
