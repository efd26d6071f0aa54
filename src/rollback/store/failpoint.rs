//! Places where a test lets the process die, to see what a store looks like after that.
//!
//! Compiled into tests and into the feature `failpoints` only; elsewhere `pass` is nothing.

/// Every place, so that a harness can visit each of them.
pub const NAMES: [&str; 8] = [
    "begin.started",
    "commit.held",
    "commit.events",
    "commit.blobs",
    "commit.manifest",
    "commit.before",
    "commit.after",
    "prune.removed",
];

#[cfg(any(test, feature = "failpoints"))]
mod armed {
    use std::sync::Mutex;
    use std::sync::PoisonError;

    static ARMED: Mutex<Option<(String, u32)>> = Mutex::new(None);

    /// The process kills itself (SIGKILL) when it passes `name` for the `hits`-th time.
    pub fn arm(name: &str, hits: u32) {
        *ARMED.lock().unwrap_or_else(PoisonError::into_inner) = Some((name.to_owned(), hits));
    }

    pub(in super::super) fn pass(name: &str) {
        debug_assert!(super::NAMES.contains(&name), "{name} is missing in NAMES");
        let mut armed = ARMED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((wanted, left)) = armed.as_mut()
            && wanted == name
        {
            *left -= 1;
            if *left == 0 {
                let own = rustix::process::getpid();
                let _ = rustix::process::kill_process(own, rustix::process::Signal::KILL);
                // The signal is on its way; nothing may happen in between.
                loop {
                    std::thread::park();
                }
            }
        }
    }
}

#[cfg(any(test, feature = "failpoints"))]
pub use armed::arm;
#[cfg(any(test, feature = "failpoints"))]
pub(super) use armed::pass;

#[cfg(not(any(test, feature = "failpoints")))]
pub(super) fn pass(_name: &str) {}
