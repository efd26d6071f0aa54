//! Python objects straight to stored bytes; whatever cannot come back exactly is refused with its path.

use pyo3::prelude::*;
use pyo3::types::{
    PyBool, PyByteArray, PyBytes, PyDict, PyFloat, PyFrozenSet, PyInt, PyList, PySet, PyString, PyTuple,
};

use super::library;
use super::place::{Place, Step, type_name};
use crate::rollback::{MAX_NESTING, Writer, tag};

/// The stored form of `object`. `root` is the first word of the path in messages.
pub(in super::super) fn encode(object: &Bound<'_, PyAny>, root: &str) -> PyResult<Writer> {
    let mut out = Writer::new();
    write(&mut out, object, &Place::root(root))?;
    Ok(out)
}

pub(super) fn write(out: &mut Writer, object: &Bound<'_, PyAny>, place: &Place<'_>) -> PyResult<()> {
    if place.depth > MAX_NESTING {
        let what = format!("nested deeper than {MAX_NESTING} levels, or it contains itself; store a flatter form");
        return Err(place.refuse(what));
    }
    // The commonest kinds first: this is the hot path of every snapshot.
    if let Ok(text) = object.cast_exact::<PyString>() {
        out.text(string(text, place)?);
    } else if object.is_exact_instance_of::<PyInt>() {
        int(out, object)?;
    } else if let Ok(number) = object.cast_exact::<PyFloat>() {
        out.float(number.value());
    } else if object.is_none() {
        out.none();
    } else if let Ok(flag) = object.cast_exact::<PyBool>() {
        out.boolean(flag.is_true());
    } else if let Ok(entries) = object.cast_exact::<PyDict>() {
        dict(out, entries, place)?;
    } else if let Ok(items) = object.cast_exact::<PyList>() {
        let length = items.len();
        sequence(out, length, items.iter(), place)?;
        unchanged(items.len() == length, place)?;
    } else if let Ok(items) = object.cast_exact::<PyTuple>() {
        out.tag(tag::TUPLE);
        sequence(out, items.len(), items.iter(), place)?;
    } else {
        rarer(out, object, place)?;
    }
    Ok(())
}

fn rarer(out: &mut Writer, object: &Bound<'_, PyAny>, place: &Place<'_>) -> PyResult<()> {
    if let Ok(bytes) = object.cast_exact::<PyBytes>() {
        out.bytes(bytes.as_bytes());
    } else if let Ok(items) = object.cast_exact::<PySet>() {
        set(out, tag::SET, items, place)?;
    } else if let Ok(items) = object.cast_exact::<PyFrozenSet>() {
        set(out, tag::FROZEN_SET, items, place)?;
    } else if let Ok(bytes) = object.cast_exact::<PyByteArray>() {
        out.tag(tag::BYTE_ARRAY);
        out.bytes(&bytes.to_vec());
    } else {
        library::write(out, object, place)?;
    }
    Ok(())
}

/// Lone surrogates have no UTF-8 and would not come back.
pub(super) fn string<'a>(text: &'a Bound<'_, PyString>, place: &Place<'_>) -> PyResult<&'a str> {
    text.to_str().map_err(|_| place.refuse("str with a lone surrogate cannot be stored; encode it to bytes"))
}

fn int(out: &mut Writer, object: &Bound<'_, PyAny>) -> PyResult<()> {
    if let Ok(number) = object.extract::<i64>() {
        out.int(number);
        return Ok(());
    }
    let bits: usize = object.call_method0("bit_length")?.extract()?;
    let signed = PyDict::new(object.py());
    signed.set_item("signed", true)?;
    let bytes = object.call_method("to_bytes", (bits / 8 + 1, "little"), Some(&signed))?;
    out.tag(tag::BIG_INT);
    out.bytes(bytes.cast::<PyBytes>()?.as_bytes());
    Ok(())
}

/// `length` items, no more and no fewer: a class's own code may change the container while it is read.
pub(super) fn sequence<'py>(
    out: &mut Writer,
    length: usize,
    items: impl Iterator<Item = Bound<'py, PyAny>>,
    place: &Place<'_>,
) -> PyResult<()> {
    out.list(length);
    let mut count = 0;
    for (index, item) in items.enumerate() {
        write(out, &item, &place.into(Step::Index(index)))?;
        count += 1;
    }
    unchanged(count == length, place)
}

fn set(out: &mut Writer, tag: u8, items: &Bound<'_, PyAny>, place: &Place<'_>) -> PyResult<()> {
    let mut encoded = Vec::new();
    for item in items.try_iter()? {
        let mut one = Writer::new();
        write(&mut one, &item?, &place.into(Step::Element))?;
        encoded.push(one);
    }
    out.tag(tag);
    out.sorted(encoded);
    Ok(())
}

pub(super) fn dict(out: &mut Writer, entries: &Bound<'_, PyDict>, place: &Place<'_>) -> PyResult<()> {
    let length = entries.len();
    out.map(length);
    let mut count = 0;
    // Never beyond its length: asking a changed dict for more is a panic.
    let mut items = entries.iter();
    while count < length && entries.len() == length {
        let Some((key, value)) = items.next() else { break };
        let Ok(name) = key.cast_exact::<PyString>() else {
            let what = format!("key {} is {}; keys must be str to be stored", key.repr()?, type_name(&key));
            return Err(place.refuse(what));
        };
        let name = string(name, place)?;
        out.text(name);
        write(out, &value, &place.into(Step::Key(name)))?;
        count += 1;
    }
    unchanged(count == length && entries.len() == length, place)
}

fn unchanged(fits: bool, place: &Place<'_>) -> PyResult<()> {
    if fits { Ok(()) } else { Err(place.refuse("it changed its length while it was stored")) }
}
