//! The exporter, and the listener that carries its answers.

use std::os::fd::RawFd;
use std::path::PathBuf;
use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::MetricsRegistry;
use super::labels::Text;
use crate::bindings::error::metric_error;
use crate::metrics::{self, Exporter, MetricError, Options, Process, Scrape, Server, Source, Token};

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<MetricsExporter>()?;
    module.add_class::<MetricsServer>()?;
    module.add_function(wrap_pyfunction!(start_metrics_server, module)?)?;
    module.add_function(wrap_pyfunction!(abandon_inherited_servers, module)?)
}

/// Answers scrapes: status, headers and body, whoever carries them.
#[pyclass(frozen, module = "hagane._core")]
pub(super) struct MetricsExporter(Arc<Exporter>);

type Answer<'py> = (u16, Vec<(&'static str, &'static str)>, Bound<'py, PyBytes>);

#[pymethods]
impl MetricsExporter {
    /// Shows `registry`; `process` adds `process_*`, `own_metrics` the exporter's. Raises MetricError for a token that
    /// no header can carry.
    #[new]
    #[pyo3(signature = (registry, bearer_token = None, created = false, process = true, own_metrics = true))]
    fn new(
        registry: &MetricsRegistry,
        bearer_token: Option<Text>,
        created: bool,
        process: bool,
        own_metrics: bool,
    ) -> PyResult<Self> {
        let token = bearer_token.map(|Text(token)| Token::new(&token).ok_or(MetricError::Token)).transpose();
        let token = token.map_err(metric_error)?;
        let mut sources: Vec<Arc<dyn Source>> = vec![registry.source()];
        if process {
            sources.push(Arc::new(Process));
        }
        Ok(Self(Arc::new(Exporter::new(sources, Options { token, created, own_metrics }))))
    }

    /// (status, headers, body) for a request's method and headers. Takes no lock and lets go of the GIL.
    #[pyo3(signature = (method, authorization = None, accept = None, accept_encoding = None))]
    fn answer<'py>(
        &self,
        py: Python<'py>,
        method: &str,
        authorization: Option<&str>,
        accept: Option<&str>,
        accept_encoding: Option<&str>,
    ) -> Answer<'py> {
        let scrape = Scrape { method, authorization, accept, accept_encoding };
        let answer = py.detach(|| self.0.answer(&scrape));
        (answer.status, answer.headers, PyBytes::new(py, &answer.body))
    }
}

/// A listener that answers GET /metrics until it is closed.
#[pyclass(frozen, module = "hagane._core")]
struct MetricsServer(Arc<Server>);

#[pymethods]
impl MetricsServer {
    /// The address it listens on.
    #[getter]
    fn host(&self) -> String {
        self.0.address().ip().to_string()
    }

    /// The port it listens on, also if 0 was asked for.
    #[getter]
    fn port(&self) -> u16 {
        self.0.address().port()
    }

    /// Where the metrics are.
    #[getter]
    fn url(&self) -> String {
        let scheme = if self.0.is_encrypted() { "https" } else { "http" };
        format!("{scheme}://{}/metrics", self.0.address())
    }

    /// Whether it no longer listens; true in a forked child, which does not inherit it.
    #[getter]
    fn closed(&self) -> bool {
        !self.0.is_open()
    }

    /// Frees the port. Scrapes under way have a second to end; closing again does nothing.
    fn close(&self, py: Python<'_>) {
        if let Some(closing) = self.0.close() {
            py.detach(|| closing.wait());
        }
    }

    fn __enter__(this: PyRef<'_, Self>) -> PyRef<'_, Self> {
        this
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, py: Python<'_>, _exception: &Bound<'_, PyAny>) {
        self.close(py);
    }

    fn __repr__(&self) -> String {
        format!("<MetricsServer {}{}>", self.url(), if self.closed() { ", closed" } else { "" })
    }
}

/// A listener that lets `exporter` answer; with a certificate and a key (PEM files) over TLS. Raises
/// MetricsServerError if it cannot be opened.
#[pyfunction]
#[pyo3(signature = (exporter, host, port, certificate = None, key = None))]
fn start_metrics_server(
    py: Python<'_>,
    exporter: &MetricsExporter,
    host: Text,
    port: i64,
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
) -> PyResult<MetricsServer> {
    let tls = certificate.zip(key).map(|(certificate, key)| metrics::load_tls(&certificate, &key));
    let tls = tls.transpose().map_err(metric_error)?;
    let address = py.detach(|| metrics::resolve(&host.0, port)).map_err(metric_error)?;
    metrics::serve(Arc::clone(&exporter.0), address, tls).map(MetricsServer).map_err(metric_error)
}

/// For a forked child: forgets the parent's servers and returns the descriptors that the child must close.
#[pyfunction]
fn abandon_inherited_servers() -> Vec<RawFd> {
    metrics::abandon_inherited()
}
