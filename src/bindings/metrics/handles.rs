//! A family's handles by the very label values of a call, so that a call that names a known series copies no text.

use std::sync::Arc;

use pyo3::PyClass;
use pyo3::prelude::*;
use pyo3::pyclass::boolean_struct::True;
use pyo3::types::{PyDict, PyString, PyTuple};

use super::labels::{exact, partial};
use crate::metrics::{Cell, Family, Series};

/// A pyclass that is a handle onto one series.
pub(super) trait Handle: PyClass<Frozen = True> + Into<PyClassInitializer<Self>> {
    /// What its series holds.
    type Cell: Cell;
    /// The handle onto `series`.
    fn onto(series: Arc<Series<Self::Cell>>) -> Self;
}

/// A family and the handles that were asked for.
pub(super) struct Handles<H: Handle> {
    pub(super) family: Arc<Family<H::Cell>>,
    /// The label names as Python has them: looking them up in a mapping then costs no text. `None`: an open family.
    names: Option<Vec<Py<PyString>>>,
    /// Handles by a tuple of exact `str`: the values in the order of the names, of an open family names and values as
    /// the call had them. `()` is a call without labels. Other values are not looked up here: 1 and True are equal.
    known: Py<PyDict>,
}

impl<H: Handle> Handles<H> {
    pub(super) fn new(py: Python<'_>, family: Arc<Family<H::Cell>>) -> Self {
        let name = |name: &String| PyString::intern(py, name).unbind();
        let names = family.label_names().map(|names| names.iter().map(name).collect());
        Self { family, names, known: PyDict::new(py).unbind() }
    }

    /// The handle of `labels(*values, **by_name)`.
    pub(super) fn exact<'py>(
        &self,
        values: &Bound<'py, PyTuple>,
        by_name: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, H>> {
        let by_name = by_name.filter(|by_name| !by_name.is_empty());
        let key = match (by_name, &self.names) {
            (None, Some(names)) if names.len() == values.len() && all_exact(values) => Some(values.clone()),
            (Some(by_name), _) if values.is_empty() => self.key(by_name)?,
            _ => None,
        };
        self.known_or(key, values.py(), || exact(&self.family, values, by_name))
    }

    /// The handle of AgentFlow's `labels={...}`.
    pub(super) fn partial<'py>(&self, py: Python<'py>, labels: Option<&Bound<'py, PyAny>>) -> PyResult<Bound<'py, H>> {
        let key = match labels {
            None => Some(PyTuple::empty(py)),
            Some(labels) => labels.cast_exact::<PyDict>().ok().map_or(Ok(None), |labels| self.key(labels))?,
        };
        self.known_or(key, py, || partial(&self.family, labels))
    }

    fn key<'py>(&self, labels: &Bound<'py, PyDict>) -> PyResult<Option<Bound<'py, PyTuple>>> {
        let py = labels.py();
        let Some(names) = &self.names else {
            let items: Vec<_> = labels.iter().flat_map(|(name, value)| [name, value]).collect();
            return Ok(if items.iter().all(is_exact) { Some(PyTuple::new(py, items)?) } else { None });
        };
        if names.len() != labels.len() {
            return Ok(None);
        }
        let value = |name: &Py<PyString>| Ok::<_, PyErr>(labels.get_item(name)?.filter(is_exact));
        // Those with few labels, which are most, need no list in between.
        if let [name] = names.as_slice() {
            return value(name)?.map(|only| PyTuple::new(py, [only])).transpose();
        }
        if let [first, second] = names.as_slice() {
            let both = value(first)?.zip(value(second)?);
            return both.map(|(first, second)| PyTuple::new(py, [first, second])).transpose();
        }
        let mut values = Vec::with_capacity(names.len());
        for name in names {
            let Some(value) = value(name)? else { return Ok(None) };
            values.push(value);
        }
        PyTuple::new(py, values).map(Some)
    }

    fn known_or<'py>(
        &self,
        key: Option<Bound<'py, PyTuple>>,
        py: Python<'py>,
        find: impl FnOnce() -> PyResult<Arc<Series<H::Cell>>>,
    ) -> PyResult<Bound<'py, H>> {
        let known = self.known.bind(py);
        if let Some(key) = &key
            && let Some(handle) = known.get_item(key)?
        {
            return Ok(handle.cast_into()?);
        }
        let series = find()?;
        // Label sets beyond the limit are not kept, nor ever more orders of the same labels.
        let keep = !self.family.is_overflow(&series) && known.len() < self.family.limit().saturating_mul(2);
        let handle = Bound::new(py, H::onto(series))?;
        if let Some(key) = key.filter(|_| keep) {
            known.set_item(key, &handle)?;
        }
        Ok(handle)
    }
}

fn is_exact(value: &Bound<'_, PyAny>) -> bool {
    value.is_exact_instance_of::<PyString>()
}

fn all_exact(values: &Bound<'_, PyTuple>) -> bool {
    values.iter_borrowed().all(|value| value.is_exact_instance_of::<PyString>())
}
