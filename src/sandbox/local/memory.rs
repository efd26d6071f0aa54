//! Memory of the whole tree where no cgroup bounds it.
//!
//! The sum of resident sets is only the cheap trigger: forked processes share most of theirs. Above the limit the
//! proportional set size (Linux `smaps_rollup`) decides, with the scratch file systems added.

use std::fs;

use super::jail::WORK;

/// Watches the processes of this pid namespace against a limit in bytes.
pub struct Watch {
    limit: u64,
    page: u64,
    peak: u64,
}

impl Watch {
    /// A watch against `limit` bytes.
    ///
    /// # Errors
    /// If `/proc` cannot be read at all: a watch that sees nothing must not pretend to watch.
    pub fn new(limit: u64) -> std::io::Result<Self> {
        fs::read_dir("/proc")?;
        Ok(Self { limit, page: rustix::param::page_size() as u64, peak: 0 })
    }

    /// The highest sum seen, in bytes.
    pub fn peak(&self) -> u64 {
        self.peak
    }

    /// Whether the tree is over its limit now.
    pub fn exceeded(&mut self) -> bool {
        let scratch = scratch_bytes();
        let resident: u64 = processes().map(|pid| resident(&pid) * self.page).sum();
        let mut total = resident + scratch;
        if total > self.limit {
            total = processes().map(|pid| proportional(&pid)).sum::<u64>() + scratch;
        }
        self.peak = self.peak.max(total);
        total > self.limit
    }
}

/// Everybody in the namespace but init itself.
fn processes() -> impl Iterator<Item = String> {
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name != "1" && name.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Resident pages: the second field of `statm`.
fn resident(pid: &str) -> u64 {
    let statm = fs::read_to_string(format!("/proc/{pid}/statm")).unwrap_or_default();
    statm.split(' ').nth(1).and_then(|pages| pages.parse().ok()).unwrap_or(0)
}

/// Bytes by the `Pss:` line of `smaps_rollup`; a process that has just ended counts nothing.
fn proportional(pid: &str) -> u64 {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    rollup
        .lines()
        .find_map(|line| line.strip_prefix("Pss:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok())
        .map_or(0, |kib| kib * 1024)
}

/// What the scratch file system holds: its pages are memory too.
fn scratch_bytes() -> u64 {
    rustix::fs::statvfs(WORK).map_or(0, |stat| (stat.f_blocks - stat.f_bfree) * stat.f_frsize)
}
