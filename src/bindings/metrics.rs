//! Python's view of `metrics`: a registry, its families, handles onto series, and the listener.
//!
//! Locks of the core are only taken here with the GIL held, so that a fork in another thread cannot catch them.

use std::sync::Arc;

use pyo3::prelude::*;

use super::error::metric_error;
use crate::metrics::{AnyFamily, DEFAULT_SERIES_LIMIT, Format, Registry, Source};

mod children;
mod exemplars;
mod families;
mod labels;
mod pushing;
mod serving;

use families::{CounterFamily, GaugeFamily, HistogramFamily};

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<MetricsRegistry>()?;
    module.add_class::<CounterFamily>()?;
    module.add_class::<GaugeFamily>()?;
    module.add_class::<HistogramFamily>()?;
    module.add_class::<children::CounterChild>()?;
    module.add_class::<children::GaugeChild>()?;
    module.add_class::<children::HistogramChild>()?;
    serving::register(module)?;
    pushing::register(module)?;
    module.add("METRICS_CONTENT_TYPE", Format::Text.content_type())
}

/// Families in the order of their registration.
#[pyclass(frozen, module = "hagane._core")]
struct MetricsRegistry(Arc<Registry>);

impl MetricsRegistry {
    /// What the exporter shows of it.
    fn source(&self) -> Arc<dyn Source> {
        Arc::clone(&self.0) as Arc<dyn Source>
    }
}

#[pymethods]
impl MetricsRegistry {
    #[new]
    #[pyo3(signature = (series_limit = DEFAULT_SERIES_LIMIT))]
    fn new(series_limit: usize) -> Self {
        Self(Arc::new(Registry::new(series_limit)))
    }

    /// The counter of this name, created if new. Raises MetricError if it is or has something else already.
    #[pyo3(signature = (name, description = "", label_names = None))]
    fn counter(&self, name: &str, description: &str, label_names: Option<Vec<String>>) -> PyResult<CounterFamily> {
        let family = self.0.counter(name, description, label_names.as_deref());
        family.map(CounterFamily).map_err(metric_error)
    }

    /// The gauge of this name, created if new. Raises MetricError if it is or has something else already.
    #[pyo3(signature = (name, description = "", label_names = None))]
    fn gauge(&self, name: &str, description: &str, label_names: Option<Vec<String>>) -> PyResult<GaugeFamily> {
        let family = self.0.gauge(name, description, label_names.as_deref());
        family.map(GaugeFamily).map_err(metric_error)
    }

    /// The histogram of this name, created if new; `buckets` are upper bounds. Raises MetricError as `counter` does.
    #[pyo3(signature = (name, description = "", label_names = None, buckets = None))]
    fn histogram(
        &self,
        name: &str,
        description: &str,
        label_names: Option<Vec<String>>,
        buckets: Option<Vec<f64>>,
    ) -> PyResult<HistogramFamily> {
        let family = self.0.histogram(name, description, label_names.as_deref(), buckets.as_deref());
        family.map(HistogramFamily).map_err(metric_error)
    }

    /// Every family, in the order of registration.
    fn families<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyAny>>> {
        let wrap = |family: &AnyFamily| {
            Ok(match family {
                AnyFamily::Counter(family) => Bound::new(py, CounterFamily(Arc::clone(family)))?.into_any(),
                AnyFamily::Gauge(family) => Bound::new(py, GaugeFamily(Arc::clone(family)))?.into_any(),
                AnyFamily::Histogram(family) => Bound::new(py, HistogramFamily(Arc::clone(family)))?.into_any(),
            })
        };
        self.0.iter().map(wrap).collect()
    }

    /// Prometheus' text format 0.0.4. Takes no lock and lets go of the GIL.
    fn encode(&self, py: Python<'_>) -> String {
        py.detach(|| String::from_utf8_lossy(&Format::Text.encode(&self.0.snapshot(), false)).into_owned())
    }
}
