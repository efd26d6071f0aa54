//! `Value` to Python. What was read from a store is still untrusted: a text that is no date is damage.

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyComplex, PyDict, PyFrozenSet, PyInt, PyList, PySet, PyTuple};

use super::super::error::raise;
use super::types::Types;
use crate::rollback::{Value, Zone};

/// A fresh Python object for `value`.
pub(in super::super) fn from_value<'py>(py: Python<'py>, value: &Value) -> PyResult<Bound<'py, PyAny>> {
    Ok(match value {
        Value::None => py.None().into_bound(py),
        Value::Bool(flag) => flag.into_pyobject(py)?.to_owned().into_any(),
        Value::Int(number) => number.into_pyobject(py)?.into_any(),
        Value::Float(number) => number.into_pyobject(py)?.into_any(),
        Value::Str(text) => text.into_pyobject(py)?.into_any(),
        Value::Bytes(bytes) => PyBytes::new(py, bytes).into_any(),
        Value::List(items) => PyList::new(py, all(py, items)?)?.into_any(),
        Value::Tuple(items) => PyTuple::new(py, all(py, items)?)?.into_any(),
        Value::Set(items) => PySet::new(py, all(py, items)?)?.into_any(),
        Value::FrozenSet(items) => PyFrozenSet::new(py, all(py, items)?)?.into_any(),
        Value::Dict(entries) => dict(py, entries)?.into_any(),
        Value::Complex(real, imaginary) => PyComplex::from_doubles(py, *real, *imaginary).into_any(),
        other => {
            library(py, other).map_err(|error| raise("StoreCorrupt", format!("stored state is damaged: {error}")))?
        }
    })
}

fn all<'py>(py: Python<'py>, items: &[Value]) -> PyResult<Vec<Bound<'py, PyAny>>> {
    items.iter().map(|item| from_value(py, item)).collect()
}

fn dict<'py>(py: Python<'py>, entries: &[(String, Value)]) -> PyResult<Bound<'py, PyDict>> {
    let object = PyDict::new(py);
    for (key, value) in entries {
        object.set_item(key, from_value(py, value)?)?;
    }
    Ok(object)
}

fn library<'py>(py: Python<'py>, value: &Value) -> PyResult<Bound<'py, PyAny>> {
    let types = Types::get(py)?;
    match value {
        Value::BigInt(bytes) => big_int(py, bytes),
        Value::DateTime(text, fold, zone) => moment(types.date_time.bind(py), text, *fold, zone, types),
        Value::Time(text, fold, zone) => moment(types.time.bind(py), text, *fold, zone, types),
        Value::Date(text) => types.date.bind(py).call_method1("fromisoformat", (text,)),
        Value::Duration(days, seconds, micros) => types.duration.bind(py).call1((days, seconds, micros)),
        Value::Decimal(text) => types.decimal.bind(py).call1((text,)),
        Value::Path(text) => types.path.bind(py).call1((text,)),
        Value::Uuid(bytes) => {
            let arguments = PyDict::new(py);
            arguments.set_item("bytes", PyBytes::new(py, bytes))?;
            types.uuid.bind(py).call((), Some(&arguments))
        }
        plain => from_value(py, plain),
    }
}

fn big_int<'py>(py: Python<'py>, bytes: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    let signed = PyDict::new(py);
    signed.set_item("signed", true)?;
    py.get_type::<PyInt>().call_method("from_bytes", (PyBytes::new(py, bytes), "little"), Some(&signed))
}

fn moment<'py>(
    class: &Bound<'py, pyo3::types::PyType>,
    text: &str,
    fold: bool,
    zone: &Zone,
    types: &Types,
) -> PyResult<Bound<'py, PyAny>> {
    let py = class.py();
    let changes = PyDict::new(py);
    changes.set_item("fold", u8::from(fold))?;
    changes.set_item("tzinfo", time_zone(py, zone, types)?)?;
    class.call_method1("fromisoformat", (text,))?.call_method("replace", (), Some(&changes))
}

fn time_zone<'py>(py: Python<'py>, zone: &Zone, types: &Types) -> PyResult<Bound<'py, PyAny>> {
    let offset = |micros: &i64| types.duration.bind(py).call1((0, 0, *micros));
    match zone {
        Zone::Naive => Ok(py.None().into_bound(py)),
        Zone::Fixed(micros, None) => types.fixed_zone.bind(py).call1((offset(micros)?,)),
        Zone::Fixed(micros, Some(name)) => types.fixed_zone.bind(py).call1((offset(micros)?, name)),
        Zone::Named(key) => types.named_zone.bind(py).call1((key,)),
    }
}
