//! The standard library's types, those that a program registered, and the refusal of everything else.

use pyo3::prelude::*;
use pyo3::types::{IntoPyDict, PyBytes, PyString, PyTuple, PyType};

use super::from_python::{sequence, string, write as write_value};
use super::place::{Place, Step, type_name};
use super::registered;
use super::types::Types;
use crate::rollback::{Writer, tag};

pub(super) fn write(out: &mut Writer, object: &Bound<'_, PyAny>, place: &Place<'_>) -> PyResult<()> {
    let types = Types::get(object.py())?;
    let is = |class: &Py<PyType>| object.get_type().is(class);
    if is(&types.date_time) {
        moment(out, tag::DATE_TIME, object, types, place)
    } else if is(&types.time) {
        moment(out, tag::TIME, object, types, place)
    } else if is(&types.date) {
        text(out, tag::DATE, &object.call_method0("isoformat")?, place)
    } else if is(&types.decimal) {
        text(out, tag::DECIMAL, object.str()?.as_any(), place)
    } else if is(&types.path) {
        text(out, tag::PATH, object.str()?.as_any(), place)
    } else if is(&types.uuid) {
        out.tag(tag::UUID);
        out.bytes(object.getattr("bytes")?.cast::<PyBytes>()?.as_bytes());
        Ok(())
    } else if is(&types.duration) {
        out.tag(tag::DURATION);
        out.list(3);
        for name in ["days", "seconds", "microseconds"] {
            out.int(object.getattr(name)?.extract()?);
        }
        Ok(())
    } else if is(&types.complex) {
        out.tag(tag::COMPLEX);
        out.list(2);
        out.float(object.getattr("real")?.extract()?);
        out.float(object.getattr("imag")?.extract()?);
        Ok(())
    } else {
        containers(out, object, types, place)
    }
}

fn containers(out: &mut Writer, object: &Bound<'_, PyAny>, types: &Types, place: &Place<'_>) -> PyResult<()> {
    let is = |class: &Py<PyType>| object.get_type().is(class);
    if is(&types.deque) {
        out.tag(tag::DEQUE);
        out.list(2);
        write_value(out, &object.getattr("maxlen")?, place)?;
        let items = object.try_iter()?.collect::<PyResult<Vec<_>>>()?;
        sequence(out, items.len(), items.into_iter(), place)
    } else if is(&types.ordered_dict) {
        // Its own order, which `move_to_end` may have changed behind the back of the dict below.
        let entries = object.call_method0("items")?.try_iter()?.collect::<PyResult<Vec<_>>>()?;
        out.tag(tag::ORDERED_DICT);
        out.map(entries.len());
        for entry in entries {
            let (key, value): (Bound<'_, PyAny>, Bound<'_, PyAny>) = entry.extract()?;
            let Ok(name) = key.cast_exact::<PyString>() else {
                let what = format!("key {} is {}; keys must be str to be stored", key.repr()?, type_name(&key));
                return Err(place.refuse(what));
            };
            let name = string(name, place)?;
            out.text(name);
            write_value(out, &value, &place.into(Step::Key(name)))?;
        }
        Ok(())
    } else {
        registered::write(out, object, place)
    }
}

fn text(out: &mut Writer, tag: u8, text: &Bound<'_, PyAny>, place: &Place<'_>) -> PyResult<()> {
    out.tag(tag);
    out.text(string(text.cast::<PyString>()?, place)?);
    Ok(())
}

fn moment(out: &mut Writer, tag: u8, object: &Bound<'_, PyAny>, types: &Types, place: &Place<'_>) -> PyResult<()> {
    let bare = [("tzinfo", object.py().None())].into_py_dict(object.py())?;
    let naive = object.call_method("replace", (), Some(&bare))?.call_method0("isoformat")?;
    out.tag(tag);
    out.list(4);
    out.text(string(naive.cast::<PyString>()?, place)?);
    out.boolean(object.getattr("fold")?.extract::<u8>()? == 1);
    zone(out, &object.getattr("tzinfo")?, types, place)
}

/// Two values: microseconds from UTC and a name; none of both for no zone, only a name for one of the IANA database.
fn zone(out: &mut Writer, info: &Bound<'_, PyAny>, types: &Types, place: &Place<'_>) -> PyResult<()> {
    if info.is_none() {
        out.none();
        out.none();
        return Ok(());
    }
    if info.get_type().is(&types.named_zone)
        && let Ok(key) = info.getattr("key")?.extract::<String>()
    {
        // One that was read from a file says here that its key leads to no data, or to other data.
        if info.call_method0("__reduce__").is_err() {
            let what =
                format!("time zone {key} was read from a file; use ZoneInfo({key:?}) to have it stored by its key");
            return Err(place.refuse(what));
        }
        out.none();
        out.text(&key);
        return Ok(());
    }
    if !info.get_type().is(&types.fixed_zone) {
        return Err(place.refuse(format!("time zone {} cannot be stored; use timezone or ZoneInfo", type_name(info))));
    }
    // `timezone` gives its arguments away for pickling only; nothing is pickled here.
    let arguments = info.call_method0("__getinitargs__")?.cast_into::<PyTuple>()?;
    let offset = arguments.get_item(0)?;
    let part = |name: &str| offset.getattr(name)?.extract::<i64>();
    out.int((part("days")? * 86_400 + part("seconds")?) * 1_000_000 + part("microseconds")?);
    match arguments.get_item(1) {
        Ok(name) => out.text(string(name.cast::<PyString>()?, place)?),
        Err(_) => out.none(),
    }
    Ok(())
}
