//! Bodies to push.

use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::MetricsRegistry;
use super::labels::Text;
use crate::bindings::error::metric_error;
use crate::metrics::{RemoteWriteOptions, remote_write_requests};

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(encode_remote_write, module)?)
}

/// Snappy-compressed `prometheus.WriteRequest`s with everything in `registry`, `batch` series each at most; the
/// timestamp is in milliseconds since the epoch. Raises MetricError for a label that is not allowed, and
/// MetricsDirectoryError if what other processes hold cannot be read.
#[pyfunction]
fn encode_remote_write<'py>(
    py: Python<'py>,
    registry: &MetricsRegistry,
    labels: Vec<(Text, Text)>,
    timestamp: i64,
    batch: usize,
) -> PyResult<Vec<Bound<'py, PyBytes>>> {
    let labels: Vec<(String, String)> = labels.into_iter().map(|(name, value)| (name.0, value.0)).collect();
    let source = registry.source();
    let options = RemoteWriteOptions { labels: &labels, timestamp, batch };
    let bodies = py.detach(|| remote_write_requests(&source.snapshot()?, &options)).map_err(metric_error)?;
    Ok(bodies.iter().map(|body| PyBytes::new(py, body)).collect())
}
