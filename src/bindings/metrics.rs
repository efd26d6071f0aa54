//! Python's view of `metrics`: a registry, its families, handles onto series, and the listener.
//!
//! Locks of the core are only taken here with the GIL held, so that a fork in another thread cannot catch them.

use std::os::fd::RawFd;
use std::path::PathBuf;
use std::sync::Arc;

use pyo3::prelude::*;

use super::error::metric_error;
use crate::metrics::{AnyFamily, Combine, DEFAULT_SERIES_LIMIT, Directory, Format, Registry, Shelf, Source};

mod children;
mod exemplars;
mod families;
mod handles;
mod labels;
mod meter;
mod pushing;
mod serving;

use families::{CounterFamily, GaugeFamily, HistogramFamily};
use handles::Handles;
use labels::{Buckets, Description, Text, texts};

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<MetricsRegistry>()?;
    module.add_class::<CounterFamily>()?;
    module.add_class::<GaugeFamily>()?;
    module.add_class::<HistogramFamily>()?;
    module.add_class::<children::CounterChild>()?;
    module.add_class::<children::GaugeChild>()?;
    module.add_class::<children::HistogramChild>()?;
    module.add_class::<meter::RunMeter>()?;
    serving::register(module)?;
    pushing::register(module)?;
    module.add_function(wrap_pyfunction!(inherited_metrics_files, module)?)?;
    module.add("METRICS_CONTENT_TYPE", Format::Text.content_type())
}

/// Families in the order of their registration.
#[pyclass(frozen, module = "hagane._core")]
struct MetricsRegistry {
    registry: Arc<Registry>,
    directory: Option<Arc<Directory>>,
}

impl MetricsRegistry {
    /// What the exporter shows of it.
    fn source(&self) -> Arc<dyn Source> {
        Arc::clone(&self.registry) as Arc<dyn Source>
    }
}

#[pymethods]
impl MetricsRegistry {
    /// With `directory`, its cells are in a file there, and what it shows is the sum over all processes that use it.
    /// Raises MetricsDirectoryError if the directory cannot be used.
    #[new]
    #[pyo3(signature = (series_limit = DEFAULT_SERIES_LIMIT, directory = None))]
    fn new(series_limit: usize, directory: Option<PathBuf>) -> PyResult<Self> {
        let directory = directory.map(|path| Directory::open(&path)).transpose().map_err(metric_error)?;
        let shelf = directory.clone().map(|directory| directory as Arc<dyn Shelf>);
        Ok(Self { registry: Arc::new(Registry::on(series_limit, shelf)), directory })
    }

    /// Whether what it shows is the sum over several processes.
    #[getter]
    fn shared(&self) -> bool {
        self.directory.is_some()
    }

    /// For a forked child, once it has closed `inherited_metrics_files`: its own file under all handles. Raises
    /// MetricsDirectoryError if there can be none; the handles then count in the child's own memory.
    fn after_fork(&self) -> PyResult<()> {
        if self.directory.is_some() {
            meter::begin_anew();
        }
        self.directory.as_ref().map_or(Ok(()), |directory| directory.after_fork()).map_err(metric_error)
    }

    /// The counter of this name, created if new. Raises MetricError if it is or has something else already.
    #[pyo3(signature = (name, description = Description::default(), label_names = None))]
    #[pyo3(text_signature = "($self, name, description='', label_names=None)")]
    fn counter(
        &self,
        py: Python<'_>,
        name: Text,
        description: Description,
        label_names: Option<Vec<Text>>,
    ) -> PyResult<CounterFamily> {
        let family = self.registry.counter(&name.0, &description.0, texts(label_names).as_deref());
        family.map(|family| CounterFamily(Handles::new(py, family))).map_err(metric_error)
    }

    /// The gauge of this name, created if new; `multiprocess_mode` says how the values of several processes combine.
    /// Raises MetricError as `counter` does.
    #[pyo3(signature = (name, description = Description::default(), label_names = None, multiprocess_mode = None))]
    #[pyo3(text_signature = "($self, name, description='', label_names=None, multiprocess_mode=None)")]
    fn gauge(
        &self,
        py: Python<'_>,
        name: Text,
        description: Description,
        label_names: Option<Vec<Text>>,
        multiprocess_mode: Option<Text>,
    ) -> PyResult<GaugeFamily> {
        let combine = multiprocess_mode.map(|Text(mode)| mode.parse::<Combine>()).transpose().map_err(metric_error)?;
        let family = self.registry.combined_gauge(&name.0, &description.0, texts(label_names).as_deref(), combine);
        family.map(|family| GaugeFamily(Handles::new(py, family))).map_err(metric_error)
    }

    /// The histogram of this name, created if new; `buckets` are upper bounds. Raises MetricError as `counter` does.
    #[pyo3(signature = (name, description = Description::default(), label_names = None, buckets = None))]
    #[pyo3(text_signature = "($self, name, description='', label_names=None, buckets=None)")]
    fn histogram(
        &self,
        py: Python<'_>,
        name: Text,
        description: Description,
        label_names: Option<Vec<Text>>,
        buckets: Option<Buckets>,
    ) -> PyResult<HistogramFamily> {
        let bounds = buckets.as_ref().map(|Buckets(bounds)| bounds.as_slice());
        let family = self.registry.histogram(&name.0, &description.0, texts(label_names).as_deref(), bounds);
        family.map(|family| HistogramFamily(Handles::new(py, family))).map_err(metric_error)
    }

    /// Every family, in the order of registration.
    fn families<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyAny>>> {
        let wrap = |family: &AnyFamily| {
            Ok(match family {
                AnyFamily::Counter(family) => {
                    Bound::new(py, CounterFamily(Handles::new(py, Arc::clone(family))))?.into_any()
                }
                AnyFamily::Gauge(family) => {
                    Bound::new(py, GaugeFamily(Handles::new(py, Arc::clone(family))))?.into_any()
                }
                AnyFamily::Histogram(family) => {
                    Bound::new(py, HistogramFamily(Handles::new(py, Arc::clone(family))))?.into_any()
                }
            })
        };
        self.registry.iter().map(wrap).collect()
    }

    /// Prometheus' text format 0.0.4. Takes no lock and lets go of the GIL. Raises MetricsDirectoryError if what other
    /// processes hold cannot be read.
    fn encode(&self, py: Python<'_>) -> PyResult<String> {
        let encoded = py.detach(|| Ok(Format::Text.encode(&self.registry.snapshot()?, false)));
        encoded.map(|text| String::from_utf8(text).unwrap_or_default()).map_err(metric_error)
    }
}

/// For a forked child: the descriptors of metrics files that it must close, as locks go with them.
#[pyfunction]
fn inherited_metrics_files() -> Vec<RawFd> {
    Directory::inherited()
}
