//! Memory of the whole tree where no cgroup bounds it.
//!
//! The sum of resident sets is only the cheap trigger: forked processes share most of theirs. Above the limit the
//! proportional set size (Linux `smaps_rollup`) decides, with the scratch file systems added. Shared memory is counted
//! there and nowhere else: every such page lies on them, because the system call filter refuses the other kinds.

use std::fs;
use std::time::{Duration, Instant};

use super::jail::WORK;
use super::sys;

/// What a socket may hold in buffers that belong to no process: twice the usual `net.core.wmem_default`, which the system
/// call filter lets nobody raise.
const SOCKET_BUFFERS: u64 = 416 << 10;

/// Watches the processes of this pid namespace against a limit in bytes.
pub struct Watch {
    limit: u64,
    peak: u64,
    next: Instant,
}

/// How often the tree is looked at. Not more often, whatever wakes init up: the code could make it spin.
pub const INTERVAL: Duration = Duration::from_millis(20);

impl Watch {
    /// A watch against `limit` bytes.
    ///
    /// # Errors
    /// If `/proc` cannot be read at all: a watch that sees nothing must not pretend to watch.
    pub fn new(limit: u64) -> std::io::Result<Self> {
        fs::read_dir("/proc")?;
        sockets()?;
        Ok(Self { limit, peak: 0, next: Instant::now() })
    }

    /// The highest sum seen, in bytes.
    pub fn peak(&self) -> u64 {
        self.peak
    }

    /// Whether the tree is over its limit, if it is time to look.
    ///
    /// # Errors
    /// If `/proc` cannot be read any more: the run must not go on unwatched.
    pub fn exceeded(&mut self) -> std::io::Result<bool> {
        let now = Instant::now();
        if now < self.next {
            return Ok(false);
        }
        self.next = now + INTERVAL;
        let scratch = scratch_bytes()?;
        let buffers = sockets()? * SOCKET_BUFFERS;
        let mut total = processes()?.map(|pid| resident(&pid)).sum::<u64>() + scratch;
        if total + buffers > self.limit {
            total = proportional_sum(processes()?, self.limit) + scratch;
        }
        // What the buffers could hold counts against the limit, but is no measurement.
        self.peak = self.peak.max(total);
        Ok(total + buffers > self.limit)
    }
}

/// Everybody in the namespace but init itself, each by a thread that still has its memory.
fn processes() -> std::io::Result<impl Iterator<Item = String>> {
    let names = fs::read_dir("/proc")?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name != "1" && name.bytes().all(|byte| byte.is_ascii_digit()));
    Ok(names.map(|pid| if resident(&pid) > 0 { pid } else { living_thread(&pid).unwrap_or(pid) }))
}

/// A process whose first thread has ended shows no memory under its own number, only under those of the others.
fn living_thread(pid: &str) -> Option<String> {
    fs::read_dir(format!("/proc/{pid}/task"))
        .ok()?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .find(|thread| resident(thread) > 0)
}

/// The sum of fields in KiB, such as `Pss:     12 kB`, in bytes.
fn kib(text: &str, fields: &[&str]) -> u64 {
    text.lines()
        .filter_map(|line| {
            let (name, value) = line.split_once(':')?;
            fields.contains(&name).then(|| value.trim().strip_suffix(" kB")?.parse::<u64>().ok()).flatten()
        })
        .sum::<u64>()
        * 1024
}

/// Private memory, mapped files and page tables, in memory or swapped out. One that has just ended counts nothing.
fn resident(pid: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    kib(&status, &["RssAnon", "RssFile", "VmSwap", "VmPTE"])
}

/// The same with shared pages divided by those who share them, and memory of several processes counted once.
///
/// Stops above `enough`: while the rest is looked at, it could grow.
fn proportional_sum(processes: impl Iterator<Item = String>, enough: u64) -> u64 {
    let mut counted: Vec<String> = Vec::new();
    let mut sum = 0;
    for pid in processes {
        // Between `vfork` and `execve` parent and child are two processes with one memory.
        if !counted.iter().any(|other| sys::same_memory(other, &pid)) {
            sum += proportional(&pid);
            counted.push(pid);
            if sum > enough {
                break;
            }
        }
    }
    sum
}

fn proportional(pid: &str) -> u64 {
    let read = |file: &str| fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default();
    let rollup = read("smaps_rollup");
    let all = kib(&rollup, &["Pss", "SwapPss"]) + kib(&read("status"), &["VmPTE"]);
    all.saturating_sub(kib(&rollup, &["Pss_Shmem"]))
}

/// What the scratch file system holds: its pages are memory too.
fn scratch_bytes() -> std::io::Result<u64> {
    let stat = rustix::fs::statvfs(WORK)?;
    Ok((stat.f_blocks - stat.f_bfree) * stat.f_frsize)
}

/// How many sockets the network namespace has, those on their way through other sockets included.
fn sockets() -> std::io::Result<u64> {
    let text = fs::read_to_string("/proc/self/net/sockstat")?;
    let used = text.lines().find_map(|line| line.strip_prefix("sockets: used ")?.trim().parse().ok());
    used.ok_or_else(|| std::io::Error::other("/proc/self/net/sockstat does not say how many sockets are used"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn named_fields_are_summed_and_others_are_not() {
        let text = "Name:\tRssAnon: 7 kB\nRssAnon:\t      12 kB\nRssFile:\t 3 kB\nRssShmem:\t 9 kB\nThreads:\t1\n";
        assert_eq!(kib(text, &["RssAnon", "RssFile", "Threads"]), 15 * 1024);
    }

    #[test]
    fn this_process_shares_memory_with_itself_and_not_with_its_parent() {
        let (own, parent) = (std::process::id().to_string(), std::os::unix::process::parent_id().to_string());
        assert!(resident(&own) > 0);
        assert!(sys::same_memory(&own, &own));
        assert!(!sys::same_memory(&own, &parent));
    }
}
