//! What `@metrics_tracked` does for a run, in two calls: one when it begins and one when it has ended.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Instant;

use pyo3::prelude::*;

use super::children::{CounterChild, GaugeChild, HistogramChild};
use super::exemplars::exemplar as exemplar_of;
use crate::metrics::{Counter, Gauge, Histogram, Series};

static ORIGIN: LazyLock<Instant> = LazyLock::new(Instant::now);
// When this process's series began at 0, as `now` says it: what began before is a run of the process it was forked from.
static BEGINNING: AtomicU64 = AtomicU64::new(0);

/// Seconds of a clock that is never set back and that goes on in a forked child.
fn now() -> f64 {
    ORIGIN.elapsed().as_secs_f64()
}

/// For a forked child whose series are at 0 again.
pub(super) fn begin_anew() {
    BEGINNING.store(now().to_bits(), Ordering::Relaxed);
}

fn is_of_this_process(began: f64) -> bool {
    began >= f64::from_bits(BEGINNING.load(Ordering::Relaxed))
}

/// The series of one agent. Nothing here raises: a place that does not exist counts nowhere.
#[pyclass(frozen, module = "hagane._core")]
pub(super) struct RunMeter {
    agent: String,
    in_progress: Arc<Series<Gauge>>,
    duration: Arc<Series<Histogram>>,
    ended: Vec<Arc<Series<Counter>>>,
}

#[pymethods]
impl RunMeter {
    /// `ended`: one counter for each way in which a run can end, success first.
    #[new]
    fn new(
        agent: String,
        in_progress: &Bound<'_, GaugeChild>,
        duration: &Bound<'_, HistogramChild>,
        ended: Vec<Bound<'_, CounterChild>>,
    ) -> Self {
        Self {
            agent,
            in_progress: Arc::clone(&in_progress.get().0),
            duration: Arc::clone(&duration.get().0),
            ended: ended.iter().map(|child| Arc::clone(&child.get().0)).collect(),
        }
    }

    /// The agent's name.
    #[getter]
    fn agent(&self) -> &str {
        &self.agent
    }

    /// One more run is in progress. Returns the moment, in seconds of a clock that is never set back.
    fn begin(&self) -> f64 {
        // Adding 1 is never refused.
        let _ = self.in_progress.cell.add(1.0);
        now()
    }

    /// A run that began at `began` has ended in the way of this place in `ended`; `exemplar` as that of a histogram.
    ///
    /// A run is its process's: one that a forked child inherited, whose own series began at 0, counts where it began
    /// and nowhere here. Otherwise it would be counted twice, and the child's runs in progress would be -1.
    #[pyo3(signature = (began, way, exemplar = None))]
    fn end(&self, began: f64, way: usize, exemplar: Option<&Bound<'_, PyAny>>) {
        self.count(began, way, exemplar);
    }

    /// `end(began, 0)`, which is how nearly every run ends, by a call that has less to unpack.
    fn succeed(&self, began: f64) {
        self.count(began, 0, None);
    }

    /// A run that has begun waits for somebody to take it up, who may never come: it is not in progress until `resume`.
    fn suspend(&self, began: f64) {
        if is_of_this_process(began) {
            let _ = self.in_progress.cell.add(-1.0);
        }
    }

    /// A run that was suspended goes on.
    fn resume(&self, began: f64) {
        if is_of_this_process(began) {
            let _ = self.in_progress.cell.add(1.0);
        }
    }
}

impl RunMeter {
    fn count(&self, began: f64, way: usize, exemplar: Option<&Bound<'_, PyAny>>) {
        if !is_of_this_process(began) {
            return;
        }
        let seconds = now() - began;
        let _ = self.in_progress.cell.add(-1.0);
        // Nothing is wrong with a time, and an exemplar that is refused is none.
        let _ = self.duration.observe(seconds);
        if let Some(Ok(Some(exemplar))) = exemplar.map(|labels| exemplar_of("duration", labels, seconds)) {
            self.duration.exemplify(seconds, exemplar);
        }
        if let Some(ended) = self.ended.get(way) {
            let _ = ended.cell.increment(1.0);
        }
    }
}
