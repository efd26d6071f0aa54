//! Which descriptors a forked child has to close: numbers that it can read without any lock.

use std::os::fd::RawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

/// How many scrapes are answered at once; further ones wait in the system's backlog.
pub(super) const CONNECTIONS: usize = 32;

/// One more, for the moment in which a place changes hands.
pub(super) const SLOTS: usize = CONNECTIONS + 1;

const NONE: RawFd = -1;

/// The listener's descriptor and those of the open connections.
pub(super) struct Descriptors {
    listener: AtomicI32,
    connections: [AtomicI32; SLOTS],
}

impl Descriptors {
    pub(super) fn new(listener: RawFd) -> Self {
        Self { listener: AtomicI32::new(listener), connections: [const { AtomicI32::new(NONE) }; SLOTS] }
    }

    /// Forgets the listener. Comes before its close: a number that is free may be another file's the next moment.
    pub(super) fn forget_listener(&self) {
        self.listener.store(NONE, Ordering::Release);
    }

    /// Notes a connection; the slot is free again when the guard is dropped, which must come before the close.
    pub(super) fn note(noted: &Arc<Self>, connection: RawFd) -> Option<Slot> {
        let free =
            |slot: &AtomicI32| slot.compare_exchange(NONE, connection, Ordering::AcqRel, Ordering::Relaxed).is_ok();
        let at = noted.connections.iter().position(free)?;
        Some(Slot { noted: Arc::clone(noted), at })
    }

    pub(super) fn open(&self) -> Vec<RawFd> {
        let all = std::iter::once(&self.listener).chain(&self.connections);
        all.map(|slot| slot.load(Ordering::Acquire)).filter(|descriptor| *descriptor != NONE).collect()
    }
}

/// A noted connection.
pub(super) struct Slot {
    noted: Arc<Descriptors>,
    at: usize,
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.noted.connections[self.at].store(NONE, Ordering::Release);
    }
}
