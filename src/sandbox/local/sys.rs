//! The system calls that neither std nor rustix wraps, and one error type that names the step.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use rustix::process::Pid;
use serde::{Deserialize, Serialize};

/// A step of building or watching a sandbox that failed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Fault {
    /// What was being done.
    pub step: String,
    /// The kernel's error number, 0 where none applies.
    pub errno: i32,
    /// What went wrong, in words.
    pub reason: String,
}

/// Names the step of a failed call.
pub trait Step<T> {
    /// Turn the error into a [`Fault`] of this step.
    fn step(self, name: impl Into<String>) -> Result<T, Fault>;
}

impl<T, E: Into<io::Error>> Step<T> for Result<T, E> {
    fn step(self, name: impl Into<String>) -> Result<T, Fault> {
        self.map_err(|error| {
            let error: io::Error = error.into();
            Fault { step: name.into(), errno: error.raw_os_error().unwrap_or(0), reason: error.to_string() }
        })
    }
}

fn check(result: libc::c_long) -> io::Result<libc::c_long> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// What [`fork`] returned, and where.
pub enum Forked {
    /// In the caller: the child, as a process id and as a descriptor.
    Parent(Pid, OwnedFd),
    /// In the child.
    Child,
}

/// Fork with namespace flags, as `fork()` with `clone(2)`'s flags.
///
/// The child shares nothing with the caller but the descriptors. Only for a process with one thread: nothing runs the
/// C library's fork handlers.
///
/// # Errors
/// What `clone(2)` gives: EPERM or ENOSPC where user namespaces are refused.
pub fn fork(namespaces: libc::c_int) -> io::Result<Forked> {
    let mut pidfd: RawFd = -1;
    let flags = (namespaces | libc::CLONE_PIDFD | libc::SIGCHLD) as libc::c_ulong;
    // SAFETY: without CLONE_VM the child gets its own copy of memory, so a null stack means "go on with the caller's";
    // `pidfd` outlives the call. The caller has one thread, so no lock can be held by another one.
    let pid = check(unsafe {
        libc::syscall(libc::SYS_clone, flags, 0usize, std::ptr::from_mut(&mut pidfd), 0usize, 0usize)
    })?;
    match Pid::from_raw(pid as libc::pid_t) {
        // SAFETY: the kernel put a new descriptor there, which nobody else owns.
        Some(pid) => Ok(Forked::Parent(pid, unsafe { OwnedFd::from_raw_fd(pidfd) })),
        None => Ok(Forked::Child),
    }
}

/// End this process at once: no destructors, no exit handlers of the interpreter that it was forked from.
pub fn exit_now(status: i32) -> ! {
    // SAFETY: `_exit` takes any status and does not return.
    unsafe { libc::_exit(status) }
}

fn close_range(first: libc::c_uint, last: libc::c_uint) -> io::Result<()> {
    // SAFETY: plain integers; the caller gives up every descriptor in the range and drops no owner of one.
    check(unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) }).map(drop)
}

/// Close every descriptor from `first` on.
///
/// # Errors
/// ENOSYS before Linux 5.9.
pub fn close_from(first: RawFd) -> io::Result<()> {
    close_range(first as libc::c_uint, libc::c_uint::MAX)
}

/// Close every descriptor but the standard ones and these. For a process that will never run destructors.
pub fn close_all_but<'fd>(kept: impl Iterator<Item = BorrowedFd<'fd>>) {
    let mut kept: Vec<libc::c_uint> = kept.map(|fd| fd.as_raw_fd() as libc::c_uint).collect();
    kept.sort_unstable();
    let mut first = 3;
    for fd in kept {
        if fd > first {
            let _ = close_range(first, fd - 1);
        }
        first = first.max(fd + 1);
    }
    let _ = close_range(first, libc::c_uint::MAX);
}

/// Whether two processes, given by number, have one and the same memory; false where the kernel does not tell.
pub fn same_memory(one: &str, other: &str) -> bool {
    const KCMP_VM: libc::c_int = 1;
    let (Ok(one), Ok(other)) = (one.parse::<libc::pid_t>(), other.parse::<libc::pid_t>()) else { return false };
    // SAFETY: plain integers.
    unsafe { libc::syscall(libc::SYS_kcmp, one, other, KCMP_VM, 0, 0) == 0 }
}

/// Kill every process that this one may signal but itself: all others, for process 1 of a pid namespace.
pub fn kill_everyone() {
    // SAFETY: plain integers. ESRCH, when nobody is left, is what the caller wants to reach.
    unsafe { libc::kill(-1, libc::SIGKILL) };
}

/// Writing to a peer that is gone is an error, not a death.
pub fn ignore_broken_pipes() {
    // SAFETY: SIG_IGN is valid for SIGPIPE.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
}

/// Put `from` at the number `to`, to be inherited across `execve`.
///
/// # Errors
/// What `dup2(2)` gives.
pub fn place(from: BorrowedFd<'_>, to: RawFd) -> io::Result<()> {
    if from.as_raw_fd() == to {
        // dup2 onto itself would leave close-on-exec set.
        // SAFETY: F_SETFD takes an integer and touches only the descriptor's flags.
        return check(unsafe { libc::fcntl(to, libc::F_SETFD, 0) }.into()).map(drop);
    }
    // SAFETY: both are plain numbers; what was open at `to` is given up by the caller.
    check(unsafe { libc::dup2(from.as_raw_fd(), to) }.into()).map(drop)
}

/// Make a mount, and all below it, read-only and without set-id programs and device nodes.
///
/// # Errors
/// What `mount_setattr(2)` gives; ENOSYS before Linux 5.12.
pub fn restrict_mount(tree: BorrowedFd<'_>, attributes: u64, recursive: bool) -> io::Result<()> {
    let wanted = libc::mount_attr { attr_set: attributes, attr_clr: 0, propagation: 0, userns_fd: 0 };
    let flags = libc::AT_EMPTY_PATH | if recursive { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: the path is an empty C string, `wanted` lives across the call and its true size is given.
    check(unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            tree.as_raw_fd(),
            c"".as_ptr(),
            flags,
            std::ptr::from_ref(&wanted),
            size_of::<libc::mount_attr>(),
        )
    })
    .map(drop)
}

/// Give up every capability, for good, in all five sets.
///
/// # Errors
/// What `prctl(2)` and `capset(2)` give.
pub fn drop_capabilities() -> io::Result<()> {
    for capability in 0..64 {
        // SAFETY: plain integers. EINVAL marks the end of the capabilities that this kernel knows.
        if unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) } != 0 {
            break;
        }
    }
    rustix::thread::clear_ambient_capability_set()?;
    let none = rustix::thread::CapabilitySet::empty();
    rustix::thread::set_capabilities(
        None,
        rustix::thread::CapabilitySets { effective: none, permitted: none, inheritable: none },
    )?;
    Ok(())
}

/// A descriptor that becomes readable when a child ends; SIGCHLD is blocked for good.
///
/// # Errors
/// What `sigprocmask(2)` and `signalfd(2)` give.
pub fn child_signal() -> io::Result<OwnedFd> {
    // SAFETY: the set is initialised by sigemptyset before it is read; the new descriptor is owned by nobody else.
    unsafe {
        let mut set = std::mem::zeroed::<libc::sigset_t>();
        libc::sigemptyset(&raw mut set);
        libc::sigaddset(&raw mut set, libc::SIGCHLD);
        check(libc::sigprocmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut()).into())?;
        let fd = check(libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK).into())?;
        Ok(OwnedFd::from_raw_fd(fd as RawFd))
    }
}

/// Read away what [`child_signal`] reported.
pub fn drain_signal(signal: BorrowedFd<'_>) {
    let mut buffer = [0u8; 1024];
    while rustix::io::read(signal, &mut buffer).is_ok_and(|n| n == buffer.len()) {}
}

/// Set every signal back to its default action and unblock all: the interpreter that we were forked from ignores some.
pub fn default_signals() {
    for signal in 1..=64 {
        // SAFETY: SIG_DFL is valid for each; those that cannot be changed fail and stay as they are.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    // SAFETY: an empty set, initialised before use.
    unsafe {
        let mut none = std::mem::zeroed::<libc::sigset_t>();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut());
    }
}

/// How one reaped child ended.
#[derive(Debug, Clone, Copy)]
pub struct Reaped {
    /// Which one.
    pub pid: libc::pid_t,
    /// Exit status, if it exited.
    pub status: Option<i32>,
    /// Signal, if it was killed.
    pub signal: Option<i32>,
}

/// Reap one child that has ended; `None` if none has. With `block`, wait for one.
///
/// # Errors
/// ECHILD when there are no children.
pub fn reap(block: bool) -> io::Result<Option<Reaped>> {
    let mut status: libc::c_int = 0;
    let flags = libc::__WALL | if block { 0 } else { libc::WNOHANG };
    // SAFETY: `status` outlives the call.
    let pid = check(unsafe { libc::waitpid(-1, &raw mut status, flags) }.into())? as libc::pid_t;
    if pid == 0 {
        return Ok(None);
    }
    let exited = libc::WIFEXITED(status).then(|| libc::WEXITSTATUS(status));
    let signal = libc::WIFSIGNALED(status).then(|| libc::WTERMSIG(status));
    Ok(Some(Reaped { pid, status: exited, signal }))
}

/// CPU time of all reaped descendants, and the largest resident set among them in bytes.
pub fn children_usage() -> (std::time::Duration, u64) {
    // SAFETY: an all-zero rusage is valid, and it outlives the call.
    let usage = unsafe {
        let mut usage = std::mem::zeroed::<libc::rusage>();
        libc::getrusage(libc::RUSAGE_CHILDREN, &raw mut usage);
        usage
    };
    let time = |t: libc::timeval| std::time::Duration::new(t.tv_sec as u64, t.tv_usec as u32 * 1000);
    (time(usage.ru_utime) + time(usage.ru_stime), usage.ru_maxrss as u64 * 1024)
}

/// Receive one message and the descriptors that came with it. An empty message means that the peer is gone.
///
/// # Errors
/// What `recvmsg(2)` gives.
pub fn receive(socket: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<(usize, Vec<OwnedFd>)> {
    use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags};
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(8))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received =
        rustix::net::recvmsg(socket, &mut [io::IoSliceMut::new(buffer)], &mut control, RecvFlags::CMSG_CLOEXEC)?;
    let mut fds = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            fds.extend(rights);
        }
    }
    Ok((received.bytes, fds))
}

/// Send one message with descriptors.
///
/// # Errors
/// What `sendmsg(2)` gives.
pub fn send(socket: BorrowedFd<'_>, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<()> {
    use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags};
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(8))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !control.push(SendAncillaryMessage::ScmRights(fds)) {
        return Err(io::Error::from_raw_os_error(libc::E2BIG));
    }
    rustix::net::sendmsg(socket, &[io::IoSlice::new(bytes)], &mut control, SendFlags::NOSIGNAL)?;
    Ok(())
}
