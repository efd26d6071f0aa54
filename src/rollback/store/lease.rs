//! Who drives a thread, until when, and whether that process still lives.

use std::time::Duration;

use super::StoreError;

/// What becomes of a thread that a live owner holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnConflict {
    /// The newcomer gets `LeaseHeld`.
    Reject,
    /// The newcomer takes over; the owner gets `LeaseLost` at its next write.
    Supersede,
}

/// A wish to drive a thread.
#[derive(Debug, Clone)]
pub struct Claim {
    /// Who wants it; the same owner may take its own thread again.
    pub owner: String,
    /// How long it holds without a write.
    pub lasting: Duration,
    /// What to do if somebody else holds it.
    pub on_conflict: OnConflict,
}

/// A thread's owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// Who holds it.
    pub owner: String,
    /// What its writes must name.
    pub epoch: i64,
    /// When it ends without another write: microseconds since 1970 by the database's clock.
    pub expires_at: i64,
    /// Where it runs.
    pub process: Process,
}

/// A process, told apart from every other one before and after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// The machine's name, for people.
    pub host: String,
    /// The boot and the space of process ids in which `pid` means something; empty if the system does not say.
    pub boot: String,
    /// Its number.
    pub pid: u32,
    /// Clock ticks from boot to its start.
    pub started: i64,
}

impl Process {
    /// This process.
    #[must_use]
    pub fn own() -> Self {
        let pid = std::process::id();
        let started = if let Seen::Since(started) = seen(pid) { started } else { 0 };
        Self { host: host(), boot: boot(), pid, started }
    }

    /// Whether it is certain that it has ended. What runs on another machine, boot or container nobody here can say.
    #[must_use]
    pub fn is_dead(&self) -> bool {
        if self.boot.is_empty() || self.boot != boot() || self.host != host() {
            return false;
        }
        match seen(self.pid) {
            Seen::Since(started) => started != self.started,
            Seen::Ended => true,
            // The system may hide other users' processes: that nothing is seen of it proves nothing.
            Seen::Nothing => is_gone(self.pid),
        }
    }
}

impl Claim {
    /// Whether a thread that is held by `lease` may be taken at the time `now` of the database.
    pub(super) fn check(&self, thread_id: &str, lease: Option<&Lease>, now: i64) -> Result<(), StoreError> {
        match lease {
            Some(lease)
                if self.on_conflict == OnConflict::Reject
                    && lease.owner != self.owner
                    && lease.expires_at > now
                    && !lease.process.is_dead() =>
            {
                Err(StoreError::Held {
                    thread: thread_id.to_owned(),
                    owner: lease.owner.clone(),
                    host: lease.process.host.clone(),
                    pid: lease.process.pid,
                    seconds: (lease.expires_at - now).saturating_add(999_999) / 1_000_000,
                })
            }
            _ => Ok(()),
        }
    }

    /// Microseconds that it lasts.
    pub(super) fn micros(&self) -> i64 {
        i64::try_from(self.lasting.as_micros()).unwrap_or(i64::MAX / 4).min(i64::MAX / 4)
    }
}

fn boot() -> String {
    let id = read("/proc/sys/kernel/random/boot_id");
    let space = std::fs::read_link("/proc/self/ns/pid").map(|link| link.display().to_string());
    match space {
        Ok(space) if !id.is_empty() => format!("{id} {space}"),
        _ => String::new(),
    }
}

fn host() -> String {
    read("/proc/sys/kernel/hostname")
}

/// What the system shows of a process.
enum Seen {
    /// It lives, and began so many clock ticks after the boot.
    Since(i64),
    /// It has ended, though nobody may have asked for its exit status yet.
    Ended,
    Nothing,
}

fn seen(pid: u32) -> Seen {
    let Ok(line) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else { return Seen::Nothing };
    // The name stands in brackets and may hold anything; fields are counted after the last one.
    let mut fields = line.rsplit_once(')').map_or("", |(_, fields)| fields).split_ascii_whitespace();
    match fields.next() {
        Some("Z" | "X" | "x") => Seen::Ended,
        Some(_) => fields.nth(18).and_then(|field| field.parse().ok()).map_or(Seen::Nothing, Seen::Since),
        None => Seen::Nothing,
    }
}

/// Whether the system says that there is no such process, whoever may see it.
#[cfg(target_os = "linux")]
fn is_gone(pid: u32) -> bool {
    let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
    pid.is_some_and(|pid| rustix::process::test_kill_process(pid) == Err(rustix::io::Errno::SRCH))
}

#[cfg(not(target_os = "linux"))]
fn is_gone(_pid: u32) -> bool {
    false
}

fn read(path: &str) -> String {
    std::fs::read_to_string(path).map(|text| text.trim().to_owned()).unwrap_or_default()
}
