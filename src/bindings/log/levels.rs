//! Which events are worth a record: the levels of Python's loggers, read from time to time and kept in one atomic.

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use tracing::Level;
use tracing::level_filters::LevelFilter;

const REFRESH_EVERY: Duration = Duration::from_millis(250);

/// The most verbose level that any `hagane` logger wants: 0 for off up to 5 for everything. Starts at WARNING, which is
/// Python's own default.
static THRESHOLD: AtomicU8 = AtomicU8::new(2);

/// Reads the loggers' levels again, unless that was done a moment ago. Called with every batch and with every entry into
/// the runtime.
pub(in crate::bindings) fn refresh(py: Python<'_>) {
    // Only ever locked with the GIL held, and not while waiting: a forked child cannot inherit it locked.
    static LAST: Mutex<Option<Instant>> = Mutex::new(None);
    {
        let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
        if last.is_some_and(|moment| moment.elapsed() < REFRESH_EVERY) {
            return;
        }
        *last = Some(Instant::now());
    }
    if let Err(error) = update_threshold(py) {
        error.write_unraisable(py, None);
    }
}

/// Sets the threshold to the most verbose level of the loggers `hagane` and below; without `logging` it stays.
pub(super) fn update_threshold(py: Python<'_>) -> PyResult<()> {
    let modules = py.import("sys")?.getattr("modules")?;
    let logging = modules.call_method1("get", ("logging",))?;
    // A module that is still being imported has no root logger yet.
    if logging.is_none() || !logging.hasattr("root")? || !logging.hasattr("getLogger")? {
        return Ok(());
    }
    flush_before_logging_ends(py)?;
    let mut lowest: i64 = effective_level(&logging.call_method1("getLogger", ("hagane",))?)?;
    let manager = logging.getattr("root")?.getattr("manager")?;
    let known = manager.getattr("loggerDict")?.cast_into::<PyDict>()?;
    for (name, logger) in known.copy()? {
        if name.extract::<&str>().is_ok_and(|name| name.starts_with("hagane."))
            && logger.hasattr("getEffectiveLevel")?
        {
            lowest = lowest.min(effective_level(&logger)?);
        }
    }
    let disabled: i64 = manager.getattr("disable")?.extract()?;
    set_threshold(rank_of_number(lowest.max(disabled + 1)));
    Ok(())
}

fn effective_level(logger: &Bound<'_, PyAny>) -> PyResult<i64> {
    logger.call_method0(intern!(logger.py(), "getEffectiveLevel"))?.extract()
}

/// `logging` closes its handlers in an exit handler of its own; one that is registered later runs before it.
fn flush_before_logging_ends(py: Python<'_>) -> PyResult<()> {
    static REGISTERED: AtomicBool = AtomicBool::new(false);
    if !REGISTERED.swap(true, Ordering::Relaxed) {
        let hook = py.import("hagane._core")?.getattr("_flush_logs")?;
        py.import("atexit")?.call_method1("register", (hook,))?;
    }
    Ok(())
}

fn set_threshold(rank: u8) {
    if THRESHOLD.swap(rank, Ordering::Relaxed) != rank {
        // Makes tracing read `max_level_hint` again, so that a disabled event costs one atomic load.
        tracing::callsite::rebuild_interest_cache();
    }
}

pub(super) fn threshold() -> LevelFilter {
    [LevelFilter::OFF, LevelFilter::ERROR, LevelFilter::WARN, LevelFilter::INFO, LevelFilter::DEBUG, LevelFilter::TRACE]
        [usize::from(THRESHOLD.load(Ordering::Relaxed).min(5))]
}

/// Python's number for a level; tracing's TRACE has none there and becomes 5.
pub(super) fn number(level: Level) -> u8 {
    match level {
        Level::ERROR => 40,
        Level::WARN => 30,
        Level::INFO => 20,
        Level::DEBUG => 10,
        Level::TRACE => 5,
    }
}

/// 0 for off up to 5 for everything, from the lowest number that a logger takes.
fn rank_of_number(lowest: i64) -> u8 {
    match lowest {
        ..=5 => 5,
        6..=10 => 4,
        11..=20 => 3,
        21..=30 => 2,
        31..=40 => 1,
        _ => 0,
    }
}
