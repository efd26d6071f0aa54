//! The host's side: one supervisor per provider, started on first use, gone with it.

use std::ffi::OsString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::net::{AddressFamily, Shutdown, SocketFlags, SocketType};

use super::jail::OWN;
use super::messages::Order;
use super::supervisor::LONGEST_ORDER;
use super::{run, sys};
use crate::sandbox::{Interpreter, Outcome, Request, SandboxError, check, protocol};

/// Runs code in the local sandbox.
pub struct LocalProvider {
    /// The command that becomes the supervisor; gets the control socket as standard input.
    command: Vec<OsString>,
    interpreter: Interpreter,
    state: Mutex<State>,
    runs: AtomicU64,
}

enum State {
    Idle,
    Running(Arc<Supervisor>),
    Closed,
}

impl LocalProvider {
    /// A provider that starts supervisors by `command` and runs code by `interpreter`.
    pub fn new(command: Vec<OsString>, interpreter: Interpreter) -> Self {
        Self { command, interpreter, state: Mutex::new(State::Idle), runs: AtomicU64::new(0) }
    }

    /// Run code and wait for its end. Dropping the future kills the run.
    ///
    /// # Errors
    /// A [`SandboxError`] where the sandbox is at fault; what the code does is in the [`Outcome`].
    pub async fn execute(&self, request: Request) -> Result<Outcome, SandboxError> {
        check::request(&request)?;
        self.check_interpreter()?;
        let supervisor = self.supervisor()?;
        let run = self.runs.fetch_add(1, Ordering::Relaxed);
        match run::run(&supervisor, run, &self.interpreter, request).await {
            // What broke it was our own `close()`.
            Err(SandboxError::Broken(_)) if self.is_closed() => Err(SandboxError::Closed),
            result => result,
        }
    }

    /// Kill what runs and refuse what comes. Doing it twice is fine.
    pub fn close(&self) {
        let before = std::mem::replace(&mut *self.state(), State::Closed);
        // Not left to the drop: every run that is under way holds the supervisor too.
        if let State::Running(supervisor) = before {
            supervisor.shut_down();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_closed(&self) -> bool {
        matches!(*self.state(), State::Closed)
    }

    fn check_interpreter(&self) -> Result<(), SandboxError> {
        match self.interpreter.trees.iter().find(|tree| tree.starts_with(OWN)) {
            Some(tree) => Err(SandboxError::Invalid(format!(
                "the interpreter lies in {}, but {OWN} is the sandbox's own folder; move it elsewhere",
                tree.display()
            ))),
            None => Ok(()),
        }
    }

    fn supervisor(&self) -> Result<Arc<Supervisor>, SandboxError> {
        let mut state = self.state();
        match &*state {
            State::Closed => return Err(SandboxError::Closed),
            // After a fork the supervisor is still the parent's; one that has died is replaced.
            State::Running(supervisor) if supervisor.is_ours() && supervisor.is_alive() => {
                return Ok(supervisor.clone());
            }
            State::Running(supervisor) if supervisor.is_ours() => {
                tracing::warn!("the supervisor has ended by itself; starting another");
            }
            State::Running(_) | State::Idle => {}
        }
        let supervisor = Arc::new(Supervisor::start(&self.command)?);
        *state = State::Running(supervisor.clone());
        Ok(supervisor)
    }
}

/// A running supervisor, seen from the host. Dropping it ends it and every run below it.
pub struct Supervisor {
    child: Mutex<Child>,
    control: OwnedFd,
    owner: u32,
}

impl Supervisor {
    fn start(command: &[OsString]) -> Result<Self, SandboxError> {
        let failed = |error: std::io::Error| SandboxError::Start {
            step: "start the supervisor".into(),
            reason: error.to_string(),
        };
        let (ours, theirs) =
            rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
                .map_err(|errno| failed(errno.into()))?;
        let [program, arguments @ ..] = command else {
            return Err(failed(std::io::Error::other("the command is empty")));
        };
        let child = Command::new(program)
            .args(arguments)
            .arg(std::process::id().to_string())
            // Nothing of the host's environment, least of all its keys, is in a process that becomes the sandbox's.
            .env_clear()
            .stdin(Stdio::from(theirs))
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(failed)?;
        tracing::debug!(pid = child.id(), "supervisor started");
        Ok(Self { child: Mutex::new(child), control: ours, owner: std::process::id() })
    }

    fn is_ours(&self) -> bool {
        self.owner == std::process::id()
    }

    /// End the supervisor, and every run below it. A forked child of the host must not do that to its parent's.
    fn shut_down(&self) {
        if self.is_ours() {
            // Not only a close: another forked child may still hold a copy of this socket.
            let _ = rustix::net::shutdown(&self.control, Shutdown::Both);
        }
    }

    fn is_alive(&self) -> bool {
        matches!(self.child.lock().unwrap_or_else(PoisonError::into_inner).try_wait(), Ok(None))
    }

    /// Give an order, with descriptors.
    ///
    /// # Errors
    /// If the supervisor is gone; says why, if it said so on its standard error.
    pub fn order(&self, order: &Order, fds: &[BorrowedFd<'_>]) -> Result<(), SandboxError> {
        let frame = protocol::encode(order).map_err(|error| SandboxError::Broken(error.to_string()))?;
        let message = &frame[4..];
        if message.len() > LONGEST_ORDER {
            return Err(SandboxError::Invalid("the interpreter has too many or too long paths".into()));
        }
        sys::send(self.control.as_fd(), message, fds).map_err(|error| self.explain(&error.to_string()))
    }

    /// The error for a supervisor that does not answer any more.
    pub fn explain(&self, symptom: &str) -> SandboxError {
        let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        if !matches!(child.try_wait(), Ok(Some(_))) {
            return SandboxError::Broken(symptom.into());
        }
        let mut said = String::new();
        if let Some(stderr) = child.stderr.take() {
            // It has ended, so its standard error ends too; what it says is short.
            let _ = std::io::Read::read_to_string(&mut std::io::Read::take(stderr, 4096), &mut said);
        }
        SandboxError::Broken(format!("the supervisor has ended: {symptom} {}", said.trim()).trim_end().into())
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        self.shut_down();
        if self.is_ours() {
            let child = self.child.get_mut().unwrap_or_else(PoisonError::into_inner);
            // It ends by itself at once, but one that hangs (in a dead network mount, say) must not hang the host.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
