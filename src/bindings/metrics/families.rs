//! Metrics by name. `labels(...)` gives a handle; the other methods take AgentFlow's `labels={...}` with each call.
//! A value is checked before its series is looked up, so that a refused one leaves no series behind.

use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use super::children::{CounterChild, GaugeChild, HistogramChild, stats};
use super::exemplars::exemplar as exemplar_of;
use super::labels::{exact, find, partial};
use crate::bindings::error::metric_error;
use crate::metrics::{Cell, Counter, Family, Gauge, Histogram, Series};

/// A counter by name.
#[pyclass(frozen, module = "hagane._core")]
pub(super) struct CounterFamily(pub(super) Arc<Family<Counter>>);

#[pymethods]
impl CounterFamily {
    #[getter]
    fn name(&self) -> &str {
        self.0.name()
    }

    #[getter]
    fn description(&self) -> &str {
        self.0.help()
    }

    #[getter]
    fn label_names<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyTuple>>> {
        label_names(py, &self.0)
    }

    /// The series of these labels, created at 0 if new: all in order, or all by name. Raises MetricError otherwise.
    #[pyo3(signature = (*values, **by_name))]
    fn labels(&self, values: &Bound<'_, PyTuple>, by_name: Option<&Bound<'_, PyDict>>) -> PyResult<CounterChild> {
        exact(&self.0, values, by_name).map(CounterChild)
    }

    /// The series of these labels, created at 0 if new; a declared label left out is empty.
    #[pyo3(signature = (labels = None))]
    fn child(&self, labels: Option<&Bound<'_, PyAny>>) -> PyResult<CounterChild> {
        partial(&self.0, labels).map(CounterChild)
    }

    #[pyo3(signature = (value = 1.0, labels = None, exemplar = None))]
    fn inc(&self, value: f64, labels: Option<&Bound<'_, PyAny>>, exemplar: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        Counter::accepts(value).map_err(metric_error)?;
        let exemplar = exemplar_of(self.0.name(), exemplar, value)?;
        partial(&self.0, labels)?.increment(value, exemplar).map_err(metric_error)
    }

    #[pyo3(signature = (labels = None))]
    fn get(&self, labels: Option<&Bound<'_, PyAny>>) -> PyResult<f64> {
        Ok(find(&self.0, labels)?.map_or(0.0, |series| series.cell.get()))
    }

    /// Every series: its labels and what it holds.
    fn series<'py>(&self, py: Python<'py>) -> PyResult<Vec<(Bound<'py, PyDict>, f64)>> {
        self.0.iter().map(|series| Ok((labels_of(py, series)?, series.cell.get()))).collect()
    }
}

/// A gauge by name.
#[pyclass(frozen, module = "hagane._core")]
pub(super) struct GaugeFamily(pub(super) Arc<Family<Gauge>>);

#[pymethods]
impl GaugeFamily {
    #[getter]
    fn name(&self) -> &str {
        self.0.name()
    }

    #[getter]
    fn description(&self) -> &str {
        self.0.help()
    }

    #[getter]
    fn label_names<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyTuple>>> {
        label_names(py, &self.0)
    }

    /// The series of these labels, created at 0 if new: all in order, or all by name. Raises MetricError otherwise.
    #[pyo3(signature = (*values, **by_name))]
    fn labels(&self, values: &Bound<'_, PyTuple>, by_name: Option<&Bound<'_, PyDict>>) -> PyResult<GaugeChild> {
        exact(&self.0, values, by_name).map(GaugeChild)
    }

    /// The series of these labels, created at 0 if new; a declared label left out is empty.
    #[pyo3(signature = (labels = None))]
    fn child(&self, labels: Option<&Bound<'_, PyAny>>) -> PyResult<GaugeChild> {
        partial(&self.0, labels).map(GaugeChild)
    }

    #[pyo3(signature = (value, labels = None))]
    fn set(&self, value: f64, labels: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        partial(&self.0, labels)?.cell.set(value);
        Ok(())
    }

    #[pyo3(signature = (value = 1.0, labels = None))]
    fn inc(&self, value: f64, labels: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        Gauge::accepts(value).map_err(metric_error)?;
        partial(&self.0, labels)?.cell.add(value).map_err(metric_error)
    }

    #[pyo3(signature = (value = 1.0, labels = None))]
    fn dec(&self, value: f64, labels: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        self.inc(-value, labels)
    }

    #[pyo3(signature = (labels = None))]
    fn get(&self, labels: Option<&Bound<'_, PyAny>>) -> PyResult<f64> {
        Ok(find(&self.0, labels)?.map_or(0.0, |series| series.cell.get()))
    }

    /// Every series: its labels and what it holds.
    fn series<'py>(&self, py: Python<'py>) -> PyResult<Vec<(Bound<'py, PyDict>, f64)>> {
        self.0.iter().map(|series| Ok((labels_of(py, series)?, series.cell.get()))).collect()
    }
}

/// A histogram by name.
#[pyclass(frozen, module = "hagane._core")]
pub(super) struct HistogramFamily(pub(super) Arc<Family<Histogram>>);

#[pymethods]
impl HistogramFamily {
    #[getter]
    fn name(&self) -> &str {
        self.0.name()
    }

    #[getter]
    fn description(&self) -> &str {
        self.0.help()
    }

    #[getter]
    fn label_names<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyTuple>>> {
        label_names(py, &self.0)
    }

    #[getter]
    fn buckets<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.0.shape().as_slice())
    }

    /// The series of these labels, created at 0 if new: all in order, or all by name. Raises MetricError otherwise.
    #[pyo3(signature = (*values, **by_name))]
    fn labels(&self, values: &Bound<'_, PyTuple>, by_name: Option<&Bound<'_, PyDict>>) -> PyResult<HistogramChild> {
        exact(&self.0, values, by_name).map(HistogramChild)
    }

    /// The series of these labels, created at 0 if new; a declared label left out is empty.
    #[pyo3(signature = (labels = None))]
    fn child(&self, labels: Option<&Bound<'_, PyAny>>) -> PyResult<HistogramChild> {
        partial(&self.0, labels).map(HistogramChild)
    }

    #[pyo3(signature = (value, labels = None, exemplar = None))]
    fn observe(
        &self,
        value: f64,
        labels: Option<&Bound<'_, PyAny>>,
        exemplar: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        Histogram::accepts(value).map_err(metric_error)?;
        let exemplar = exemplar_of(self.0.name(), exemplar, value)?;
        partial(&self.0, labels)?.observe(value, exemplar).map_err(metric_error)
    }

    /// Keeps a native histogram too, of every series that has observed nothing so far.
    fn keep_native(&self) {
        self.0.keep_native();
    }

    #[pyo3(signature = (labels = None))]
    fn get_stats<'py>(&self, py: Python<'py>, labels: Option<&Bound<'_, PyAny>>) -> PyResult<Bound<'py, PyDict>> {
        let series = find(&self.0, labels)?;
        stats(py, series.as_ref().map(|series| &series.cell))
    }

    /// Every series: its labels and what it holds.
    fn series<'py>(&self, py: Python<'py>) -> PyResult<Vec<(Bound<'py, PyDict>, Bound<'py, PyDict>)>> {
        self.0.iter().map(|series| Ok((labels_of(py, series)?, stats(py, Some(&series.cell))?))).collect()
    }
}

fn label_names<'py, C: Cell>(py: Python<'py>, family: &Family<C>) -> PyResult<Option<Bound<'py, PyTuple>>> {
    family.label_names().map(|names| PyTuple::new(py, names)).transpose()
}

fn labels_of<'py, C>(py: Python<'py>, series: &Series<C>) -> PyResult<Bound<'py, PyDict>> {
    let labels = PyDict::new(py);
    for (name, value) in series.labels() {
        labels.set_item(name, value)?;
    }
    Ok(labels)
}
