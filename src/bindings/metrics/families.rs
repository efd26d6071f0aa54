//! Metrics by name. `labels(...)` gives a handle; the other methods take AgentFlow's `labels={...}` with each call.
//! A value is checked before its series is looked up, so that a refused one leaves no series behind.

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use super::children::{CounterChild, GaugeChild, HistogramChild, increment, observe, stats};
use super::exemplars::exemplar as exemplar_of;
use super::handles::Handles;
use super::labels::find;
use crate::bindings::error::metric_error;
use crate::metrics::{Cell, Counter, Family, Gauge, Histogram, Series};

/// A counter by name.
#[pyclass(frozen, module = "hagane._core")]
pub(super) struct CounterFamily(pub(super) Handles<CounterChild>);

#[pymethods]
impl CounterFamily {
    #[getter]
    fn name(&self) -> &str {
        self.0.family.name()
    }

    #[getter]
    fn description(&self) -> &str {
        self.0.family.help()
    }

    #[getter]
    fn label_names<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyTuple>>> {
        label_names(py, &self.0.family)
    }

    /// The series of these labels, created at 0 if new: all in order, or all by name. Raises MetricError otherwise.
    #[pyo3(signature = (*values, **by_name))]
    fn labels<'py>(
        &self,
        values: &Bound<'py, PyTuple>,
        by_name: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, CounterChild>> {
        self.0.exact(values, by_name)
    }

    /// The series of these labels, created at 0 if new; a declared label left out is empty.
    #[pyo3(signature = (labels = None))]
    fn child<'py>(&self, py: Python<'py>, labels: Option<&Bound<'py, PyAny>>) -> PyResult<Bound<'py, CounterChild>> {
        self.0.partial(py, labels)
    }

    #[pyo3(signature = (value = 1.0, labels = None, exemplar = None))]
    fn inc(
        &self,
        py: Python<'_>,
        value: f64,
        labels: Option<&Bound<'_, PyAny>>,
        exemplar: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        Counter::accepts(value).map_err(metric_error)?;
        check_exemplar(self.0.family.name(), exemplar, value)?;
        increment(&self.0.partial(py, labels)?.get().0, self.0.family.name(), value, exemplar)
    }

    #[pyo3(signature = (labels = None))]
    fn get(&self, labels: Option<&Bound<'_, PyAny>>) -> PyResult<f64> {
        Ok(find(&self.0.family, labels)?.map_or(0.0, |series| series.cell.get()))
    }

    /// Every series: its labels and what it holds.
    fn series<'py>(&self, py: Python<'py>) -> PyResult<Vec<(Bound<'py, PyDict>, f64)>> {
        self.0.family.iter().map(|series| Ok((labels_of(py, series)?, series.cell.get()))).collect()
    }
}

/// A gauge by name.
#[pyclass(frozen, module = "hagane._core")]
pub(super) struct GaugeFamily(pub(super) Handles<GaugeChild>);

#[pymethods]
impl GaugeFamily {
    #[getter]
    fn name(&self) -> &str {
        self.0.family.name()
    }

    #[getter]
    fn description(&self) -> &str {
        self.0.family.help()
    }

    #[getter]
    fn label_names<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyTuple>>> {
        label_names(py, &self.0.family)
    }

    /// The series of these labels, created at 0 if new: all in order, or all by name. Raises MetricError otherwise.
    #[pyo3(signature = (*values, **by_name))]
    fn labels<'py>(
        &self,
        values: &Bound<'py, PyTuple>,
        by_name: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, GaugeChild>> {
        self.0.exact(values, by_name)
    }

    /// The series of these labels, created at 0 if new; a declared label left out is empty.
    #[pyo3(signature = (labels = None))]
    fn child<'py>(&self, py: Python<'py>, labels: Option<&Bound<'py, PyAny>>) -> PyResult<Bound<'py, GaugeChild>> {
        self.0.partial(py, labels)
    }

    #[pyo3(signature = (value, labels = None))]
    fn set(&self, py: Python<'_>, value: f64, labels: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        self.0.partial(py, labels)?.get().0.cell.set(value);
        Ok(())
    }

    #[pyo3(signature = (value = 1.0, labels = None))]
    fn inc(&self, py: Python<'_>, value: f64, labels: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        Gauge::accepts(value).map_err(metric_error)?;
        self.0.partial(py, labels)?.get().0.cell.add(value).map_err(metric_error)
    }

    #[pyo3(signature = (value = 1.0, labels = None))]
    fn dec(&self, py: Python<'_>, value: f64, labels: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        self.inc(py, -value, labels)
    }

    #[pyo3(signature = (labels = None))]
    fn get(&self, labels: Option<&Bound<'_, PyAny>>) -> PyResult<f64> {
        Ok(find(&self.0.family, labels)?.map_or(0.0, |series| series.cell.get()))
    }

    /// Every series: its labels and what it holds.
    fn series<'py>(&self, py: Python<'py>) -> PyResult<Vec<(Bound<'py, PyDict>, f64)>> {
        self.0.family.iter().map(|series| Ok((labels_of(py, series)?, series.cell.get()))).collect()
    }
}

/// A histogram by name.
#[pyclass(frozen, module = "hagane._core")]
pub(super) struct HistogramFamily(pub(super) Handles<HistogramChild>);

#[pymethods]
impl HistogramFamily {
    #[getter]
    fn name(&self) -> &str {
        self.0.family.name()
    }

    #[getter]
    fn description(&self) -> &str {
        self.0.family.help()
    }

    #[getter]
    fn label_names<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyTuple>>> {
        label_names(py, &self.0.family)
    }

    #[getter]
    fn buckets<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.0.family.shape().as_slice())
    }

    /// The series of these labels, created at 0 if new: all in order, or all by name. Raises MetricError otherwise.
    #[pyo3(signature = (*values, **by_name))]
    fn labels<'py>(
        &self,
        values: &Bound<'py, PyTuple>,
        by_name: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, HistogramChild>> {
        self.0.exact(values, by_name)
    }

    /// The series of these labels, created at 0 if new; a declared label left out is empty.
    #[pyo3(signature = (labels = None))]
    fn child<'py>(&self, py: Python<'py>, labels: Option<&Bound<'py, PyAny>>) -> PyResult<Bound<'py, HistogramChild>> {
        self.0.partial(py, labels)
    }

    #[pyo3(signature = (value, labels = None, exemplar = None))]
    fn observe(
        &self,
        py: Python<'_>,
        value: f64,
        labels: Option<&Bound<'_, PyAny>>,
        exemplar: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        Histogram::accepts(value).map_err(metric_error)?;
        check_exemplar(self.0.family.name(), exemplar, value)?;
        observe(&self.0.partial(py, labels)?.get().0, self.0.family.name(), value, exemplar)
    }

    /// Keeps a native histogram too, of every series that has observed nothing so far.
    fn keep_native(&self) {
        self.0.family.keep_native();
    }

    #[pyo3(signature = (labels = None))]
    fn get_stats<'py>(&self, py: Python<'py>, labels: Option<&Bound<'_, PyAny>>) -> PyResult<Bound<'py, PyDict>> {
        let series = find(&self.0.family, labels)?;
        stats(py, series.as_ref().map(|series| &series.cell))
    }

    /// Every series: its labels and what it holds.
    fn series<'py>(&self, py: Python<'py>) -> PyResult<Vec<(Bound<'py, PyDict>, Bound<'py, PyDict>)>> {
        self.0.family.iter().map(|series| Ok((labels_of(py, series)?, stats(py, Some(&series.cell))?))).collect()
    }
}

/// Before the series is looked up, so that a refused exemplar leaves none behind either.
fn check_exemplar(metric: &str, labels: Option<&Bound<'_, PyAny>>, value: f64) -> PyResult<()> {
    labels.map_or(Ok(()), |labels| exemplar_of(metric, labels, value).map(drop))
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
