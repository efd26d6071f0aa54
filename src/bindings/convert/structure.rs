//! How a Python value is copied: containers anew, what cannot change shared. Found once, for values copied often.

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyComplex, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple};

use super::super::error::raise;
use super::types::Types;

/// Below what a snapshot can hold (128): an output is stored inside other containers.
const DEEPEST: usize = 100;
/// How many steps of a path are told.
const TOLD: usize = 6;

/// What has to be done to copy one value. Containers are those of the value itself, which must not change meanwhile.
pub(in super::super) enum Shape {
    /// Nothing: it cannot change.
    Same(Py<PyAny>),
    /// A dictionary, and those of its entries that are not the same in a copy.
    Dict(Py<PyDict>, Vec<(Py<PyAny>, Shape)>),
    /// A list, in the same way.
    List(Py<PyList>, Vec<(usize, Shape)>),
    /// A tuple in which something can change.
    Tuple(Vec<Shape>),
    /// Of another type: `hagane.engines.isolate` knows.
    Other(Py<PyAny>),
}

/// The steps to a place below the limit, the last one first.
struct TooDeep(Vec<String>);

impl TooDeep {
    fn under(mut self, step: String) -> Self {
        self.0.push(step);
        self
    }
}

impl Shape {
    /// Looks at `value` and runs none of its code. `SnapshotError` if it is too deep, or contains itself.
    pub(in super::super) fn of(value: &Bound<'_, PyAny>) -> PyResult<Self> {
        look(value, 0).map_err(|TooDeep(steps)| {
            let path: String = steps.iter().rev().take(TOLD).map(String::as_str).collect();
            let path = path.trim_start_matches('.');
            let what = format!(
                "the value is nested deeper than {DEEPEST} levels or contains itself, at {path}...; flatten it"
            );
            raise("SnapshotError", what)
        })
    }

    /// A copy.
    pub(in super::super) fn copy<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        Ok(match self {
            Self::Same(value) => value.bind(py).clone(),
            Self::Dict(original, entries) => {
                let copied = original.bind(py).copy()?;
                for (key, shape) in entries {
                    copied.set_item(key, shape.copy(py)?)?;
                }
                copied.into_any()
            }
            Self::List(original, items) => {
                let original = original.bind(py);
                let copied = original.get_slice(0, original.len());
                for (index, shape) in items {
                    copied.set_item(*index, shape.copy(py)?)?;
                }
                copied.into_any()
            }
            Self::Tuple(items) => {
                let items = items.iter().map(|shape| shape.copy(py)).collect::<PyResult<Vec<_>>>()?;
                PyTuple::new(py, items)?.into_any()
            }
            Self::Other(value) => Types::copy_other(py)?.call1((value,))?,
        })
    }

    /// Whether a copy is the value itself.
    pub(in super::super) fn is_same(&self) -> bool {
        matches!(self, Self::Same(_))
    }

    /// For the garbage collector.
    pub(in super::super) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        match self {
            Self::Same(value) | Self::Other(value) => visit.call(value),
            Self::Dict(original, entries) => {
                visit.call(original)?;
                entries.iter().try_for_each(|(key, shape)| visit.call(key).and_then(|()| shape.traverse(visit)))
            }
            Self::List(original, items) => {
                visit.call(original)?;
                items.iter().try_for_each(|(_, shape)| shape.traverse(visit))
            }
            Self::Tuple(items) => items.iter().try_for_each(|shape| shape.traverse(visit)),
        }
    }
}

fn look(value: &Bound<'_, PyAny>, depth: usize) -> Result<Shape, TooDeep> {
    if is_plain(value) {
        return Ok(Shape::Same(value.clone().unbind()));
    }
    if depth > DEEPEST {
        return Err(TooDeep(Vec::new()));
    }
    if let Ok(entries) = value.cast_exact::<PyDict>() {
        let changing = entries.iter().filter(|(_, entry)| !is_plain(entry));
        let shapes = changing.map(|(key, entry)| match look(&entry, depth + 1) {
            Ok(shape) => Ok((key.unbind(), shape)),
            Err(deep) => Err(deep.under(format!(".{}", shown(&key)))),
        });
        let shapes = shapes.filter(|found| found.as_ref().map_or(true, |(_, shape)| !shape.is_same()));
        Ok(Shape::Dict(entries.clone().unbind(), shapes.collect::<Result<_, _>>()?))
    } else if let Ok(items) = value.cast_exact::<PyList>() {
        let mut shapes = Vec::new();
        for (index, item) in items.iter().enumerate().filter(|(_, item)| !is_plain(item)) {
            let shape = look(&item, depth + 1).map_err(|deep| deep.under(format!("[{index}]")))?;
            if !shape.is_same() {
                shapes.push((index, shape));
            }
        }
        Ok(Shape::List(items.clone().unbind(), shapes))
    } else if let Ok(items) = value.cast_exact::<PyTuple>() {
        let mut shapes = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            shapes.push(look(&item, depth + 1).map_err(|deep| deep.under(format!("[{index}]")))?);
        }
        let same = shapes.iter().all(Shape::is_same);
        Ok(if same { Shape::Same(value.clone().unbind()) } else { Shape::Tuple(shapes) })
    } else {
        Ok(Shape::Other(value.clone().unbind()))
    }
}

/// What cannot change and holds nothing that can.
fn is_plain(value: &Bound<'_, PyAny>) -> bool {
    value.is_exact_instance_of::<PyString>()
        || value.is_exact_instance_of::<PyInt>()
        || value.is_exact_instance_of::<PyFloat>()
        || value.is_none()
        || value.is_exact_instance_of::<PyBool>()
        || value.is_exact_instance_of::<PyBytes>()
        || value.is_exact_instance_of::<PyComplex>()
}

fn shown(key: &Bound<'_, PyAny>) -> String {
    key.str().map_or_else(|_| "?".into(), |text| text.to_string_lossy().into_owned())
}
