//! The one tokio runtime of the bindings: who may use it, across forks and until the interpreter ends.
//!
//! The lock on `STATE` is only ever taken with the GIL held, and never while waiting. `os.fork()` needs the GIL too, so
//! no child inherits it locked. Nested spawns find the runtime through the worker thread that they run on.

use std::any::Any;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::process;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::thread;
use std::time::Duration;

use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use pyo3_async_runtimes::generic::{self, ContextExt};
use pyo3_async_runtimes::{TaskLocals, get_running_loop};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::{JoinError, JoinHandle};

use super::error::raise;
use super::log;

const SIGNAL_POLL: Duration = Duration::from_millis(50);
const SHUTDOWN_WAIT: Duration = Duration::from_secs(2);

enum State {
    /// Nothing has waited yet in this process.
    Idle,
    /// Running in the process with this id; in any other process it is a dead copy that must not be touched.
    Running { pid: u32, runtime: Runtime },
    /// The interpreter is on its way out.
    Closed,
}

static STATE: Mutex<State> = Mutex::new(State::Idle);

/// A Python awaitable (an asyncio future of the running loop) for a Rust future.
///
/// Cancelling the awaitable drops the Rust future. A unit becomes an empty tuple; return `None::<()>` for None.
///
/// # Errors
/// RuntimeError where no event loop runs, or where the interpreter is ending. InternalError from the awaitable if the
/// future panics.
pub(super) fn future_into_py<'py, F, T>(py: Python<'py>, future: F) -> PyResult<Bound<'py, PyAny>>
where
    F: Future<Output = PyResult<T>> + Send + 'static,
    T: for<'a> IntoPyObject<'a> + Send + 'static,
{
    let event_loop = get_running_loop(py)?;
    let Some(handle) = current(py)? else {
        return outlived(py, || event_loop.call_method0("create_future"));
    };
    let proxy = Bound::new(py, QuietLoop(event_loop.unbind()))?;
    let _context = handle.enter();
    generic::future_into_py_with_locals::<Bindings, _, T>(py, TaskLocals::new(proxy.into_any()), guarded(future))
}

/// Waits for a Rust future from synchronous Python: without the GIL, and interruptible by Ctrl-C.
///
/// # Errors
/// What the future returns; KeyboardInterrupt (or what else a signal handler raises), after which the future is dropped;
/// InternalError if it panics; RuntimeError where the interpreter is ending.
pub(super) fn block_on<F, T>(py: Python<'_>, future: F) -> PyResult<T>
where
    F: Future<Output = PyResult<T>> + Send + 'static,
    T: Send + 'static,
{
    let Some(handle) = current(py)? else {
        return outlived(py, || park_for_ever(py));
    };
    let (sender, mut receiver) = sync_channel(1);
    let task = handle.spawn(async move {
        // The receiver is gone only after an interrupt, when nobody wants the result.
        let _ = sender.send(guarded(future).await);
    });
    // The channel, not the runtime, is what this thread waits on: a runtime that shuts down then cannot panic here.
    loop {
        let waiting = &mut receiver;
        match py.detach(move || waiting.recv_timeout(SIGNAL_POLL)) {
            Ok(result) => return result,
            Err(RecvTimeoutError::Timeout) => py.check_signals().inspect_err(|_| task.abort())?,
            Err(RecvTimeoutError::Disconnected) => return ended_without_result(py),
        }
    }
}

/// The future, with a panic in it as an exception of our tree: no panic is the caller's own fault.
fn guarded<T>(future: impl Future<Output = PyResult<T>> + Send) -> impl Future<Output = PyResult<T>> + Send {
    let mut future = Box::pin(future);
    // A future that panicked is not polled again, so nothing sees what it left half-done.
    poll_fn(move |context| {
        catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context)))
            .unwrap_or_else(|panic| Poll::Ready(Err(panicked(panic.as_ref()))))
    })
}

fn panicked(panic: &(dyn Any + Send)) -> PyErr {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    let text = text.unwrap_or("no message");
    raise("InternalError", format!("hagane itself failed: {text}; please report it with what standard error says"))
}

/// The task was dropped: the runtime shut down under a thread that outlives the interpreter.
fn ended_without_result<T>(py: Python<'_>) -> PyResult<T> {
    if matches!(*state(), State::Closed) {
        return outlived(py, || park_for_ever(py));
    }
    Err(raise("InternalError", "hagane itself failed: its runtime dropped a task; please report it"))
}

fn state() -> MutexGuard<'static, State> {
    // A panic while the lock was held leaves a state that is as good as before: every change is one assignment.
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The runtime of this process, started on first use; None when the interpreter is ending.
fn current(py: Python<'_>) -> PyResult<Option<Handle>> {
    log::refresh(py);
    let mut state = state();
    let pid = process::id();
    match &*state {
        State::Running { pid: owner, runtime } if *owner == pid => return Ok(Some(runtime.handle().clone())),
        State::Closed => return Ok(None),
        State::Idle | State::Running { .. } => {}
    }
    let runtime =
        start().map_err(|error| PyRuntimeError::new_err(format!("cannot start hagane's runtime: {error}")))?;
    let handle = runtime.handle().clone();
    let inherited = std::mem::replace(&mut *state, State::Running { pid, runtime });
    // Dropping a runtime joins its threads, and after a fork there are none to join: leak it on purpose.
    std::mem::forget(inherited);
    tracing::debug!(pid, workers = handle.metrics().num_workers(), "runtime started");
    Ok(Some(handle))
}

fn start() -> std::io::Result<Runtime> {
    Builder::new_multi_thread().thread_name("hagane").enable_all().build()
}

/// A daemon thread that outlives the interpreter waits in silence, as every Python thread does then; the main thread,
/// in an exit handler that came too late, is told.
fn outlived<T>(py: Python<'_>, wait: impl FnOnce() -> PyResult<T>) -> PyResult<T> {
    let threading = py.import("threading")?;
    let main = threading.call_method0("main_thread")?.getattr("ident")?;
    if threading.call_method0("get_ident")?.eq(main)? {
        return Err(PyRuntimeError::new_err(
            "hagane's runtime has shut down with the interpreter; close sandboxes and pipelines before the program ends",
        ));
    }
    wait()
}

fn park_for_ever<T>(py: Python<'_>) -> PyResult<T> {
    loop {
        py.detach(thread::park);
    }
}

/// Our runtime in the terms of pyo3-async-runtimes. It is entered before the first spawn, so that a spawn needs no lock.
struct Bindings;

impl generic::Runtime for Bindings {
    type JoinError = JoinError;
    type JoinHandle = JoinHandle<()>;

    fn spawn<F>(future: F) -> Self::JoinHandle
    where
        F: Future<Output = ()> + Send + 'static,
    {
        tokio::spawn(future)
    }

    fn spawn_blocking<F>(work: F) -> Self::JoinHandle
    where
        F: FnOnce() + Send + 'static,
    {
        tokio::task::spawn_blocking(work)
    }
}

/// No Rust future here awaits Python, so there are no task locals to carry along.
impl ContextExt for Bindings {
    fn scope<F, R>(_locals: TaskLocals, future: F) -> Pin<Box<dyn Future<Output = R> + Send>>
    where
        F: Future<Output = R> + Send + 'static,
    {
        Box::pin(future)
    }

    fn get_task_locals() -> Option<TaskLocals> {
        None
    }
}

/// The running loop, save that a result for a closed loop is dropped instead of printed as a traceback.
#[pyclass(frozen)]
struct QuietLoop(Py<PyAny>);

#[pymethods]
impl QuietLoop {
    fn create_future<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.0.bind(py).call_method0("create_future")
    }

    #[pyo3(signature = (*arguments, **options))]
    fn call_soon_threadsafe(
        &self,
        arguments: &Bound<'_, PyTuple>,
        options: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<()> {
        let event_loop = self.0.bind(arguments.py());
        match event_loop.call_method("call_soon_threadsafe", arguments, options) {
            Ok(_) => Ok(()),
            Err(_) if event_loop.call_method0("is_closed")?.is_truthy()? => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// Stops the runtime before the interpreter goes: a thread that asks for the GIL after that would crash the process.
#[pyfunction]
fn _shutdown_runtime(py: Python<'_>) {
    let previous = {
        let mut state = state();
        match &*state {
            State::Running { pid, .. } if *pid != process::id() => return,
            _ => std::mem::replace(&mut *state, State::Closed),
        }
    };
    if let State::Running { runtime, .. } = previous {
        py.detach(|| runtime.shutdown_timeout(SHUTDOWN_WAIT));
    }
}

/// Waits on the runtime; the smallest awaitable there is.
#[pyfunction]
fn _sleep(py: Python<'_>, seconds: f64) -> PyResult<Bound<'_, PyAny>> {
    let duration = duration(seconds)?;
    future_into_py(py, async move {
        tokio::time::sleep(duration).await;
        Ok(None::<()>)
    })
}

/// The synchronous twin of `_sleep`.
#[pyfunction]
fn _sleep_sync(py: Python<'_>, seconds: f64) -> PyResult<()> {
    let duration = duration(seconds)?;
    block_on(py, async move {
        tokio::time::sleep(duration).await;
        Ok(())
    })
}

/// Panics on the runtime: what a caller of a broken task meets is tested with it.
#[pyfunction]
fn _panic(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    future_into_py(py, async { broken() })
}

/// The synchronous twin of `_panic`.
#[pyfunction]
fn _panic_sync(py: Python<'_>) -> PyResult<()> {
    block_on(py, async { broken() })
}

#[allow(clippy::panic)] // the panic is what is asked for
fn broken() -> PyResult<()> {
    panic!("asked to panic")
}

fn duration(seconds: f64) -> PyResult<Duration> {
    Duration::try_from_secs_f64(seconds)
        .map_err(|error| PyValueError::new_err(format!("cannot sleep {seconds} seconds: {error}")))
}

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(_sleep, module)?)?;
    module.add_function(wrap_pyfunction!(_sleep_sync, module)?)?;
    module.add_function(wrap_pyfunction!(_panic, module)?)?;
    module.add_function(wrap_pyfunction!(_panic_sync, module)?)?;
    module.add_function(wrap_pyfunction!(_shutdown_runtime, module)?)?;
    // Registered at import, so that exit handlers that a program registers later run before this one.
    let hook = module.getattr("_shutdown_runtime")?;
    module.py().import("atexit")?.call_method1("register", (hook,))?;
    Ok(())
}
