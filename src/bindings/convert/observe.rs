//! What validation rules see of a Python object.

use std::collections::HashSet;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBool, PyBytes, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple};

use crate::rollback::MAX_NESTING;
use crate::validation::{Observed, Whole};

/// How deep a schema may nest: it is read by recursion.
const MAX_SCHEMA: usize = 64;
/// How many values are looked at that stand in containers which were looked at before. Few containers that hold each
/// other several times are a tree without end.
const MAX_REPEATED: usize = 1_000_000;

/// Looks at `object` as JSON would. Models, dataclasses and mappings are objects, a Decimal is a number; other types
/// keep their name. Deeper than snapshots nest is `Other`.
///
/// Never fails, whatever the object does when it is asked: an output is somebody else's.
pub(in super::super) fn observe(object: &Bound<'_, PyAny>) -> Observed {
    Looker { met: HashSet::new(), kept: Vec::new(), repeats: false, repeated: 0 }.look(object, 0)
}

/// A schema document, which is read like an output, but must be JSON.
pub(in super::super) fn schema(object: &Bound<'_, PyAny>) -> PyResult<Observed> {
    check_schema(object, MAX_SCHEMA)?;
    Ok(observe(object))
}

struct Looker<'py> {
    /// The addresses of the containers that were met.
    met: HashSet<usize>,
    /// What was made on the way: let go of, its address could be another's.
    kept: Vec<Bound<'py, PyAny>>,
    /// Whether this is inside of a container that was met before.
    repeats: bool,
    repeated: usize,
}

impl<'py> Looker<'py> {
    fn look(&mut self, object: &Bound<'py, PyAny>, depth: usize) -> Observed {
        self.repeated += usize::from(self.repeats);
        if depth > MAX_NESTING {
            return Observed::Other(format!("data nested deeper than {MAX_NESTING}"));
        }
        if self.repeated > MAX_REPEATED {
            return Observed::Other(format!("data that repeats itself more than {MAX_REPEATED} times"));
        }
        if object.is_none() {
            Observed::Null
        } else if let Ok(flag) = object.cast::<PyBool>() {
            Observed::Bool(flag.is_true())
        } else if let Ok(number) = object.cast::<PyInt>() {
            whole(number).map_or_else(|_| other(object), Observed::Integer)
        } else if let Ok(number) = object.cast::<PyFloat>() {
            Observed::Number(number.value())
        } else if let Ok(text) = object.cast::<PyString>() {
            Observed::String(text.to_string_lossy().into_owned())
        } else {
            let repeats = self.repeats;
            self.repeats |= !self.met.insert(object.as_ptr() as usize);
            let seen = self.container(object, depth);
            self.repeats = repeats;
            seen
        }
    }

    fn container(&mut self, object: &Bound<'py, PyAny>, depth: usize) -> Observed {
        if let Ok(entries) = object.cast::<PyDict>() {
            // A rule names a text; a key of another type that reads the same must not stand before it.
            let (named, others): (Vec<_>, Vec<_>) =
                entries.iter().partition(|(key, _)| key.is_instance_of::<PyString>());
            let entries = named.into_iter().chain(others);
            Observed::Object(entries.map(|(key, value)| (name(&key), self.look(&value, depth + 1))).collect())
        } else if let Ok(items) = object.cast::<PyList>() {
            Observed::Array(items.iter().map(|item| self.look(&item, depth + 1)).collect())
        } else if let Ok(items) = object.cast::<PyTuple>() {
            Observed::Array(items.iter().map(|item| self.look(&item, depth + 1)).collect())
        } else {
            match plain_form(object) {
                Ok(Some(plain)) => {
                    self.kept.push(plain.clone());
                    self.look(&plain, depth + 1)
                }
                _ => other(object),
            }
        }
    }
}

/// Read past whatever a class of its own says of itself.
fn whole(number: &Bound<'_, PyInt>) -> PyResult<Whole> {
    if let Ok(small) = number.extract::<i64>() {
        return Ok(Whole::from(small));
    }
    let class = number.py().get_type::<PyInt>();
    let bits: usize = class.call_method1("bit_length", (number,))?.extract()?;
    let size = class.call_method1("__abs__", (number,))?;
    let bytes = class.call_method1("to_bytes", (&size, bits / 8 + 1, "big"))?;
    let is_negative = class.call_method1("__lt__", (number, 0))?.is_truthy()?;
    Ok(Whole::new(is_negative, bytes.cast::<PyBytes>()?.as_bytes()))
}

fn other(object: &Bound<'_, PyAny>) -> Observed {
    Observed::Other(object.get_type().qualname().map_or_else(|_| "unnamed type".into(), |name| name.to_string()))
}

fn name(key: &Bound<'_, PyAny>) -> String {
    match key.cast::<PyString>() {
        Ok(text) => text.to_string_lossy().into_owned(),
        Err(_) => key.str().map_or_else(|_| other(key).show(), |text| text.to_string_lossy().into_owned()),
    }
}

/// `hagane.validation.plain.plain_form`: what a model, a dataclass or a mapping holds.
fn plain_form<'py>(object: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
    static FUNCTION: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let look_up = || PyResult::Ok(object.py().import("hagane.validation.plain")?.getattr("plain_form")?.unbind());
    let form = FUNCTION.get_or_try_init(object.py(), look_up)?.bind(object.py()).call1((object,))?;
    Ok(if form.is_none() { None } else { Some(form) })
}

fn check_schema(object: &Bound<'_, PyAny>, levels: usize) -> PyResult<()> {
    let check = |inner: &Bound<'_, PyAny>| if levels == 0 { Err(too_deep()) } else { check_schema(inner, levels - 1) };
    if let Ok(entries) = object.cast::<PyDict>() {
        entries.iter().try_for_each(|(key, value)| {
            if key.is_instance_of::<PyString>() { check(&value) } else { Err(strange_key(&key)) }
        })
    } else if let Ok(items) = object.cast::<PyList>() {
        items.iter().try_for_each(|item| check(&item))
    } else if let Ok(items) = object.cast::<PyTuple>() {
        items.iter().try_for_each(|item| check(&item))
    } else {
        Ok(())
    }
}

fn too_deep() -> PyErr {
    let told = format!("the schema nests deeper than {MAX_SCHEMA}, or contains itself; use a Pydantic model for that");
    PyValueError::new_err(told)
}

fn strange_key(key: &Bound<'_, PyAny>) -> PyErr {
    PyValueError::new_err(format!("the schema has a key of type {}; keywords and names are str", other(key).show()))
}
