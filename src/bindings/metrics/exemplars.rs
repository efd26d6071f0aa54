//! `exemplar={"trace_id": "..."}` of a call.

use pyo3::prelude::*;

use super::labels::{borrowed, from_mapping};
use crate::bindings::error::metric_error;
use crate::metrics::Exemplar;

/// The exemplar of a call, checked; an empty mapping is none.
pub(super) fn exemplar(metric: &str, labels: Option<&Bound<'_, PyAny>>, value: f64) -> PyResult<Option<Exemplar>> {
    if labels.is_none() {
        return Ok(None);
    }
    let pairs = from_mapping(labels)?;
    if pairs.is_empty() {
        return Ok(None);
    }
    Exemplar::new(metric, &borrowed(&pairs), value).map(Some).map_err(metric_error)
}
