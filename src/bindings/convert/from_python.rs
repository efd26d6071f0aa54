//! Python to `Value`; whatever cannot come back exactly is refused with its path.

use std::fmt;

use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyDict, PyFloat, PyFrozenSet, PyInt, PyList, PySet, PyString, PyTuple, PyType};

use super::super::error::raise;
use super::types::Types;
use crate::rollback::{MAX_NESTING, Value, Zone};

/// The core value of `object`. `root` is the first word of the path in messages.
pub(in super::super) fn to_value(object: &Bound<'_, PyAny>, root: &str) -> PyResult<Value> {
    convert(object, &Place { parent: None, step: Step::Root(root), depth: 0 })
}

/// Where a value stands; written out only when something is wrong.
struct Place<'a> {
    parent: Option<&'a Place<'a>>,
    step: Step<'a>,
    depth: usize,
}

#[derive(Clone, Copy)]
enum Step<'a> {
    Root(&'a str),
    Key(&'a str),
    Index(usize),
    Element,
}

impl<'a> Place<'a> {
    fn into(&'a self, step: Step<'a>) -> Place<'a> {
        Place { parent: Some(self), step, depth: self.depth + 1 }
    }

    fn refuse(&self, what: impl fmt::Display) -> PyErr {
        raise("SnapshotError", format!("{self}: {what}"))
    }
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent {
            parent.fmt(out)?;
        }
        match self.step {
            Step::Root(name) => out.write_str(name),
            Step::Key(key) if self.parent.is_some_and(|parent| !parent.is_nameless()) => write!(out, ".{key}"),
            Step::Key(key) => out.write_str(key),
            Step::Index(index) => write!(out, "[{index}]"),
            Step::Element => out.write_str("{}"),
        }
    }
}

impl Place<'_> {
    fn is_nameless(&self) -> bool {
        matches!(self.step, Step::Root(""))
    }
}

fn convert(object: &Bound<'_, PyAny>, place: &Place<'_>) -> PyResult<Value> {
    if place.depth > MAX_NESTING {
        let what = format!("nested deeper than {MAX_NESTING} levels, or it contains itself; store a flatter form");
        return Err(place.refuse(what));
    }
    if object.is_none() {
        Ok(Value::None)
    } else if let Ok(flag) = object.cast_exact::<PyBool>() {
        Ok(Value::Bool(flag.is_true()))
    } else if let Ok(text) = object.cast_exact::<PyString>() {
        Ok(Value::Str(string(text, place)?))
    } else if object.is_exact_instance_of::<PyInt>() {
        int(object)
    } else if let Ok(number) = object.cast_exact::<PyFloat>() {
        Ok(Value::Float(number.value()))
    } else if let Ok(entries) = object.cast_exact::<PyDict>() {
        dict(entries, place)
    } else if let Ok(items) = object.cast_exact::<PyList>() {
        Ok(Value::List(
            items
                .iter()
                .enumerate()
                .map(|(index, item)| convert(&item, &place.into(Step::Index(index))))
                .collect::<PyResult<_>>()?,
        ))
    } else if let Ok(items) = object.cast_exact::<PyTuple>() {
        Ok(Value::Tuple(
            items
                .iter()
                .enumerate()
                .map(|(index, item)| convert(&item, &place.into(Step::Index(index))))
                .collect::<PyResult<_>>()?,
        ))
    } else if let Ok(bytes) = object.cast_exact::<PyBytes>() {
        Ok(Value::Bytes(bytes.as_bytes().to_vec()))
    } else if let Ok(items) = object.cast_exact::<PySet>() {
        Ok(Value::Set(items.iter().map(|item| convert(&item, &place.into(Step::Element))).collect::<PyResult<_>>()?))
    } else if let Ok(items) = object.cast_exact::<PyFrozenSet>() {
        let items = items.iter().map(|item| convert(&item, &place.into(Step::Element)));
        Ok(Value::FrozenSet(items.collect::<PyResult<_>>()?))
    } else {
        library(object, place)
    }
}

/// Lone surrogates have no UTF-8 and would not come back.
fn string(text: &Bound<'_, PyString>, place: &Place<'_>) -> PyResult<String> {
    text.to_str()
        .map(str::to_owned)
        .map_err(|_| place.refuse("str with a lone surrogate cannot be stored; encode it to bytes"))
}

fn int(object: &Bound<'_, PyAny>) -> PyResult<Value> {
    if let Ok(number) = object.extract::<i64>() {
        return Ok(Value::Int(number));
    }
    let bits: usize = object.call_method0("bit_length")?.extract()?;
    let signed = PyDict::new(object.py());
    signed.set_item("signed", true)?;
    let bytes = object.call_method("to_bytes", (bits / 8 + 1, "little"), Some(&signed))?;
    Ok(Value::BigInt(bytes.extract()?))
}

fn dict(entries: &Bound<'_, PyDict>, place: &Place<'_>) -> PyResult<Value> {
    let mut converted = Vec::with_capacity(entries.len());
    for (key, value) in entries.iter() {
        let Ok(name) = key.cast_exact::<PyString>() else {
            let what = format!("key {} is {}; keys must be str to be stored", key.repr()?, type_name(&key));
            return Err(place.refuse(what));
        };
        let name = string(name, place)?;
        let value = convert(&value, &place.into(Step::Key(&name)))?;
        converted.push((name, value));
    }
    Ok(Value::Dict(converted))
}

/// The standard library's types, and the refusal of everything else.
fn library(object: &Bound<'_, PyAny>, place: &Place<'_>) -> PyResult<Value> {
    let types = Types::get(object.py())?;
    let is = |class: &Py<PyType>| object.get_type().is(class);
    if is(&types.date_time) {
        let (text, fold, zone) = moment(object, types, place)?;
        Ok(Value::DateTime(text, fold, zone))
    } else if is(&types.time) {
        let (text, fold, zone) = moment(object, types, place)?;
        Ok(Value::Time(text, fold, zone))
    } else if is(&types.date) {
        Ok(Value::Date(text_of(object, "isoformat")?))
    } else if is(&types.duration) {
        let part = |name: &str| object.getattr(name)?.extract::<i64>();
        Ok(Value::Duration(part("days")?, part("seconds")?, part("microseconds")?))
    } else if is(&types.decimal) {
        Ok(Value::Decimal(object.str()?.to_string()))
    } else if is(&types.uuid) {
        Ok(Value::Uuid(object.getattr("bytes")?.extract()?))
    } else if is(&types.path) {
        Ok(Value::Path(string(&object.str()?, place)?))
    } else if is(&types.complex) {
        Ok(Value::Complex(object.getattr("real")?.extract()?, object.getattr("imag")?.extract()?))
    } else {
        let known = "None, bool, int, float, complex, str, bytes, list, tuple, dict, set, frozenset, datetime, Decimal, UUID, Path";
        Err(place.refuse(format!("{} cannot be stored without loss; convert it to one of {known}", type_name(object))))
    }
}

fn moment(object: &Bound<'_, PyAny>, types: &Types, place: &Place<'_>) -> PyResult<(String, bool, Zone)> {
    let zone = zone(&object.getattr("tzinfo")?, types, place)?;
    let bare = [("tzinfo", object.py().None())];
    let naive = object.call_method("replace", (), Some(&pyo3::types::IntoPyDict::into_py_dict(bare, object.py())?))?;
    let fold: u8 = object.getattr("fold")?.extract()?;
    Ok((text_of(&naive, "isoformat")?, fold == 1, zone))
}

fn zone(info: &Bound<'_, PyAny>, types: &Types, place: &Place<'_>) -> PyResult<Zone> {
    if info.is_none() {
        return Ok(Zone::Naive);
    }
    if info.get_type().is(&types.named_zone)
        && let Ok(key) = info.getattr("key")?.extract::<String>()
    {
        return Ok(Zone::Named(key));
    }
    if !info.get_type().is(&types.fixed_zone) {
        return Err(place.refuse(format!("time zone {} cannot be stored; use timezone or ZoneInfo", type_name(info))));
    }
    // `timezone` gives its arguments away for pickling only; nothing is pickled here.
    let arguments = info.call_method0("__getinitargs__")?;
    let offset = arguments.get_item(0)?;
    let part = |name: &str| offset.getattr(name)?.extract::<i64>();
    let micros = (part("days")? * 86_400 + part("seconds")?) * 1_000_000 + part("microseconds")?;
    let name = if arguments.len()? > 1 { Some(arguments.get_item(1)?.extract()?) } else { None };
    Ok(Zone::Fixed(micros, name))
}

fn text_of(object: &Bound<'_, PyAny>, method: &str) -> PyResult<String> {
    object.call_method0(method)?.extract()
}

fn type_name(object: &Bound<'_, PyAny>) -> String {
    object.get_type().qualname().map_or_else(|_| "an object".into(), |name| name.to_string())
}
