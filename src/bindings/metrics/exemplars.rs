//! `exemplar={"trace_id": "..."}` of a call.

use pyo3::prelude::*;

use super::labels::{borrowed, from_mapping};
use crate::bindings::error::metric_error;
use crate::metrics::Exemplar;

/// The exemplar of a call, checked; an empty mapping is none. Most calls have none, so whoever counts asks for it only
/// if there are labels: to hand one back, even if it is none, costs as much as the counting.
#[cold]
pub(super) fn exemplar(metric: &str, labels: &Bound<'_, PyAny>, value: f64) -> PyResult<Option<Exemplar>> {
    let pairs = from_mapping(Some(labels))?;
    if pairs.is_empty() {
        return Ok(None);
    }
    Exemplar::new(metric, &borrowed(&pairs), value).map(Some).map_err(metric_error)
}
