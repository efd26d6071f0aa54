//! The last steps before untrusted code: everything that the process may still do is given up here.

use std::ffi::{CString, OsStr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::process::{Resource, Rlimit, Signal};

use super::jail::{CODE, WRITABLE};
use super::messages::Job;
use super::sys::{self, Fault, Step};
use super::view::WRITABLE_DEVICES;
use super::{landlock, seccomp};
use crate::sandbox::Limits;

/// The descriptors that a worker keeps.
pub struct Streams {
    /// Its standard output.
    pub stdout: OwnedFd,
    /// Its standard error.
    pub stderr: OwnedFd,
    /// Where it may say which exception ended it; nobody believes it.
    pub report: OwnedFd,
}

/// The number at which the runner finds its report pipe.
const REPORT: i32 = 3;
/// The number of the pipe over which this module reports; closed by a successful `execve`.
const STATUS: i32 = 4;

/// Become the interpreter that runs the job's code. Returns only if a step failed.
pub fn become_interpreter(job: &Job, streams: &Streams, status: BorrowedFd<'_>) -> Fault {
    match prepare(job, streams, status) {
        Ok(program) => {
            let error = program.execute();
            Fault {
                step: format!("start {}", job.executable.display()),
                errno: error.raw_os_error().unwrap_or(0),
                reason: error.to_string(),
            }
        }
        Err(fault) => fault,
    }
}

/// The status pipe's message for "all walls stand", followed by Landlock's ABI as one byte.
pub const READY: u8 = b'R';

fn prepare(job: &Job, streams: &Streams, status: BorrowedFd<'_>) -> Result<Program, Fault> {
    let program = Program::new(job)?;
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL)).step("arm the death signal")?;
    rustix::process::setsid().step("start a session")?;
    take_places(streams, status).step("place the descriptors")?;
    sys::default_signals();
    volunteer_for_the_memory_killer().step("be first for the out-of-memory killer")?;
    limit(&job.limits)?;
    sys::drop_capabilities().step("drop capabilities")?;
    rustix::thread::set_no_new_privs(true).step("set no_new_privs")?;
    let writable = WRITABLE.map(Path::new);
    let devices: Vec<&Path> = WRITABLE_DEVICES.iter().map(Path::new).collect();
    let abi = landlock::restrict(&writable, &devices)?;
    let filters = seccomp::programs().map_err(|error| Fault {
        step: "compile the system call filter".into(),
        errno: 0,
        reason: error.to_string(),
    })?;
    // Said before the filter is loaded; if loading fails, a fault follows on the same pipe.
    rustix::io::write(placed_status(), &[READY, abi.clamp(0, 255) as u8]).step("report")?;
    for filter in &filters {
        seccompiler::apply_filter(filter).map_err(|error| Fault {
            step: "load the system call filter".into(),
            errno: 0,
            reason: error.to_string(),
        })?;
    }
    Ok(program)
}

/// Standard input empty, output and report pipes in their places, everything else closed.
fn take_places(streams: &Streams, status: BorrowedFd<'_>) -> std::io::Result<()> {
    let null = std::fs::File::open("/dev/null")?;
    // Copies first: a descriptor may stand where another one has to go.
    let high = |fd: BorrowedFd<'_>| rustix::io::fcntl_dupfd_cloexec(fd, 64);
    let moved = [
        (high(null.as_fd())?, 0),
        (high(streams.stdout.as_fd())?, 1),
        (high(streams.stderr.as_fd())?, 2),
        (high(streams.report.as_fd())?, REPORT),
    ];
    let status_copy = high(status)?;
    for (from, to) in &moved {
        sys::place(from.as_fd(), *to)?;
    }
    sys::place(status_copy.as_fd(), STATUS)?;
    // From here on the status pipe is only this one, and `execve` closes it.
    rustix::io::fcntl_setfd(placed_status(), rustix::io::FdFlags::CLOEXEC)?;
    std::mem::forget((moved, status_copy, null));
    sys::close_from(STATUS + 1)
}

/// The status pipe at its place.
pub fn placed_status() -> BorrowedFd<'static> {
    // SAFETY: this process closes the descriptor only by `execve`; before it is placed, a use fails with EBADF.
    unsafe { BorrowedFd::borrow_raw(STATUS) }
}

/// Let the kernel take this process first when the machine runs out: not all of its memory is in the watcher's sight.
fn volunteer_for_the_memory_killer() -> std::io::Result<()> {
    use rustix::process::{DumpableBehavior, set_dumpable_behavior};
    // The file is the owner's only while the process can be dumped. Nothing untrusted runs here yet.
    set_dumpable_behavior(DumpableBehavior::Dumpable)?;
    let written = std::fs::write("/proc/self/oom_score_adj", "1000");
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    written
}

fn limit(limits: &Limits) -> Result<(), Fault> {
    let set = |resource: Resource, value: u64, name: &str| {
        // Whoever started the host may have left it less, and that cannot be raised again.
        let value = rustix::process::getrlimit(resource).maximum.map_or(value, |most| most.min(value));
        let both = Rlimit { current: Some(value), maximum: Some(value) };
        rustix::process::setrlimit(resource, both).step(format!("limit {name}"))
    };
    set(Resource::Core, 0, "core dumps")?;
    // Private memory of one process: gives code that asks for too much a MemoryError; the watcher bounds the tree.
    set(Resource::Data, limits.memory, "data")?;
    set(Resource::Fsize, limits.file_size, "file size")?;
    set(Resource::Nofile, limits.open_files, "open files")?;
    set(Resource::Nproc, limits.processes, "processes")?;
    set(Resource::Memlock, 64 << 10, "locked memory")?;
    // The kernel counts queued signals and timers per user, and for an ordinary user that is the host's own user.
    set(Resource::Sigpending, 1024, "pending signals")?;
    // A net below the wall clock, for one process: no more than all its threads can use until the clock speaks.
    set(Resource::Cpu, limits.timeout.as_secs().saturating_add(5).saturating_mul(limits.processes), "CPU time")?;
    set(Resource::Msgqueue, 0, "message queues")
}

/// A program with its arguments and environment, ready for `execve`.
struct Program {
    path: CString,
    arguments: Vec<CString>,
    environment: Vec<CString>,
}

impl Program {
    fn new(job: &Job) -> Result<Self, Fault> {
        let text = |value: &OsStr| {
            CString::new(value.as_bytes()).map_err(|_| Fault {
                step: "prepare the arguments".into(),
                errno: libc::EINVAL,
                reason: format!("{value:?} contains a NUL"),
            })
        };
        let executable = job.executable.as_os_str();
        let runner = format!("{CODE}/.runner.py");
        // -B: compiled copies of modules among the input files would come back as results.
        let arguments = [executable, "-IB".as_ref(), "-X".as_ref(), "utf8".as_ref(), runner.as_ref()];
        Ok(Self {
            path: text(executable)?,
            arguments: arguments.into_iter().map(text).collect::<Result<_, _>>()?,
            environment: job.env.iter().map(|(k, v)| text(format!("{k}={v}").as_ref())).collect::<Result<_, _>>()?,
        })
    }

    fn execute(&self) -> std::io::Error {
        let pointers = |strings: &[CString]| {
            strings.iter().map(|s| s.as_ptr()).chain(std::iter::once(std::ptr::null())).collect::<Vec<_>>()
        };
        let (arguments, environment) = (pointers(&self.arguments), pointers(&self.environment));
        // SAFETY: both arrays end with a null pointer and their strings live as long as `self`.
        unsafe { libc::execve(self.path.as_ptr(), arguments.as_ptr(), environment.as_ptr()) };
        std::io::Error::last_os_error()
    }
}
