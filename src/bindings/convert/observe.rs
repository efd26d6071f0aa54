//! What validation rules see of a Python output, and configuration values as JSON.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple};

use crate::rollback::MAX_NESTING;
use crate::validation::Observed;

/// Looks at `object` as JSON would; other types keep their name. Deeper than snapshots nest is `Other`.
pub(in super::super) fn observe(object: &Bound<'_, PyAny>) -> PyResult<Observed> {
    look(object, 0)
}

fn look(object: &Bound<'_, PyAny>, depth: usize) -> PyResult<Observed> {
    if depth > MAX_NESTING {
        return Ok(Observed::Other(format!("data nested deeper than {MAX_NESTING}")));
    }
    if object.is_none() {
        Ok(Observed::Null)
    } else if let Ok(flag) = object.cast::<PyBool>() {
        Ok(Observed::Bool(flag.is_true()))
    } else if object.is_instance_of::<PyInt>() {
        // An integer beyond a float's range compares as infinite, on the right side.
        let negative = || -> PyResult<bool> { object.lt(0) };
        let number = object.extract::<f64>();
        Ok(Observed::Integer(match number {
            Ok(number) => number,
            Err(_) if negative()? => f64::NEG_INFINITY,
            Err(_) => f64::INFINITY,
        }))
    } else if let Ok(number) = object.cast::<PyFloat>() {
        Ok(Observed::Number(number.value()))
    } else if let Ok(text) = object.cast::<PyString>() {
        Ok(Observed::String(text.to_string_lossy().into_owned()))
    } else {
        containers(object, depth)
    }
}

fn containers(object: &Bound<'_, PyAny>, depth: usize) -> PyResult<Observed> {
    if let Ok(entries) = object.cast::<PyDict>() {
        let look_at = |(key, value): (Bound<'_, PyAny>, Bound<'_, PyAny>)| {
            Ok((key.str()?.to_string_lossy().into_owned(), look(&value, depth + 1)?))
        };
        Ok(Observed::Object(entries.iter().map(look_at).collect::<PyResult<_>>()?))
    } else if let Ok(items) = object.cast::<PyList>() {
        Ok(Observed::Array(items.iter().map(|item| look(&item, depth + 1)).collect::<PyResult<_>>()?))
    } else if let Ok(items) = object.cast::<PyTuple>() {
        Ok(Observed::Array(items.iter().map(|item| look(&item, depth + 1)).collect::<PyResult<_>>()?))
    } else {
        Ok(Observed::Other(object.get_type().qualname()?.to_string()))
    }
}

/// A small configuration value as JSON. The only place that uses pythonize; outputs never go through it.
pub(in super::super) fn json(object: &Bound<'_, PyAny>) -> PyResult<serde_json::Value> {
    pythonize::depythonize(object).map_err(|error| PyValueError::new_err(format!("the schema is not JSON: {error}")))
}
