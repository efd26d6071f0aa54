//! `tracing` events of the core become records of Python's `logging`.
//!
//! ```text
//! any thread -> level check (one atomic load) -> bounded queue -> one thread -> GIL, once per batch -> logging
//! ```
//! The thread that emits never takes the GIL and never blocks: a full queue drops the event, and drops are counted and
//! reported. There is one queue per process; a forked child gets its own from an after-fork hook, so nothing that a
//! vanished thread might have held locked is used again.

use std::process;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Metadata, Subscriber, span, subscriber::Interest};

mod fields;
mod levels;

pub(super) use levels::refresh;
use levels::{number, threshold, update_threshold};

const CAPACITY: usize = 1024;
const BATCH: usize = 256;
const FLUSH_WAIT: Duration = Duration::from_secs(2);

/// One event on its way to Python.
struct Record {
    level: Level,
    target: &'static str,
    file: &'static str,
    line: u32,
    message: String,
    created: SystemTime,
}

/// The queue of one process, and after a fork the one of the child.
struct Pipe {
    pid: u32,
    sender: SyncSender<Box<Record>>,
    /// Taken by the draining thread when the first event starts it.
    receiver: Mutex<Option<Receiver<Box<Record>>>>,
    started: OnceLock<()>,
    closed: AtomicBool,
    accepted: AtomicU64,
    delivered: AtomicU64,
    dropped: AtomicU64,
    child: OnceLock<Box<Pipe>>,
}

static FIRST: OnceLock<Pipe> = OnceLock::new();

impl Pipe {
    fn new() -> Self {
        let (sender, receiver) = sync_channel(CAPACITY);
        Self {
            pid: process::id(),
            sender,
            receiver: Mutex::new(Some(receiver)),
            started: OnceLock::new(),
            closed: AtomicBool::new(false),
            accepted: AtomicU64::new(0),
            delivered: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            child: OnceLock::new(),
        }
    }

    /// The queue of this process; None in a child that was made without Python's fork hooks.
    fn current() -> Option<&'static Self> {
        let pid = process::id();
        let mut pipe = FIRST.get()?;
        while pipe.pid != pid {
            pipe = pipe.child.get()?;
        }
        Some(pipe)
    }

    fn push(&'static self, record: Box<Record>) {
        if self.closed.load(Ordering::Acquire) {
            return;
        }
        self.started.get_or_init(|| self.start());
        match self.sender.try_send(record) {
            Ok(()) => self.accepted.fetch_add(1, Ordering::Release),
            Err(_) => self.dropped.fetch_add(1, Ordering::Relaxed),
        };
    }

    fn start(&'static self) {
        let receiver = self.receiver.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(receiver) = receiver {
            // Without a thread the queue fills up and drops; that must not be the end of the program that logs.
            let _ = thread::Builder::new().name("hagane-log".into()).spawn(move || self.drain(&receiver));
        }
    }

    fn drain(&self, receiver: &Receiver<Box<Record>>) {
        while let Ok(first) = receiver.recv() {
            let mut batch = vec![first];
            batch.extend(receiver.try_iter().take(BATCH - 1));
            let count = batch.len() as u64;
            // None: the interpreter is ending, and nobody is left to read.
            let _ = Python::try_attach(|py| self.deliver(py, &batch));
            self.delivered.fetch_add(count, Ordering::Release);
        }
    }

    fn deliver(&self, py: Python<'_>, batch: &[Box<Record>]) {
        let outcome = batch.iter().try_for_each(|record| hand_over(py, record));
        let dropped = self.dropped.swap(0, Ordering::Relaxed);
        let outcome = outcome.and_then(|()| if dropped > 0 { report_drops(py, dropped) } else { Ok(()) });
        if let Err(error) = outcome {
            error.write_unraisable(py, None);
        }
        refresh(py);
    }

    /// Waits, without the GIL and not for ever, until what was accepted has been handed to Python.
    fn flush(&self, py: Python<'_>) {
        let goal = self.accepted.load(Ordering::Acquire);
        py.detach(|| {
            let begin = Instant::now();
            while self.delivered.load(Ordering::Acquire) < goal && begin.elapsed() < FLUSH_WAIT {
                thread::sleep(Duration::from_millis(1));
            }
        });
    }
}

fn hand_over(py: Python<'_>, record: &Record) -> PyResult<()> {
    let name = record.target.replace("::", ".");
    let logger = py.import("logging")?.call_method1("getLogger", (&name,))?;
    let level = number(record.level);
    if !logger.call_method1("isEnabledFor", (level,))?.is_truthy()? {
        return Ok(());
    }
    let nothing = PyTuple::empty(py);
    let arguments = (name, level, record.file, record.line, &record.message, nothing, py.None());
    let entry = logger.call_method1("makeRecord", arguments)?;
    let created = record.created.duration_since(UNIX_EPOCH).unwrap_or_default();
    entry.setattr("created", created.as_secs_f64())?;
    entry.setattr("msecs", f64::from(created.subsec_millis()))?;
    logger.call_method1("handle", (entry,))?;
    Ok(())
}

fn report_drops(py: Python<'_>, dropped: u64) -> PyResult<()> {
    let logger = py.import("logging")?.call_method1("getLogger", ("hagane.log",))?;
    let message = "%d log records were dropped because they came faster than logging took them";
    logger.call_method1("warning", (message, dropped)).map(drop)
}

/// The subscriber: events of this crate go into the queue; spans are not followed.
struct Bridge;

impl Subscriber for Bridge {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        let ours = metadata.target() == "hagane" || metadata.target().starts_with("hagane::");
        if ours && metadata.is_event() { Interest::sometimes() } else { Interest::never() }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(threshold())
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= threshold()
    }

    fn event(&self, event: &Event<'_>) {
        let Some(pipe) = Pipe::current() else { return };
        let metadata = event.metadata();
        pipe.push(Box::new(Record {
            level: *metadata.level(),
            target: metadata.target(),
            file: metadata.file().unwrap_or("unknown"),
            line: metadata.line().unwrap_or(0),
            message: fields::text(event),
            created: SystemTime::now(),
        }));
    }

    fn new_span(&self, _attributes: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _span: &span::Id, _values: &span::Record<'_>) {}
    fn record_follows_from(&self, _span: &span::Id, _follows: &span::Id) {}
    fn enter(&self, _span: &span::Id) {}
    fn exit(&self, _span: &span::Id) {}
}

/// Hands all events so far to Python's `logging` and reads the loggers' levels again. Waits 2 seconds at most.
#[pyfunction]
fn _flush_logs(py: Python<'_>) -> PyResult<()> {
    if let Some(pipe) = Pipe::current() {
        pipe.flush(py);
    }
    update_threshold(py)
}

/// Emits `count` events of a level from Rust, holding the GIL all the while. For tests.
#[pyfunction]
fn _emit_logs(level: &str, count: u32) -> PyResult<()> {
    for index in 0..count {
        match level {
            "error" => tracing::error!(index, "emitted"),
            "warning" => tracing::warn!(index, "emitted"),
            "info" => tracing::info!(index, "emitted"),
            "debug" => tracing::debug!(index, "emitted"),
            "trace" => tracing::trace!(index, "emitted"),
            other => return Err(PyValueError::new_err(format!("{other:?} is no level of tracing"))),
        }
    }
    Ok(())
}

/// The last flush: events that come later are nobody's, because the interpreter is ending.
#[pyfunction]
fn _close_logs(py: Python<'_>) {
    if let Some(pipe) = Pipe::current() {
        pipe.closed.store(true, Ordering::Release);
        pipe.flush(py);
    }
}

/// Gives a forked child a queue of its own.
#[pyfunction]
fn _logs_after_fork() {
    let mut pipe = FIRST.get_or_init(Pipe::new);
    while pipe.pid != process::id() {
        pipe = pipe.child.get_or_init(|| Box::new(Pipe::new()));
    }
}

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    module.add_function(wrap_pyfunction!(_flush_logs, module)?)?;
    module.add_function(wrap_pyfunction!(_emit_logs, module)?)?;
    let close = wrap_pyfunction!(_close_logs, module)?;
    py.import("atexit")?.call_method1("register", (close,))?;
    let options = PyDict::new(py);
    options.set_item("after_in_child", wrap_pyfunction!(_logs_after_fork, module)?)?;
    py.import("os")?.call_method("register_at_fork", (), Some(&options))?;
    FIRST.get_or_init(Pipe::new);
    // An error means that a subscriber is there already: this module was loaded twice, and the first one serves both.
    let _ = tracing::subscriber::set_global_default(Bridge);
    Ok(())
}
