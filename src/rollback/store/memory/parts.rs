//! Parts of snapshots and how many places name each.

use std::collections::HashMap;
use std::sync::Arc;

use crate::rollback::snapshot::{Address, Blob, Part};

#[derive(Default)]
pub(super) struct Parts {
    kept: HashMap<Address, (Arc<Part>, u64)>,
}

impl Parts {
    /// Takes the parts of one value, children first, and counts one reference to the last. Returns the new bytes.
    pub(super) fn add(&mut self, parts: &[Arc<Part>]) -> u64 {
        let mut bytes = 0;
        for part in parts {
            if self.kept.contains_key(part.address()) {
                continue;
            }
            bytes += part.weight() as u64;
            self.kept.insert(*part.address(), (Arc::clone(part), 0));
            for child in part.children() {
                self.count(&child.address);
            }
        }
        if let Some(root) = parts.last() {
            self.count(root.address());
        }
        bytes
    }

    fn count(&mut self, address: &Address) {
        if let Some((_, count)) = self.kept.get_mut(address) {
            *count += 1;
        }
    }

    /// Takes one reference away; what nothing names any more goes. Returns how many parts and bytes went.
    pub(super) fn release(&mut self, root: Address) -> (u64, u64) {
        let (mut parts, mut bytes) = (0, 0);
        let mut waiting = vec![root];
        while let Some(address) = waiting.pop() {
            let Some((_, count)) = self.kept.get_mut(&address) else { continue };
            *count -= 1;
            if *count == 0
                && let Some((part, _)) = self.kept.remove(&address)
            {
                parts += 1;
                bytes += part.weight() as u64;
                waiting.extend(part.children().iter().map(|child| child.address));
            }
        }
        (parts, bytes)
    }

    pub(super) fn blob(&self, root: Address) -> Option<Blob> {
        Blob::from_memory(root, |address| self.kept.get(address).map(|(part, _)| part.as_ref()))
    }

    /// How many parts, and their bytes.
    pub(super) fn size(&self) -> (u64, u64) {
        (self.kept.len() as u64, self.kept.values().map(|(part, _)| part.weight() as u64).sum())
    }
}
