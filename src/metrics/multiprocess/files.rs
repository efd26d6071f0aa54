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
use rustix::io::Errno;

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
    /// Opens a plain file; `None` if it is something else: no link is followed and no pipe is waited for.
    pub(super) fn open(path: &Path, flags: OFlags) -> io::Result<Option<Self>> {
        let flags = flags | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let file = match openat(CWD, path, flags, Mode::RUSR | Mode::WUSR) {
            // A link, and a socket.
            Err(Errno::LOOP | Errno::NXIO) => return Ok(None),
            opened => File::from(opened?),
        };
        let mut opened = Self { slot: None, file };
        opened.slot = note(opened.file.as_raw_fd());
        Ok(opened.file.metadata()?.is_file().then_some(opened))
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
    number_in(name).is_some()
}

/// When the file was made, in nanoseconds since the epoch.
fn number_in(name: &str) -> Option<u64> {
    let (process, number) = name.strip_suffix(ENDING)?.split_once('-')?;
    let plain = !process.is_empty()
        && process.bytes().all(|byte| byte.is_ascii_digit())
        && number.bytes().all(|byte| byte.is_ascii_hexdigit());
    u64::from_str_radix(number, 16).ok().filter(|_| plain)
}

/// A process's file.
#[derive(Debug)]
pub(super) struct Cells {
    pub(super) name: String,
    pub(super) path: PathBuf,
    /// When it was made, in nanoseconds since the epoch.
    pub(super) number: u64,
}

/// Every process's file there is, the youngest first.
pub(super) fn cells_in(directory: &Path) -> io::Result<Vec<Cells>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if let Some((name, number)) = entry.file_name().to_str().and_then(|name| Some((name, number_in(name)?))) {
            found.push(Cells { name: name.to_owned(), path: entry.path(), number });
        }
    }
    found.sort_unstable_by(|one, other| (other.number, &other.name).cmp(&(one.number, &one.name)));
    Ok(found)
}

/// Makes the file of a process and takes its lock; a name that is taken is for the caller to change.
pub(super) fn make(path: &Path) -> io::Result<File> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    locked(File::from(openat(CWD, path, flags, Mode::RUSR | Mode::WUSR)?))
}

/// Takes a new file's lock; an error if it was removed before, as one whose owner died before it wrote anything.
fn locked(file: File) -> io::Result<File> {
    // A reader that looks at it this very moment lets go at once; it finds nothing, as the file is still empty.
    flock(&file, FlockOperation::LockExclusive)?;
    match fstat(&file)?.st_nlink {
        0 => Err(io::Error::new(io::ErrorKind::AlreadyExists, "it was removed as empty")),
        _ => Ok(file),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_was_removed_before_it_had_its_lock_is_not_taken() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("1-1.cells");
        let file = File::create(&path).unwrap();
        fs::remove_file(&path).unwrap();
        assert_eq!(locked(file).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert!(make(&path).is_ok());
    }

    #[test]
    fn a_file_that_is_closed_is_no_longer_one_that_a_child_must_close() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("1-1.cells");
        drop(make(&path).unwrap());
        let open = || Opened::open(&path, OFlags::RDONLY).unwrap().unwrap();
        for _ in 0..2 * HELD.len() {
            assert!(open().slot.is_some());
        }
        let opened = open();
        assert!(held().contains(&opened.file.as_raw_fd()));
    }
}
