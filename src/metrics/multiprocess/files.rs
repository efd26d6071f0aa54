//! The directory: which files there are, whose owner lives, and the locks that tell.
//!
//! An owner holds its file's exclusive lock (`flock`) as long as it lives: the lock goes with the descriptor, so the
//! system releases it however the process ends. Whoever gets a file's lock therefore knows that its owner is dead.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::{AsRawFd, RawFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI32, Ordering};

use rustix::fs::{CWD, FlockOperation, Mode, OFlags, flock, fstat, openat};

use super::format::MOST_WORDS;

/// What a process's file is called after its process number and a number of its own.
pub(super) const ENDING: &str = ".cells";
pub(super) const TOTALS: &str = "totals";
pub(super) const NEW_TOTALS: &str = "totals.new";
pub(super) const FOLD_LOCK: &str = "totals.lock";

const NONE: RawFd = -1;
// Descriptors that a forked child must close: as long as it has one, the lock that goes with it stays taken.
static HELD: [AtomicI32; 128] = [const { AtomicI32::new(NONE) }; 128];

/// The descriptors on which this process (or, in a forked child, its parent) reads or folds files at this moment.
pub(super) fn held() -> Vec<RawFd> {
    let all = HELD.iter().map(|slot| slot.load(Ordering::Acquire));
    all.filter(|descriptor| *descriptor != NONE).collect()
}

/// For a forked child, once it has closed them.
pub(super) fn forget_held() {
    HELD.iter().for_each(|slot| slot.store(NONE, Ordering::Release));
}

/// An open file that a forked child does not keep.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) file: File,
    slot: Option<usize>,
}

impl Opened {
    /// Opens what must be a plain file: no link is followed and no pipe is waited for.
    pub(super) fn open(path: &Path, flags: OFlags) -> io::Result<Self> {
        let flags = flags | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let file = File::from(openat(CWD, path, flags, Mode::RUSR | Mode::WUSR)?);
        let mut opened = Self { slot: None, file };
        opened.slot = note(opened.file.as_raw_fd());
        if !opened.file.metadata()?.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no plain file"));
        }
        Ok(opened)
    }

    /// Whether nobody else holds the file's lock; it is then held here until this is dropped.
    pub(super) fn lock(&self, operation: FlockOperation) -> bool {
        flock(&self.file, operation).is_ok()
    }

    /// The whole content, unless it is longer than any file of cells, in the memory of `bytes`.
    pub(super) fn read(&self, mut bytes: Vec<u8>) -> io::Result<Vec<u8>> {
        bytes.clear();
        let most = (MOST_WORDS * 8) as u64;
        let length = usize::try_from(self.file.metadata()?.len().min(most)).unwrap_or_default();
        bytes.reserve(length + 1);
        (&self.file).take(most).read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

impl Drop for Opened {
    // Before the close, which comes after this: a number that is free may be another file's the next moment.
    fn drop(&mut self) {
        if let Some(slot) = self.slot {
            HELD[slot].store(NONE, Ordering::Release);
        }
    }
}

fn note(descriptor: RawFd) -> Option<usize> {
    let free = |slot: &AtomicI32| slot.compare_exchange(NONE, descriptor, Ordering::AcqRel, Ordering::Relaxed).is_ok();
    HELD.iter().position(free)
}

/// Whether a process's file can be called so: a process number, a number in hexadecimal, the ending. Names from inside
/// a file are asked this too before they are joined to the directory: they could point anywhere else.
pub(super) fn is_cells(name: &str) -> bool {
    let stem = name.strip_suffix(ENDING).and_then(|stem| stem.split_once('-'));
    stem.is_some_and(|(process, number)| {
        !process.is_empty()
            && !number.is_empty()
            && process.bytes().all(|byte| byte.is_ascii_digit())
            && number.bytes().all(|byte| byte.is_ascii_hexdigit())
    })
}

/// Every process's file there is, by name.
pub(super) fn cells_in(directory: &Path) -> io::Result<Vec<(String, PathBuf)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if let Some(name) = entry.file_name().to_str().filter(|name| is_cells(name)) {
            found.push((name.to_owned(), entry.path()));
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// Makes the file of a process and takes its lock; a name that is taken is for the caller to change.
pub(super) fn make(path: &Path) -> io::Result<File> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = File::from(openat(CWD, path, flags, Mode::RUSR | Mode::WUSR)?);
    // A reader that looks at it this very moment lets go at once; it finds nothing, as the file is still empty.
    flock(&file, FlockOperation::LockExclusive)?;
    match fstat(&file)?.st_nlink {
        0 => Err(io::Error::new(io::ErrorKind::AlreadyExists, "it was removed as empty")),
        _ => Ok(file),
    }
}
