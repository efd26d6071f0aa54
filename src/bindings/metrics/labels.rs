//! Label values as Python gives them: positional, by name, or in a mapping; anything that is no text is `str()` of it.

use std::borrow::Cow;
use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyMapping, PyString, PyTuple};

use crate::bindings::error::{metric_error, raise};
use crate::metrics::{Cell, Family, LabelSet, Series};

/// A text as Python has it; half a surrogate pair, which UTF-8 cannot hold, becomes U+FFFD (three of
/// them, one per byte), which no name may have.
#[derive(Default)]
pub(super) struct Text(pub(super) String);

impl FromPyObject<'_, '_> for Text {
    type Error = PyErr;

    fn extract(given: Borrowed<'_, '_, PyAny>) -> PyResult<Self> {
        Ok(Self(given.cast::<PyString>()?.to_string_lossy().into_owned()))
    }
}

/// What a metric is good for.
#[derive(Default)]
pub(super) struct Description(pub(super) String);

impl FromPyObject<'_, '_> for Description {
    type Error = PyErr;

    fn extract(given: Borrowed<'_, '_, PyAny>) -> PyResult<Self> {
        Text::extract(given).map(|Text(text)| Self(text)).map_err(|_| {
            let message = format!("the description must be text, not {}; label_names goes third", shown(given));
            raise("MetricError", message)
        })
    }
}

/// Upper bounds of a histogram.
pub(super) struct Buckets(pub(super) Vec<f64>);

impl FromPyObject<'_, '_> for Buckets {
    type Error = PyErr;

    fn extract(given: Borrowed<'_, '_, PyAny>) -> PyResult<Self> {
        given.extract().map(Self).map_err(|_: PyErr| {
            let message = format!("buckets must be numbers, upper bounds such as (0.1, 1, 10), not {}", shown(given));
            raise("MetricError", message)
        })
    }
}

/// As `repr()` shows it, or else its type; not more of it than a line has room for.
fn shown(given: Borrowed<'_, '_, PyAny>) -> String {
    let text = given.repr().map(|text| text.to_string_lossy().into_owned());
    let text = text.unwrap_or_else(|_| given.get_type().to_string());
    text.chars().take(80).collect()
}

/// Several of them.
pub(super) fn texts(given: Option<Vec<Text>>) -> Option<Vec<String>> {
    given.map(|texts| texts.into_iter().map(|Text(text)| text).collect())
}

/// The series of `labels(*values, **by_name)`: every label must be given, in one of the two ways.
pub(super) fn exact<C: Cell>(
    family: &Family<C>,
    values: &Bound<'_, PyTuple>,
    by_name: Option<&Bound<'_, PyDict>>,
) -> PyResult<Arc<Series<C>>> {
    let Some(by_name) = by_name.filter(|by_name| !by_name.is_empty()) else {
        let texts: Vec<String> = values.iter().map(|value| text(&value)).collect::<PyResult<_>>()?;
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        return family.series(LabelSet::Values(&texts)).map_err(metric_error);
    };
    if !values.is_empty() {
        return Err(raise("MetricError", "labels() takes values in order or by name, not both in one call"));
    }
    let pairs = by_name.iter().map(pair).collect::<PyResult<Vec<_>>>()?;
    family.series(LabelSet::Named(&borrowed(&pairs))).map_err(metric_error)
}

/// The series of AgentFlow's `labels={...}`, created if new.
pub(super) fn partial<C: Cell>(family: &Family<C>, labels: Option<&Bound<'_, PyAny>>) -> PyResult<Arc<Series<C>>> {
    let pairs = from_mapping(labels)?;
    family.series(LabelSet::Partial(&borrowed(&pairs))).map_err(metric_error)
}

/// The series of AgentFlow's `labels={...}` if it is there.
pub(super) fn find<C: Cell>(family: &Family<C>, labels: Option<&Bound<'_, PyAny>>) -> PyResult<Option<Arc<Series<C>>>> {
    let pairs = from_mapping(labels)?;
    family.find(LabelSet::Partial(&borrowed(&pairs))).map_err(metric_error)
}

pub(super) fn from_mapping(labels: Option<&Bound<'_, PyAny>>) -> PyResult<Vec<(String, String)>> {
    let Some(labels) = labels else { return Ok(Vec::new()) };
    if let Ok(labels) = labels.cast::<PyDict>() {
        return labels.iter().map(pair).collect();
    }
    let items = labels.cast::<PyMapping>()?.items()?;
    items.iter().map(|item| item.extract().and_then(pair)).collect()
}

fn pair((name, value): (Bound<'_, PyAny>, Bound<'_, PyAny>)) -> PyResult<(String, String)> {
    Ok((name.cast::<PyString>()?.to_string_lossy().into_owned(), text(&value)?))
}

/// What is no text is what `str()` says of it.
fn text(value: &Bound<'_, PyAny>) -> PyResult<String> {
    match value.cast::<PyString>() {
        Ok(value) => Ok(value.to_string_lossy().into_owned()),
        Err(_) => value.str().map(|value| Cow::into_owned(value.to_string_lossy())),
    }
}

pub(super) fn borrowed(pairs: &[(String, String)]) -> Vec<(&str, &str)> {
    pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}
