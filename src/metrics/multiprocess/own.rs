//! The file of this process: made at the start, grown as series come, replaced after a fork.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use rustix::fs::{FallocateFlags, fallocate};

use super::files::{ENDING, make};
use super::format::{HEAD, MOST_WORDS, USED, head};
use super::read::{Content, Record};
use crate::metrics::mmap;

const GROWTH: usize = 32 << 10;
const ATTEMPTS: u64 = 1000;

/// Words that other processes can read. The mapping is made once and keeps its place, also across a fork.
pub(super) struct Own {
    directory: PathBuf,
    words: &'static [AtomicU64],
    // Only writers look in here; in a Python process they hold the GIL, so no fork can catch it locked.
    state: Mutex<State>,
    // The number in the file's name, for readers, who take no lock.
    identity: [AtomicU64; 2],
    full: AtomicBool,
}

struct State {
    // Holds the lock that says that this process lives.
    file: Option<File>,
    used: usize,
    capacity: usize,
}

impl Own {
    /// A file in `directory`, which must be there.
    pub(super) fn make(directory: &Path) -> io::Result<Self> {
        let (file, identity) = new_file(directory)?;
        reserve(&file, 0, GROWTH)?;
        file.write_all_at(&bytes_of(&head(HEAD, 0)), 0)?;
        Ok(Self {
            directory: directory.to_owned(),
            words: mmap::map(&file, MOST_WORDS)?,
            state: Mutex::new(State { file: Some(file), used: HEAD, capacity: GROWTH }),
            identity: identity.map(AtomicU64::new),
            full: AtomicBool::new(false),
        })
    }

    /// The file's name; `None` if this process, after a fork, could make none.
    pub(super) fn name(&self) -> Option<String> {
        let identity = self.identity.each_ref().map(|part| part.load(Ordering::Acquire));
        (identity[0] != 0).then(|| name_of(identity))
    }

    /// Appends a record and returns the word at which it starts; `None` if there is no room on the disk or in the file.
    pub(super) fn append(&self, record: &[u64]) -> Option<usize> {
        let mut state = self.lock();
        let (start, end) = (state.used, state.used + record.len());
        if let Err(error) = state.reach(end) {
            if !self.full.swap(true, Ordering::Relaxed) {
                tracing::warn!(
                    target: "hagane::metrics",
                    "the file {} cannot grow ({error}); further series are seen only when this very process is scraped",
                    self.directory.join(self.name().unwrap_or_default()).display(),
                );
            }
            return None;
        }
        for (word, value) in self.words[start..end].iter().zip(record) {
            word.store(*value, Ordering::Relaxed);
        }
        state.used = end;
        // Readers trust what is below this number, so it comes last.
        self.words[USED].store(end as u64, Ordering::Release);
        Some(start)
    }

    /// The words from `start`, which `append` returned for a record that is at least that long.
    pub(super) fn words(&self, start: usize, count: usize) -> &'static [AtomicU64] {
        &self.words[start..start + count]
    }

    /// For a child after `fork()`: a file of its own under the same words, with the same series, all at 0. If there
    /// can be none, the words are in the child's own memory, so that it never writes to its parent's.
    pub(super) fn be_born_again(&self) -> io::Result<()> {
        let mut state = self.lock();
        // The parent's lock stays the parent's: closing this copy of its descriptor does not release it.
        state.file = None;
        let reborn = self.copy_with_zeros(&state);
        match reborn.and_then(|(file, identity)| mmap::replace(self.words, &file).map(|()| (file, identity))) {
            Ok((file, identity)) => {
                state.file = Some(file);
                for (part, value) in self.identity.iter().zip(identity) {
                    part.store(value, Ordering::Release);
                }
                Ok(())
            }
            Err(error) => {
                mmap::detach(self.words)?;
                self.identity[0].store(0, Ordering::Release);
                Err(error)
            }
        }
    }

    fn copy_with_zeros(&self, state: &State) -> io::Result<(File, [u64; 2])> {
        let mut words: Vec<u64> = self.words[..state.used].iter().map(|word| word.load(Ordering::Relaxed)).collect();
        words[USED] = state.used as u64;
        for cells in cells_of(&words) {
            words[cells].fill(0);
        }
        let (file, identity) = new_file(&self.directory)?;
        reserve(&file, 0, state.capacity)?;
        // The magic comes last: until then the file counts as one that has only just been made.
        let magic = std::mem::take(&mut words[0]);
        file.write_all_at(&bytes_of(&words), 0)?;
        file.write_all_at(&magic.to_ne_bytes(), 0)?;
        Ok((file, identity))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere cannot leave a record half-written: `used` comes last.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn reach(&mut self, end: usize) -> io::Result<()> {
        if end <= self.capacity {
            return Ok(());
        }
        let capacity = end.next_multiple_of(GROWTH);
        if capacity > MOST_WORDS {
            return Err(io::Error::new(io::ErrorKind::StorageFull, "it is as long as such a file may be"));
        }
        let file = self.file.as_ref().ok_or(io::ErrorKind::NotFound)?;
        reserve(file, self.capacity, capacity)?;
        self.capacity = capacity;
        Ok(())
    }
}

impl Drop for Own {
    // A mapping keeps its file's lock as a descriptor does. Handles that are left go on in memory of this process.
    fn drop(&mut self) {
        let _ = mmap::detach(self.words);
    }
}

/// Where the cells of each series are.
fn cells_of(words: &[u64]) -> Vec<std::ops::Range<usize>> {
    let content = Content::new(bytes_of(words)).ok().flatten();
    let records = content.iter().flat_map(Content::records);
    let cells = records.filter_map(|record| match record {
        Ok(Record::Series { cells, .. }) => Some(cells.first..cells.first + cells.len()),
        _ => None,
    });
    cells.collect()
}

/// Takes the room on the disk now: a page that turns out to have none, when it is written, ends the process.
fn reserve(file: &File, from: usize, to: usize) -> io::Result<()> {
    let (offset, length) = (from as u64 * 8, (to - from) as u64 * 8);
    match fallocate(file, FallocateFlags::empty(), offset, length) {
        Ok(()) => Ok(()),
        Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => {
            file.write_all_at(&vec![0; (to - from) * 8], offset)
        }
        Err(error) => Err(error.into()),
    }
}

fn new_file(directory: &Path) -> io::Result<(File, [u64; 2])> {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let nanoseconds = u64::try_from(since.as_nanos()).unwrap_or_default();
    for attempt in 0..ATTEMPTS {
        let identity = [u64::from(process::id()), nanoseconds.wrapping_add(attempt)];
        match make(&directory.join(name_of(identity))) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            made => return made.map(|file| (file, identity)),
        }
    }
    Err(io::Error::new(io::ErrorKind::AlreadyExists, "every name that was tried is taken"))
}

fn name_of([process, number]: [u64; 2]) -> String {
    format!("{process}-{number:x}{ENDING}")
}

pub(super) fn bytes_of(words: &[u64]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_ne_bytes()).collect()
}
