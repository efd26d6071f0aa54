//! The last state of each thread that this process wrote, so that the next one is only cut where it differs.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use crate::rollback::snapshot::{Blob, SnapshotError};

/// Shorter values are cut in less time than it takes to look for them.
const WORTH: usize = 8 << 10;
/// Bytes of values that are kept at most. They are those that the caller has, not copies.
const MOST: usize = 64 << 20;

#[derive(Default)]
pub(super) struct Recent {
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    values: HashMap<(String, String), Blob>,
    /// Oldest first.
    order: VecDeque<(String, String)>,
    bytes: usize,
}

impl Recent {
    /// Cuts and hashes the values of a state before anything is locked.
    pub(super) fn cut(&self, thread_id: &str, state: Option<&[(String, Blob)]>) -> Result<(), SnapshotError> {
        for (key, blob) in state.unwrap_or_default() {
            if blob.length()? >= WORTH {
                let name = (thread_id.to_owned(), key.clone());
                let before = self.kept().values.get(&name).cloned();
                blob.cut_after(before.as_ref())?;
                self.kept().put(name, blob.clone());
            } else {
                blob.parts()?;
            }
        }
        Ok(())
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        // What is kept saves time only; a panic half-way does no harm.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn put(&mut self, name: (String, String), blob: Blob) {
        let length = |blob: &Blob| blob.length().unwrap_or(0);
        self.bytes += length(&blob);
        match self.values.insert(name.clone(), blob) {
            Some(before) => self.bytes -= length(&before),
            None => self.order.push_back(name),
        }
        while self.bytes > MOST {
            let Some(oldest) = self.order.pop_front() else { break };
            if let Some(gone) = self.values.remove(&oldest) {
                self.bytes -= length(&gone);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rollback::Value;

    #[test]
    fn no_more_is_kept_than_allowed() {
        let (recent, big) = (Recent::default(), Value::Bytes(vec![1; 20 << 20]));
        for number in 0..6 {
            let state = [(number.to_string(), Blob::encode(&big).unwrap())];
            recent.cut("t", Some(&state)).unwrap();
        }
        let kept = recent.kept();
        assert!(kept.bytes <= MOST, "{}", kept.bytes);
        assert_eq!((kept.values.len(), kept.order.len()), (3, 3));
        assert!(kept.values.contains_key(&("t".to_owned(), "5".to_owned())));
    }
}
