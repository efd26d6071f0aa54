//! Which parts this process has written or read and found good. It may be out of date: they may be gone.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::rollback::snapshot::{Address, Blob, SnapshotError};

/// Addresses that are kept at most: 2 MB of them, which stand for about 100 MB of state.
const MOST: usize = 1 << 16;

#[derive(Default)]
pub(super) struct Known {
    addresses: Mutex<HashSet<Address>>,
}

impl Known {
    pub(super) fn addresses(&self) -> MutexGuard<'_, HashSet<Address>> {
        // What is known saves time only; a panic half-way does no harm.
        self.addresses.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what was written.
    pub(super) fn add(&self, state: &[(String, Blob)]) -> Result<(), SnapshotError> {
        let mut known = self.addresses();
        for (_, blob) in state {
            let parts = blob.parts()?;
            if known.len() + parts.len() > MOST {
                known.clear();
            }
            known.extend(parts.iter().take(MOST).map(|part| *part.address()));
        }
        Ok(())
    }

    pub(super) fn forget(&self) {
        self.addresses().clear();
    }
}
