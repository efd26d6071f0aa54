//! A list that only grows, whose readers never wait.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

const FIRST_CHUNK: usize = 16;
const CHUNKS: usize = 40;

/// Values in the order they were pushed. Chunks double in size and never move, so a reader walks plain memory.
pub(super) struct AppendList<T> {
    chunks: [OnceLock<Box<[OnceLock<T>]>>; CHUNKS],
    // Published last: a value below this length is there to be read.
    length: AtomicUsize,
}

impl<T> AppendList<T> {
    pub(super) fn new() -> Self {
        Self { chunks: [const { OnceLock::new() }; CHUNKS], length: AtomicUsize::new(0) }
    }

    pub(super) fn len(&self) -> usize {
        self.length.load(Ordering::Acquire)
    }

    /// Adds a value. Callers hold the lock of the list's owner: two pushes at once would be one push lost.
    pub(super) fn push(&self, value: T) {
        let index = self.length.load(Ordering::Relaxed);
        let (chunk, offset) = place(index);
        let slots = self.chunks[chunk].get_or_init(|| (0..FIRST_CHUNK << chunk).map(|_| OnceLock::new()).collect());
        if slots[offset].set(value).is_ok() {
            self.length.store(index + 1, Ordering::Release);
        }
    }

    pub(super) fn get(&self, index: usize) -> Option<&T> {
        if index >= self.len() {
            return None;
        }
        let (chunk, offset) = place(index);
        self.chunks[chunk].get()?[offset].get()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        (0..self.len()).filter_map(|index| self.get(index))
    }
}

/// Chunk k holds `FIRST_CHUNK << k` values, so the chunk is the place of the highest bit.
fn place(index: usize) -> (usize, usize) {
    let shifted = index + FIRST_CHUNK;
    let highest = shifted.ilog2();
    let chunk = highest - FIRST_CHUNK.ilog2();
    (chunk as usize, shifted - (1 << highest))
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn values_come_back_in_order_across_chunks() {
        let list = AppendList::new();
        for value in 0..1000 {
            list.push(value);
        }
        assert_eq!(list.iter().copied().collect::<Vec<_>>(), (0..1000).collect::<Vec<_>>());
        assert_eq!(list.get(1000), None);
    }

    #[test]
    fn a_reader_beside_a_writer_sees_a_prefix() {
        let list = AppendList::new();
        thread::scope(|scope| {
            scope.spawn(|| (0..5000).for_each(|value| list.push(value)));
            for _ in 0..50 {
                let seen: Vec<i32> = list.iter().copied().collect();
                assert!(seen.iter().enumerate().all(|(at, value)| at as i32 == *value));
            }
        });
        assert_eq!(list.len(), 5000);
    }
}
