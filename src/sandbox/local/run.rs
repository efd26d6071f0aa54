//! One run, seen from the host: hand over the job, read what comes back, believe only what init says.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream as StdUnixStream;
use std::time::Duration;

use rustix::net::Shutdown;
use rustix::pipe::PipeFlags;
use tokio::io::AsyncWriteExt;
use tokio::net::unix::pipe::Receiver;
use tokio::net::{UnixStream, unix::OwnedReadHalf, unix::OwnedWriteHalf};
use tokio::sync::{Notify, watch};

use super::host::Supervisor;
use super::messages::{FromInit, Job, Order, PIECE, ToInit};
use super::remedy;
use super::streams::{LONGEST_REPORT, read, uncaught};
use crate::sandbox::protocol::{self, FrameError};
use crate::sandbox::{Ending, Interpreter, Isolation, Limits, Outcome, Request, SandboxError, Usage};

/// For building the sandbox and for taking the files out, on a machine that is busy.
const SLACK: Duration = Duration::from_secs(60);

/// Run `request` in a sandbox of `supervisor`. Dropping the future kills the run.
///
/// # Errors
/// See [`SandboxError`].
pub async fn run(
    supervisor: &Supervisor,
    run: u64,
    interpreter: &Interpreter,
    request: Request,
) -> Result<Outcome, SandboxError> {
    let (channel, pipes) = begin(supervisor, run, interpreter)?;
    let deadline = request.limits.timeout.saturating_add(SLACK);
    match tokio::time::timeout(deadline, converse(channel, pipes, interpreter, request)).await {
        Ok(Err(Talk::Lost(error))) => Err(supervisor.explain(&format!("init is gone ({error})"))),
        Ok(Err(Talk::Failed(error))) => Err(error),
        Ok(Ok(outcome)) => Ok(outcome),
        Err(_) => {
            tracing::warn!(run, "init does not answer; killing it");
            supervisor.order(&Order::Kill { run }, &[])?;
            Err(SandboxError::Broken(format!("init did not answer within {deadline:?}")))
        }
    }
}

struct Pipes {
    stdout: Receiver,
    stderr: Receiver,
    report: Receiver,
}

enum Talk {
    /// Init or the supervisor told us what failed.
    Failed(SandboxError),
    /// The channel broke.
    Lost(FrameError),
}

impl From<FrameError> for Talk {
    fn from(error: FrameError) -> Self {
        Self::Lost(error)
    }
}

impl From<std::io::Error> for Talk {
    fn from(error: std::io::Error) -> Self {
        Self::Lost(error.into())
    }
}

/// Make the descriptors of a run and send the far ends off.
fn begin(supervisor: &Supervisor, run: u64, interpreter: &Interpreter) -> Result<(Channel, Pipes), SandboxError> {
    let failed = |error: std::io::Error| SandboxError::Start {
        step: "make the descriptors of a run".into(),
        reason: error.to_string(),
    };
    let pipe = || -> std::io::Result<(Receiver, OwnedFd)> {
        let (reader, writer) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?;
        rustix::io::ioctl_fionbio(&reader, true)?;
        Ok((Receiver::from_owned_fd_unchecked(reader)?, writer))
    };
    let (ours, theirs) = StdUnixStream::pair().map_err(failed)?;
    ours.set_nonblocking(true).map_err(failed)?;
    let (stdout, out) = pipe().map_err(failed)?;
    let (stderr, err) = pipe().map_err(failed)?;
    let (report, told) = pipe().map_err(failed)?;
    let order = Order::Start { run, interpreter: interpreter.clone() };
    supervisor.order(&order, &[theirs.as_fd(), out.as_fd(), err.as_fd(), told.as_fd()])?;
    Ok((Channel::new(ours).map_err(failed)?, Pipes { stdout, stderr, report }))
}

/// The way to init. Its end is the order to kill the run, so it must be felt even where a forked child of the host holds
/// a copy of the socket.
struct Channel {
    lifeline: StdUnixStream,
    owner: u32,
    reader: OwnedReadHalf,
    writer: OwnedWriteHalf,
}

impl Channel {
    fn new(stream: StdUnixStream) -> std::io::Result<Self> {
        let lifeline = stream.try_clone()?;
        let (reader, writer) = UnixStream::from_std(stream)?.into_split();
        Ok(Self { lifeline, owner: std::process::id(), reader, writer })
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        if self.owner == std::process::id() {
            let _ = rustix::net::shutdown(&self.lifeline, Shutdown::Both);
        }
    }
}

async fn converse(
    mut channel: Channel,
    pipes: Pipes,
    interpreter: &Interpreter,
    request: Request,
) -> Result<Outcome, Talk> {
    let limits = request.limits.clone();
    let flood = Notify::new();
    let (over, wait) = watch::channel(false);
    let gather = |stream, kept| {
        let (over, limits, flood) = (wait.clone(), &limits, &flood);
        async move { Ok::<_, Talk>(read(stream, kept, limits, flood, over).await?) }
    };
    let Channel { reader, writer, .. } = &mut channel;
    let (heard, stdout, stderr, report) = tokio::try_join!(
        async {
            let heard = tokio::select! {
                heard = listen(reader, &limits) => heard?,
                error = talk(writer, interpreter, request, &flood) => return Err(error),
            };
            let _ = over.send(true);
            Ok(heard)
        },
        gather(pipes.stdout, limits.output_kept),
        gather(pipes.stderr, limits.output_kept),
        gather(pipes.report, LONGEST_REPORT),
    )?;
    Ok(Outcome {
        ending: heard.ending,
        truncated: stdout.truncated() || stderr.truncated(),
        stdout: stdout.into_kept(),
        stderr: stderr.into_kept(),
        files: heard.files,
        skipped: heard.skipped,
        duration: heard.duration,
        usage: heard.usage,
        isolation: isolation(heard.landlock),
        uncaught: matches!(heard.ending, Ending::Exited(1)).then(|| uncaught(report)).flatten(),
    })
}

/// Say what has to be said, then wait for a flood of output. Ends only with an error.
async fn talk(writer: &mut OwnedWriteHalf, interpreter: &Interpreter, request: Request, flood: &Notify) -> Talk {
    match hand_over(writer, interpreter, request).await {
        Err(error @ (FrameError::TooLong(_) | FrameError::Malformed(_))) => Talk::Lost(error),
        // Init may have failed and closed; what it said about it is worth more than that writing failed.
        Err(_) => std::future::pending().await,
        Ok(()) => {
            flood.notified().await;
            let _ = protocol::write_async(writer, &ToInit::Kill).await;
            std::future::pending().await
        }
    }
}

async fn hand_over(writer: &mut OwnedWriteHalf, interpreter: &Interpreter, request: Request) -> Result<(), FrameError> {
    let Request { code, env, files, limits } = request;
    let executable = interpreter.executable.clone();
    let job = Job { code, executable, env: environment(env), limits };
    protocol::write_async(writer, &ToInit::Job(job)).await?;
    for (path, bytes) in files {
        // An empty file is one empty piece.
        for piece in bytes.chunks(PIECE).chain(bytes.is_empty().then_some(&bytes[..])) {
            let message = ToInit::File { path: path.clone(), bytes: piece.to_vec() };
            protocol::write_async(writer, &message).await?;
        }
    }
    protocol::write_async(writer, &ToInit::Run).await?;
    Ok(writer.flush().await?)
}

/// A minimal environment, and what the user adds to it. Home is not the working directory: what libraries keep there
/// would come back as results.
fn environment(added: BTreeMap<String, String>) -> BTreeMap<String, String> {
    let minimal = [("HOME", "/tmp"), ("LANG", "C.UTF-8"), ("PATH", "/usr/bin:/bin"), ("TMPDIR", "/tmp")];
    let mut env: BTreeMap<String, String> = minimal.map(|(k, v)| (k.into(), v.into())).into();
    env.extend(added);
    env
}

/// What init said, put together.
struct Heard {
    landlock: i32,
    ending: Ending,
    duration: Duration,
    usage: Usage,
    files: BTreeMap<String, Vec<u8>>,
    skipped: Vec<(String, String)>,
}

async fn listen(reader: &mut OwnedReadHalf, limits: &Limits) -> Result<Heard, Talk> {
    let landlock = match protocol::read_async(reader).await? {
        FromInit::Started { landlock } => landlock,
        other => return Err(unexpected(other)),
    };
    let mut heard = match protocol::read_async(reader).await? {
        FromInit::Ended { ending, nanoseconds, usage } => Heard {
            landlock,
            ending,
            duration: Duration::from_nanos(nanoseconds),
            usage,
            files: BTreeMap::new(),
            skipped: Vec::new(),
        },
        other => return Err(unexpected(other)),
    };
    let mut room = limits.collected_bytes;
    loop {
        match protocol::read_async(reader).await? {
            FromInit::Done => return Ok(heard),
            FromInit::Skipped { path, reason } => {
                heard.skipped.push((String::from_utf8_lossy(&path).into_owned(), reason));
            }
            FromInit::File { path, bytes } => {
                room = room
                    .checked_sub(bytes.len() as u64)
                    .ok_or_else(|| FrameError::Malformed("more file content than was agreed".into()))?;
                heard.file(path, bytes);
            }
            other => return Err(unexpected(other)),
        }
    }
}

impl Heard {
    fn file(&mut self, path: Vec<u8>, bytes: Vec<u8>) {
        match String::from_utf8(path) {
            Ok(path) => self.files.entry(path).or_default().extend(bytes),
            Err(error) => {
                let shown = String::from_utf8_lossy(error.as_bytes()).into_owned();
                self.skipped.push((shown, "its name is not UTF-8".into()));
            }
        }
    }
}

fn unexpected(message: FromInit) -> Talk {
    match message {
        FromInit::Failed(fault) => Talk::Failed(remedy::explain(fault)),
        other => Talk::Lost(FrameError::Malformed(format!("out of turn: {:?}", std::mem::discriminant(&other)))),
    }
}

fn isolation(landlock: i32) -> Isolation {
    Isolation {
        level: "L2".into(),
        mechanisms: vec!["namespaces".into(), format!("landlock:{landlock}"), "seccomp".into(), "rlimits".into()],
        // Without a cgroup nothing divides the processors, and the kernel's own memory (locks, watches, names) that it
        // spends on the code is bounded only by counts.
        unenforced: vec!["cpus".into(), "kernel_memory".into()],
    }
}
