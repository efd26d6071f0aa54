//! Process 1 of a sandbox: builds it, starts the code, watches it, reports what the kernel says, and takes all down.
//!
//! Trusted, but next to untrusted code: it has a clean environment, cannot be dumped or traced, and reads nothing that
//! the code writes except files, after the last process of the code is gone.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{DumpableBehavior, Pid, Signal};

use super::collect::{self, Known, Sink};
use super::jail::{self, Tree};
use super::memory;
use super::messages::{FromInit, Job, ToInit};
use super::sys::{self, Fault, Forked, Step};
use super::view::View;
use super::worker::{self, Streams};
use crate::sandbox::{Ending, Limits, Usage, files, protocol};

/// The one identity inside; outside it is whatever the supervisor mapped.
pub const INNER_ID: u32 = 1000;

const RUNNER: &str = include_str!("runner.py");

/// What init inherits from the supervisor.
pub struct Inheritance {
    /// The way to the host.
    pub channel: UnixStream,
    /// For the worker.
    pub streams: Streams,
    /// Becomes readable when the supervisor has written the identity maps.
    pub mapped: OwnedFd,
    /// What the sandbox shows.
    pub view: View,
    /// Its trees, where the supervisor could take them; else init takes them itself.
    pub trees: Option<Vec<Tree>>,
}

/// Close every descriptor that is not part of the inheritance, standard error excepted.
pub fn close_all_but(inheritance: &Inheritance) {
    let Inheritance { channel, streams, mapped, trees, .. } = inheritance;
    let Streams { stdout, stderr, report } = streams;
    let trees = trees.iter().flatten().map(Tree::descriptor);
    let kept = [channel.as_fd(), stdout.as_fd(), stderr.as_fd(), report.as_fd(), mapped.as_fd()];
    sys::close_all_but(kept.into_iter().chain(trees));
}

/// Run one sandbox from start to end. Never returns.
pub fn run(inheritance: Inheritance) -> ! {
    let channel = inheritance.channel.try_clone();
    if let Err(fault) = build_and_run(inheritance)
        && let Ok(mut channel) = channel
    {
        let _ = protocol::write(&mut channel, &FromInit::Failed(fault));
    }
    sys::exit_now(0)
}

fn build_and_run(inheritance: Inheritance) -> Result<(), Fault> {
    let Inheritance { mut channel, streams, mapped, view, trees } = inheritance;
    assume_identity(&mapped)?;
    let trees = trees.map_or_else(|| jail::take_trees(&view), Ok)?;
    become_nobody()?;
    let job = receive_job(&mut channel)?;
    jail::enter(&view, trees, &job.limits, |code| {
        fs::write(code.join(".runner.py"), RUNNER)?;
        fs::write(code.join("main.py"), &job.code)
    })?;
    receive_files(&mut channel)?;
    let work = fs::File::open(jail::WORK).step("open the working directory")?;
    let before = collect::known(&work).step("note the input files")?;

    let signal = sys::child_signal().step("watch for the end of children")?;
    let started = Instant::now();
    let (worker, landlock) = start(&job, streams)?;
    say(&mut channel, &FromInit::Started { landlock })?;
    let (ending, peak) = watch(&mut channel, &signal, worker, &job.limits, started)?;
    let nanoseconds = started.elapsed().as_nanos() as u64;
    kill_all();
    let (cpu, largest) = sys::children_usage();
    let usage = Usage { cpu, peak_memory: peak.max(largest) };
    say(&mut channel, &FromInit::Ended { ending, nanoseconds, usage })?;
    give_back(&mut channel, &work, &before, &job.limits)
}

/// Wait for the identity maps.
fn assume_identity(mapped: &OwnedFd) -> Result<(), Fault> {
    let mut byte = [0];
    match rustix::io::read(mapped, &mut byte) {
        Ok(1) => Ok(()),
        Ok(_) => Err(Fault { step: "map the identity".into(), errno: 0, reason: "the supervisor gave it up".into() }),
        Err(error) => Err(error).step("map the identity"),
    }
}

/// Take the mapped identity, give up the groups, and become invisible to the code.
fn become_nobody() -> Result<(), Fault> {
    use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};
    // An ordinary user may not call setgroups; the groups that stay give access to nothing that is shown inside.
    let _ = set_thread_groups(&[]);
    let (user, group) = (rustix::process::Uid::from_raw(INNER_ID), rustix::process::Gid::from_raw(INNER_ID));
    set_thread_res_gid(group, group, group).step("take the inner group")?;
    set_thread_res_uid(user, user, user).step("take the inner user")?;
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable).step("hide init")?;
    // Lost with the change of user; without it a killed supervisor would leave this process behind.
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL)).step("arm the death signal")?;
    rustix::system::sethostname(b"sandbox").step("set the host name")
}

fn say(channel: &mut UnixStream, message: &FromInit) -> Result<(), Fault> {
    protocol::write(channel, message).map_err(lost)
}

fn lost(error: protocol::FrameError) -> Fault {
    Fault { step: "talk to the host".into(), errno: 0, reason: error.to_string() }
}

/// The job comes first, and as one frame.
fn receive_job(channel: &mut UnixStream) -> Result<Job, Fault> {
    match protocol::read(channel).map_err(lost)? {
        ToInit::Job(job) => Ok(job),
        _ => Err(lost(protocol::FrameError::Malformed("expected a job".into()))),
    }
}

/// Write the input files into the working directory until the host says go.
fn receive_files(channel: &mut UnixStream) -> Result<(), Fault> {
    loop {
        match protocol::read(channel).map_err(lost)? {
            ToInit::Run => return Ok(()),
            ToInit::File { path, bytes } => write_file(&path, &bytes).step(format!("write the input file {path:?}"))?,
            ToInit::Job(_) | ToInit::Kill => return Err(lost(protocol::FrameError::Ended)),
        }
    }
}

fn write_file(path: &str, bytes: &[u8]) -> std::io::Result<()> {
    files::check_input_path(path).map_err(|e| std::io::Error::new(std::io::ErrorKind::InvalidInput, e.to_string()))?;
    let path = Path::new(path);
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::OpenOptions::new().create(true).append(true).open(path)?.write_all(bytes)
}

/// Fork the worker and wait until it runs the interpreter or says which step failed.
fn start(job: &Job, streams: Streams) -> Result<(Pid, i32), Fault> {
    let (reader, writer) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).step("make a pipe")?;
    let pid = match sys::fork(0).step("fork the worker")? {
        Forked::Parent(pid, _pidfd) => pid,
        Forked::Child => {
            let fault = worker::become_interpreter(job, &streams, writer.as_fd());
            // The worker's own pipe stands at its place now, or still here if placing it was the step that failed.
            if let Ok(frame) = protocol::encode(&fault) {
                let _ =
                    rustix::io::write(worker::placed_status(), &frame).or_else(|_| rustix::io::write(&writer, &frame));
            }
            sys::exit_now(1)
        }
    };
    drop((writer, streams));
    let mut said = Vec::new();
    std::io::Read::read_to_end(&mut fs::File::from(reader), &mut said).step("hear from the worker")?;
    match said.as_slice() {
        [worker::READY, abi] => Ok((pid, i32::from(*abi))),
        [worker::READY, _, frame @ ..] | frame => Err(protocol::read(&mut { frame }).unwrap_or_else(|_| Fault {
            step: "start the worker".into(),
            errno: 0,
            reason: "it died before it said why".into(),
        })),
    }
}

/// Wait for the end of the code: its own, or the one that we make.
fn watch(
    channel: &mut UnixStream,
    signal: &OwnedFd,
    worker: Pid,
    limits: &Limits,
    started: Instant,
) -> Result<(Ending, u64), Fault> {
    let mut memory = memory::Watch::new(limits.memory).step("watch the memory")?;
    loop {
        if let Some(ending) = reap_until(worker) {
            return Ok((ending, memory.peak()));
        }
        let left = limits.timeout.saturating_sub(started.elapsed());
        if left.is_zero() {
            return Ok((Ending::TimedOut, memory.peak()));
        }
        if memory.exceeded().step("watch the memory")? {
            return Ok((Ending::OutOfMemory, memory.peak()));
        }
        let wait = left.min(memory::INTERVAL);
        let timeout = Timespec { tv_sec: wait.as_secs() as i64, tv_nsec: i64::from(wait.subsec_nanos()) };
        let mut fds = [PollFd::new(channel, PollFlags::IN), PollFd::new(signal, PollFlags::IN)];
        match poll(&mut fds, Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error).step("wait for the code"),
        }
        let (heard, ended) = (!fds[0].revents().is_empty(), !fds[1].revents().is_empty());
        if ended {
            sys::drain_signal(signal.as_fd());
        }
        if heard {
            // The only thing that the host says now is "kill"; a closed channel means the same. Both are final.
            return match protocol::read(channel) {
                Ok(ToInit::Kill) => Ok((Ending::TooMuchOutput, memory.peak())),
                _ => Err(lost(protocol::FrameError::Ended)),
            };
        }
    }
}

/// Reap whoever has ended; the worker's own end, if it is among them.
fn reap_until(worker: Pid) -> Option<Ending> {
    while let Ok(Some(reaped)) = sys::reap(false) {
        if reaped.pid == worker.as_raw_nonzero().get() {
            return Some(match (reaped.status, reaped.signal) {
                (Some(status), _) => Ending::Exited(status),
                (_, signal) => Ending::Signalled(signal.unwrap_or(libc::SIGKILL)),
            });
        }
    }
    None
}

/// Kill every process of the namespace but this one, until none is left.
fn kill_all() {
    loop {
        // To all at once: a fork bomb cannot outrun it, because the signal is pending before any child returns.
        sys::kill_everyone();
        if sys::reap(true).is_err() {
            return;
        }
    }
}

fn give_back(
    channel: &mut UnixStream,
    work: &fs::File,
    before: &BTreeMap<Vec<u8>, Known>,
    limits: &Limits,
) -> Result<(), Fault> {
    struct Wire<'a>(&'a mut UnixStream);
    impl Sink for Wire<'_> {
        fn piece(&mut self, path: &[u8], bytes: &[u8]) -> bool {
            protocol::write(self.0, &FromInit::File { path: path.into(), bytes: bytes.into() }).is_ok()
        }
        fn skipped(&mut self, path: &[u8], reason: &str) -> bool {
            protocol::write(self.0, &FromInit::Skipped { path: path.into(), reason: reason.into() }).is_ok()
        }
    }
    collect::changed(work, before, limits, &mut Wire(channel)).step("collect the files")?;
    say(channel, &FromInit::Done)
}
