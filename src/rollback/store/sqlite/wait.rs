//! Waiting for a file that somebody else writes to.
//!
//! SQLite's own waiting sleeps longer and longer, up to 100 ms: who comes late is served first, and who has waited long
//! sleeps while the file is free. Here it is the other way round: who has waited longer looks more often, and so is
//! likelier to come next. Whoever holds a file much longer than a commit takes is only looked for now and then.

use std::cell::Cell;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How long it is waited in all.
const MOST: Duration = Duration::from_secs(30);
/// From so long waited on, so long a sleep: microseconds.
const PAUSES: [(u64, u64); 5] = [(0, 2_000), (5_000, 1_000), (15_000, 400), (100_000, 2_000), (1_000_000, 10_000)];

thread_local! {
    static BEGUN: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// SQLite asks this while the file is held; `count` starts anew with each wait. False gives up.
pub(super) fn wait(count: i32) -> bool {
    if count == 0 {
        BEGUN.set(Some(Instant::now()));
    }
    let waited = BEGUN.get().map_or(MOST, |begun| begun.elapsed());
    if waited >= MOST {
        return false;
    }
    std::thread::sleep(pause(waited, chance()));
    true
}

/// The next sleep: between a half and three halves of what the table says, so that no two stay in step.
fn pause(waited: Duration, chance: u64) -> Duration {
    let micros = u64::try_from(waited.as_micros()).unwrap_or(u64::MAX);
    let usual = PAUSES.iter().rev().find(|(from, _)| *from <= micros).map_or(PAUSES[0].1, |(_, usual)| *usual);
    Duration::from_micros(usual / 2 + chance % usual)
}

/// Not random, but not the same in two processes at a time.
fn chance() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::from(since.subsec_nanos() ^ std::process::id().rotate_left(16)).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_waited_longer_than_a_commit_takes_looks_more_often() {
        let usual = |micros| pause(Duration::from_micros(micros), 0) * 2;
        assert_eq!(usual(0), Duration::from_millis(2));
        assert!(usual(20_000) < usual(6_000) && usual(6_000) < usual(4_999));
        assert_eq!(usual(29_000_000), Duration::from_millis(10));
    }

    #[test]
    fn two_who_wait_as_long_do_not_stay_in_step() {
        let pauses: Vec<_> = (0..5_000).step_by(7).map(|chance| pause(Duration::ZERO, chance)).collect();
        let (least, most) = (pauses.iter().min().unwrap(), pauses.iter().max().unwrap());
        assert!(*most < Duration::from_millis(3) && *most > *least * 2, "{least:?} to {most:?}");
        assert!(*least >= Duration::from_millis(1));
    }
}
