//! What Python hands over for a commit.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use super::Blob;
use crate::rollback::snapshot;
use crate::rollback::store::{self, Retention};

/// Sequence number, kind, time, body.
pub(super) type EventRow<'py> = (i64, String, i64, PyRef<'py, Blob>);
/// Key, value.
pub(super) type StateRow<'py> = (String, PyRef<'py, Blob>);

pub(super) fn events(rows: Vec<EventRow<'_>>) -> Vec<store::Event> {
    let event = |(seq, kind, at, body): EventRow<'_>| store::Event { seq, kind, at, body: body.inner.clone() };
    rows.into_iter().map(event).collect()
}

pub(super) fn state(rows: Vec<StateRow<'_>>) -> Vec<(String, snapshot::Blob)> {
    rows.into_iter().map(|(key, blob)| (key, blob.inner.clone())).collect()
}

pub(super) fn status(word: &str) -> PyResult<store::Status> {
    word.parse().map_err(|error: store::UnknownStatus| PyValueError::new_err(error.to_string()))
}

/// None keeps for ever.
pub(super) fn retention(keep: Option<u32>, max_age_seconds: Option<f64>) -> PyResult<Retention> {
    let micros = |seconds: f64| {
        let good = seconds.is_finite() && (0.0..9e12).contains(&seconds);
        #[allow(clippy::cast_possible_truncation)] // bounded by the check
        good.then_some((seconds * 1e6) as i64).ok_or_else(|| {
            PyValueError::new_err(format!("max_age_seconds is {seconds}; give a number from 0, or None"))
        })
    };
    if keep == Some(0) {
        return Err(PyValueError::new_err(
            "keep is 0; the newest checkpoint always stays, so give at least 1, or None",
        ));
    }
    Ok(Retention { keep, max_age: max_age_seconds.map(micros).transpose()? })
}
