//! What validation rules see of a Python output, and configuration values as JSON.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple};

use crate::rollback::MAX_NESTING;
use crate::validation::Observed;

/// How deep a schema may nest: it is read by recursion.
const MAX_SCHEMA: usize = 64;

/// Looks at `object` as JSON would; other types keep their name. Deeper than snapshots nest is `Other`.
///
/// Never fails, whatever the object does when it is asked: an output is somebody else's.
pub(in super::super) fn observe(object: &Bound<'_, PyAny>) -> Observed {
    look(object, 0)
}

fn look(object: &Bound<'_, PyAny>, depth: usize) -> Observed {
    if depth > MAX_NESTING {
        return Observed::Other(format!("data nested deeper than {MAX_NESTING}"));
    }
    if object.is_none() {
        Observed::Null
    } else if let Ok(flag) = object.cast::<PyBool>() {
        Observed::Bool(flag.is_true())
    } else if object.is_instance_of::<PyInt>() {
        whole(object).map_or_else(|_| other(object), Observed::Integer)
    } else if let Ok(number) = object.cast::<PyFloat>() {
        Observed::Number(number.value())
    } else if let Ok(text) = object.cast::<PyString>() {
        Observed::String(text.to_string_lossy().into_owned())
    } else {
        containers(object, depth)
    }
}

/// An integer beyond a float's range compares as infinite, on the right side.
fn whole(object: &Bound<'_, PyAny>) -> PyResult<f64> {
    match object.extract::<f64>() {
        Ok(number) => Ok(number),
        Err(_) if object.lt(0)? => Ok(f64::NEG_INFINITY),
        Err(_) => Ok(f64::INFINITY),
    }
}

fn other(object: &Bound<'_, PyAny>) -> Observed {
    Observed::Other(object.get_type().qualname().map_or_else(|_| "unnamed type".into(), |name| name.to_string()))
}

fn containers(object: &Bound<'_, PyAny>, depth: usize) -> Observed {
    if let Ok(entries) = object.cast::<PyDict>() {
        // A rule names a text; a key of another type that reads the same must not stand before it.
        let (named, others): (Vec<_>, Vec<_>) = entries.iter().partition(|(key, _)| key.is_instance_of::<PyString>());
        let look_at = |(key, value): (Bound<'_, PyAny>, Bound<'_, PyAny>)| (name(&key), look(&value, depth + 1));
        Observed::Object(named.into_iter().chain(others).map(look_at).collect())
    } else if let Ok(items) = object.cast::<PyList>() {
        Observed::Array(items.iter().map(|item| look(&item, depth + 1)).collect())
    } else if let Ok(items) = object.cast::<PyTuple>() {
        Observed::Array(items.iter().map(|item| look(&item, depth + 1)).collect())
    } else {
        other(object)
    }
}

fn name(key: &Bound<'_, PyAny>) -> String {
    match key.cast::<PyString>() {
        Ok(text) => text.to_string_lossy().into_owned(),
        Err(_) => key.str().map_or_else(|_| other(key).show(), |text| text.to_string_lossy().into_owned()),
    }
}

/// A small configuration value as JSON. The only place that uses pythonize; outputs never go through it.
pub(in super::super) fn json(object: &Bound<'_, PyAny>) -> PyResult<serde_json::Value> {
    if deeper(object, MAX_SCHEMA) {
        let told =
            format!("the schema nests deeper than {MAX_SCHEMA}, or contains itself; use a Pydantic model for that");
        return Err(PyValueError::new_err(told));
    }
    pythonize::depythonize(object).map_err(|error| PyValueError::new_err(format!("the schema is not JSON: {error}")))
}

fn deeper(object: &Bound<'_, PyAny>, levels: usize) -> bool {
    let next = |inner: &Bound<'_, PyAny>| levels == 0 || deeper(inner, levels - 1);
    if let Ok(entries) = object.cast::<PyDict>() {
        entries.iter().any(|(_, value)| next(&value))
    } else if let Ok(items) = object.cast::<PyList>() {
        items.iter().any(|item| next(&item))
    } else if let Ok(items) = object.cast::<PyTuple>() {
        items.iter().any(|item| next(&item))
    } else {
        false
    }
}
