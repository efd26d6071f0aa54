//! Instances of classes that a program registered, and the refusal of those that it did not.

use pyo3::exceptions::PyException;
use pyo3::prelude::*;

use super::from_python::write as write_value;
use super::place::{Place, Step, Trial, type_name};
use super::to_python::read;
use super::types::Types;
use crate::rollback::{Writer, tag};

/// `hagane.rollback.registry` knows what a class is called in stores and how it is taken apart.
pub(super) fn write(out: &mut Writer, object: &Bound<'_, PyAny>, place: &Place<'_>) -> PyResult<()> {
    let taken = Types::take_apart(object.py())?.call1((object,)).map_err(|error| refusal(object, place, error))?;
    if taken.is_none() {
        return Err(unknown(object, place));
    }
    let (name, content, kind): (String, Bound<'_, PyAny>, String) = taken.extract()?;
    let start = out.len();
    out.tag(tag::OBJECT);
    out.list(2);
    out.text(&name);
    let step = match kind.as_str() {
        "kept" => Step::Kept,
        "model" => Step::Groups,
        _ => Step::Content,
    };
    write_value(out, &content, &place.into(step))?;
    if place.trial == Trial::Within || matches!(kind.as_str(), "exact" | "kept") {
        return Ok(());
    }
    attempt(out.since(start), object, place)
}

/// Makes the object once, from what was written and on a copy: nothing is acknowledged that its class would refuse or
/// change when it is loaded.
fn attempt(written: &[u8], object: &Bound<'_, PyAny>, place: &Place<'_>) -> PyResult<()> {
    let Err(fault) = compare(written, object, place) else { return Ok(()) };
    if place.trial == Trial::Outermost {
        // Whoever is to blame may be deep within.
        write(&mut Writer::new(), object, &place.trying(Trial::Each))?;
    }
    Err(fault)
}

fn compare(written: &[u8], object: &Bound<'_, PyAny>, place: &Place<'_>) -> PyResult<()> {
    let py = object.py();
    // What the class raised says more than what a load would make of it.
    let made = read(py, written).map_err(|error| refusal(object, place, error.cause(py).unwrap_or(error)))?;
    let mut again = Writer::new();
    write(&mut again, &made, &place.trying(Trial::Within))?;
    if again.since(0) == written {
        return Ok(());
    }
    match Types::unlike(py)?.call1((object, made))?.extract::<Option<String>>()? {
        None => Ok(()),
        Some(difference) => {
            let what = "its class makes another value of what it holds";
            Err(place.refuse(format!("{} cannot be stored: {what}: {difference}", type_name(object))))
        }
    }
}

/// What the class raised is the reason, save what is no error, such as KeyboardInterrupt.
fn refusal(object: &Bound<'_, PyAny>, place: &Place<'_>, error: PyErr) -> PyErr {
    if !error.is_instance_of::<PyException>(object.py()) {
        return error;
    }
    let refused = place.refuse(format!("{} cannot be stored: {}", type_name(object), error.value(object.py())));
    refused.set_cause(object.py(), Some(error));
    refused
}

fn unknown(object: &Bound<'_, PyAny>, place: &Place<'_>) -> PyErr {
    let known = "None, bool, int, float, complex, str, bytes, bytearray, list, tuple, dict, set, frozenset, deque, \
                 OrderedDict, datetime, date, time, timedelta, Decimal, UUID, Path, a numpy array";
    place.refuse(format!(
        "{} cannot be stored without loss; convert it to one of {known}, or register its class \
         (hagane.rollback.register)",
        type_name(object)
    ))
}
