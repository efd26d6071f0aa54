//! The process between the host and the sandboxes: small, with one thread, so that it can fork cheaply and safely.
//!
//! It is the extension module run by a bare interpreter that never gets control back. When its control socket closes,
//! because the host has closed the sandbox or is dead, it ends, and every init dies with it.

use std::collections::BTreeMap;
use std::fs;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::Mode;
use rustix::process::{Pid, Signal};

use super::init::{self, INNER_ID, Inheritance};
use super::messages::{FromInit, Order, START_DESCRIPTORS};
use super::sys::{self, Fault, Forked, Step};
use super::worker::Streams;
use super::{jail, view};
use crate::sandbox::{Interpreter, protocol};

/// As root, the identities outside: high ones that no account uses, never 0. Each run has its own, because the kernel
/// counts some things by user (queued signals, pages in pipes, descriptors on their way), and runs must not starve
/// each other.
const OUTER_IDS: std::ops::Range<u32> = 1_879_048_192..1_879_048_192 + (1 << 16);

const NAMESPACES: libc::c_int = libc::CLONE_NEWUSER
    | libc::CLONE_NEWNS
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWCGROUP;

/// The longest order, in bytes: an interpreter with its trees.
pub const LONGEST_ORDER: usize = 64 << 10;

/// Serve orders from the control socket until it closes or the process `host` ends. Never returns.
pub fn run(control: OwnedFd, host: u32) -> ! {
    let status = match serve(&control, host) {
        Ok(()) => 0,
        Err(fault) => {
            eprintln!("{}: {}", fault.step, fault.reason);
            1
        }
    };
    sys::exit_now(status)
}

fn serve(control: &OwnedFd, host: u32) -> Result<(), Fault> {
    sys::default_signals();
    sys::ignore_broken_pipes();
    // Ctrl-C in the host's terminal reaches the whole process group; the host decides what it means.
    let _ = rustix::process::setsid();
    // Not the parent's death signal: it is bound to the thread that spawned us, and threads of a host come and go. Nor
    // the socket alone: a forked child of the host holds a copy of its other end.
    let host = watch_host(host).step("watch the host")?;
    std::env::set_current_dir("/").step("leave the working directory")?;
    // The host's would also hold for the folders that are built for the code, and be the code's own.
    rustix::process::umask(Mode::from_raw_mode(0o022));
    let signal = sys::child_signal().step("watch for the end of children")?;
    let mut inits: BTreeMap<u64, (Pid, OwnedFd)> = BTreeMap::new();
    loop {
        let mut fds = [control, &signal, &host].map(|fd| PollFd::new(fd, PollFlags::IN));
        match poll(&mut fds, None) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error).step("wait for orders"),
        }
        if !fds[2].revents().is_empty() {
            return Ok(());
        }
        let (ordered, ended) = (!fds[0].revents().is_empty(), !fds[1].revents().is_empty());
        if ended {
            sys::drain_signal(signal.as_fd());
            while let Ok(Some(reaped)) = sys::reap(false) {
                inits.retain(|_, (pid, _)| pid.as_raw_nonzero().get() != reaped.pid);
            }
        }
        if ordered && !obey(control, &mut inits)? {
            return Ok(());
        }
    }
}

fn watch_host(host: u32) -> std::io::Result<OwnedFd> {
    let gone = || std::io::Error::other("the host has ended");
    let parent = rustix::process::getppid().filter(|pid| pid.as_raw_nonzero().get() as u32 == host).ok_or_else(gone)?;
    let pidfd = rustix::process::pidfd_open(parent, rustix::process::PidfdFlags::empty())?;
    // The number may have been given to somebody else between the two calls.
    if rustix::process::getppid() == Some(parent) { Ok(pidfd) } else { Err(gone()) }
}

/// Take one order; false when the host is gone.
fn obey(control: &OwnedFd, inits: &mut BTreeMap<u64, (Pid, OwnedFd)>) -> Result<bool, Fault> {
    let mut buffer = vec![0; LONGEST_ORDER];
    let (length, fds) = sys::receive(control.as_fd(), &mut buffer).step("receive an order")?;
    if length == 0 {
        return Ok(false);
    }
    match protocol::decode(&buffer[..length]) {
        Ok(Order::Start { run, interpreter }) => {
            if let Some(init) = start(&interpreter, fds) {
                inits.insert(run, init);
            }
        }
        Ok(Order::Kill { run }) => {
            if let Some((_, pidfd)) = inits.get(&run) {
                let _ = rustix::process::pidfd_send_signal(pidfd, Signal::KILL);
            }
        }
        Err(error) => return Err(Fault { step: "read an order".into(), errno: 0, reason: error.to_string() }),
    }
    Ok(true)
}

/// Make an init. What fails is told to the host on the run's own channel.
fn start(interpreter: &Interpreter, fds: Vec<OwnedFd>) -> Option<(Pid, OwnedFd)> {
    let [channel, stdout, stderr, report] = <[OwnedFd; START_DESCRIPTORS]>::try_from(fds).ok()?;
    let mut channel = UnixStream::from(channel);
    match clone_init(&channel, interpreter, Streams { stdout, stderr, report }) {
        Ok(init) => Some(init),
        Err(fault) => {
            let _ = protocol::write(&mut channel, &FromInit::Failed(fault));
            None
        }
    }
}

fn clone_init(channel: &UnixStream, interpreter: &Interpreter, streams: Streams) -> Result<(Pid, OwnedFd), Fault> {
    let root = rustix::process::geteuid().is_root();
    let view = view::plan(interpreter);
    // Root may see what the mapped identity may not: an interpreter in a folder of mode 700, for one. A root that is
    // not allowed to (in a container) leaves it to init.
    let trees = if root { jail::take_trees(&view).ok() } else { None };
    let (mapped, map_done) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).step("make a pipe")?;
    let own = channel.try_clone().step("copy the channel")?;
    match sys::fork(NAMESPACES).step("make namespaces")? {
        Forked::Child => {
            let inheritance = Inheritance { channel: own, streams, mapped, view, trees };
            // Not the control socket, not the way to other runs, and not the pipe whose end means "give up".
            init::close_all_but(&inheritance);
            init::run(inheritance)
        }
        Forked::Parent(pid, pidfd) => {
            // On an error `map_done` closes unwritten, and init gives up by itself.
            map_identity(pid, root)?;
            rustix::io::write(&map_done, &[1]).step("wake init")?;
            Ok((pid, pidfd))
        }
    }
}

fn map_identity(pid: Pid, root: bool) -> Result<(), Fault> {
    let (user, group) = if root {
        let own = |file: &str| {
            let path = format!("/proc/self/{file}");
            let map = fs::read_to_string(&path).step(format!("read {path}"))?;
            Ok(outer_id(&map, pid.as_raw_nonzero().get() as u32))
        };
        (own("uid_map")?, own("gid_map")?)
    } else {
        (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw())
    };
    let write = |file: &str, text: String| {
        let path = format!("/proc/{}/{file}", pid.as_raw_nonzero());
        fs::write(&path, text).step(format!("write {file} of the user namespace"))
    };
    if !root {
        write("setgroups", "deny".into())?;
    }
    write("uid_map", format!("{INNER_ID} {user} 1"))?;
    write("gid_map", format!("{INNER_ID} {group} 1"))
}

/// The identity outside for the run of init `pid`, given the identity map of our own user namespace.
///
/// Where that has no high identities (root of a rootless container), the highest that there is: 0 only if it is the only
/// one, and then it is an ordinary user's further out.
fn outer_id(map: &str, pid: u32) -> u32 {
    let wanted = OUTER_IDS.start + pid % (OUTER_IDS.end - OUTER_IDS.start);
    let ranges = map.lines().filter_map(|line| {
        let mut numbers = line.split_whitespace().map(|number| number.parse::<u32>().ok());
        let (first, _, count) = (numbers.next()??, numbers.next()??, numbers.next()??);
        Some(first..=first.saturating_add(count.checked_sub(1)?))
    });
    let mut highest = 0;
    for range in ranges {
        if range.contains(&wanted) {
            return wanted;
        }
        highest = highest.max(*range.end());
    }
    highest
}

/// Take the control socket from its place as standard input.
///
/// # Errors
/// If it cannot be moved away.
pub fn control_from_stdin() -> std::io::Result<OwnedFd> {
    // SAFETY: standard input is open for the whole life of this process; it is only copied.
    let stdin = unsafe { BorrowedFd::borrow_raw(0) };
    let control = rustix::io::fcntl_dupfd_cloexec(stdin, 3)?;
    let null = fs::File::open("/dev/null")?;
    sys::place(null.as_fd(), 0)?;
    Ok(control)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_root_have_high_identities_of_their_own() {
        let all = "         0          0 4294967295\n";
        assert_eq!(outer_id(all, 7), OUTER_IDS.start + 7);
        assert_ne!(outer_id(all, 7), outer_id(all, 8));
        assert!(OUTER_IDS.contains(&outer_id(all, u32::MAX)));
    }

    #[test]
    fn without_high_identities_the_highest_is_taken() {
        assert_eq!(outer_id("0 1000 1\n1 100000 65536\n", 7), 65536);
        assert_eq!(outer_id("0 1000 1\n", 7), 0);
    }
}
