//! Files that come back: found by descriptor in a tree that belongs to the attacker.
//!
//! Called when no process of the code is left, so the tree holds still. Links are never followed, nothing but regular
//! files is opened, and count, size and depth are bounded.

use std::collections::BTreeMap;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags};

use super::messages::PIECE;
use crate::sandbox::Limits;

/// What is known of a file before the code runs.
#[derive(Debug)]
pub struct Known {
    stamp: Stamp,
    /// A write through a shared mapping need not show in the stamp.
    content: blake3::Hash,
}

/// Most changes of a file show here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    size: i64,
    changed: (i64, u64),
}

/// What a walk does with what it finds.
pub trait Sink {
    /// The next piece of a file; an empty file has one empty piece.
    fn piece(&mut self, path: &[u8], bytes: &[u8]) -> bool;
    /// A file that does not come back.
    fn skipped(&mut self, path: &[u8], reason: &str) -> bool;
}

/// What is known of the files below `root`, to be taken before the code runs.
///
/// # Errors
/// What the kernel says when the tree cannot be read.
pub fn known(root: impl AsFd) -> std::io::Result<BTreeMap<Vec<u8>, Known>> {
    let mut found = BTreeMap::new();
    walk(root, usize::MAX, &mut |entry| {
        if let Entry::File { path, stamp, folder, name } = entry
            && let Ok(content) = content(folder, name)
        {
            found.insert(path.to_vec(), Known { stamp, content });
        }
        true
    })?;
    Ok(found)
}

fn content(folder: &OwnedFd, name: &std::ffi::CStr) -> std::io::Result<blake3::Hash> {
    let file = std::fs::File::from(open(folder, name, OFlags::RDONLY | OFlags::NONBLOCK)?);
    Ok(blake3::Hasher::new().update_reader(file)?.finalize())
}

fn is_unchanged(known: Option<&Known>, stamp: Stamp, folder: &OwnedFd, name: &std::ffi::CStr) -> bool {
    known.is_some_and(|known| known.stamp == stamp && content(folder, name).is_ok_and(|now| now == known.content))
}

/// Send every regular file that is new or changed since `before` to `sink`, within the limits.
///
/// # Errors
/// What the kernel says when the root itself cannot be read.
pub fn changed(
    root: impl AsFd,
    before: &BTreeMap<Vec<u8>, Known>,
    limits: &Limits,
    sink: &mut impl Sink,
) -> std::io::Result<()> {
    let (mut files, mut bytes) = (0, 0u64);
    walk(root, limits.collected_depth, &mut |entry| match entry {
        Entry::Skipped { path, reason } => sink.skipped(path, reason),
        Entry::File { path, stamp, folder, name } if is_unchanged(before.get(path), stamp, folder, name) => true,
        Entry::File { path, .. } if files >= limits.collected_files => {
            sink.skipped(path, "too many files");
            false
        }
        Entry::File { path, stamp, .. } if bytes.saturating_add(stamp.size as u64) > limits.collected_bytes => {
            sink.skipped(path, "too large")
        }
        Entry::File { path, stamp, folder, name } => {
            files += 1;
            bytes += stamp.size as u64;
            send(folder, name, path, stamp.size as u64, sink)
        }
    })
}

fn send(folder: &OwnedFd, name: &std::ffi::CStr, path: &[u8], size: u64, sink: &mut impl Sink) -> bool {
    let Ok(file) = open(folder, name, OFlags::RDONLY | OFlags::NONBLOCK) else {
        return sink.skipped(path, "cannot be opened");
    };
    let mut file = std::fs::File::from(file).take(size);
    let mut buffer = vec![0; PIECE];
    let mut sent = false;
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return sent || sink.piece(path, &[]),
            Ok(n) => {
                sent = true;
                if !sink.piece(path, &buffer[..n]) {
                    return false;
                }
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(_) => return sink.skipped(path, "cannot be read"),
        }
    }
}

enum Entry<'a> {
    File { path: &'a [u8], stamp: Stamp, folder: &'a OwnedFd, name: &'a std::ffi::CStr },
    Skipped { path: &'a [u8], reason: &'a str },
}

/// Open below `folder` and nowhere else.
fn open(folder: &OwnedFd, name: &std::ffi::CStr, flags: OFlags) -> rustix::io::Result<OwnedFd> {
    let within =
        ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS | ResolveFlags::NO_XDEV;
    rustix::fs::openat2(folder, name, flags | OFlags::CLOEXEC | OFlags::NOFOLLOW, Mode::empty(), within)
}

/// Visit what lies below `root`, in the order of the names, iteratively: depth is the attacker's choice.
fn walk(root: impl AsFd, depth: usize, visit: &mut dyn FnMut(Entry<'_>) -> bool) -> std::io::Result<()> {
    let root = rustix::io::fcntl_dupfd_cloexec(root, 3)?;
    // One open folder per level; the names still to be visited are kept, not descriptors of siblings.
    let mut levels = vec![(Vec::new(), names(&root)?, root)];
    loop {
        let level = levels.len();
        let Some((prefix, rest, folder)) = levels.last_mut() else { break };
        let Some(name) = rest.pop() else {
            levels.pop();
            continue;
        };
        let mut path = prefix.clone();
        if !path.is_empty() {
            path.push(b'/');
        }
        path.extend_from_slice(name.to_bytes());
        let Ok(stat) = rustix::fs::statat(&*folder, &name, AtFlags::SYMLINK_NOFOLLOW) else { continue };
        let go_on = match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => {
                let stamp =
                    Stamp { inode: stat.st_ino, size: stat.st_size, changed: (stat.st_ctime, stat.st_ctime_nsec) };
                visit(Entry::File { path: &path, stamp, folder, name: &name })
            }
            FileType::Directory if level >= depth => visit(Entry::Skipped { path: &path, reason: "too deep" }),
            FileType::Directory => match open_folder(folder, &name) {
                Ok((names, opened)) => {
                    levels.push((path, names, opened));
                    true
                }
                Err(_) => visit(Entry::Skipped { path: &path, reason: "cannot be opened" }),
            },
            _ => visit(Entry::Skipped { path: &path, reason: "not a regular file" }),
        };
        if !go_on {
            break;
        }
    }
    Ok(())
}

type Names = Vec<std::ffi::CString>;

fn open_folder(folder: &OwnedFd, name: &std::ffi::CStr) -> rustix::io::Result<(Names, OwnedFd)> {
    // The code may have taken its own permissions away; the folder is its own, so they can be given back.
    let opened = open(folder, name, OFlags::RDONLY | OFlags::DIRECTORY).or_else(|_| {
        rustix::fs::chmodat(folder, name, Mode::RWXU, AtFlags::empty())?;
        open(folder, name, OFlags::RDONLY | OFlags::DIRECTORY)
    })?;
    Ok((names(&opened)?, opened))
}

/// The names in a folder, last one first, so that `pop` gives them in order. The file system's inode quota bounds them.
fn names(folder: &OwnedFd) -> rustix::io::Result<Names> {
    let mut names = Names::new();
    for entry in Dir::read_from(folder)? {
        let entry = entry?;
        if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
            names.push(entry.file_name().to_owned());
        }
    }
    names.sort_by(|a, b| b.cmp(a));
    Ok(names)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[derive(Default)]
    struct Found {
        files: BTreeMap<String, Vec<u8>>,
        skipped: BTreeMap<String, String>,
    }

    impl Sink for Found {
        fn piece(&mut self, path: &[u8], bytes: &[u8]) -> bool {
            self.files.entry(String::from_utf8_lossy(path).into()).or_default().extend_from_slice(bytes);
            true
        }
        fn skipped(&mut self, path: &[u8], reason: &str) -> bool {
            self.skipped.insert(String::from_utf8_lossy(path).into(), reason.into());
            true
        }
    }

    fn collect(dir: &std::path::Path, limits: &Limits) -> Found {
        let mut found = Found::default();
        changed(std::fs::File::open(dir).unwrap(), &BTreeMap::new(), limits, &mut found).unwrap();
        found
    }

    #[test]
    fn regular_files_come_back_and_links_and_fifos_do_not() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("sub")).unwrap();
        std::fs::write(dir.path().join("sub/a"), "data").unwrap();
        std::fs::write(dir.path().join("empty"), "").unwrap();
        symlink("/etc/passwd", dir.path().join("link")).unwrap();
        symlink("..", dir.path().join("sub/loop")).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, dir.path().join("fifo"), FileType::Fifo, Mode::RWXU, 0).unwrap();
        let found = collect(dir.path(), &Limits::default());
        assert_eq!(found.files.keys().collect::<Vec<_>>(), ["empty", "sub/a"]);
        assert_eq!(found.files["sub/a"], b"data");
        assert_eq!(found.skipped.keys().collect::<Vec<_>>(), ["fifo", "link", "sub/loop"]);
    }

    #[test]
    fn only_changed_files_come_back() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("old"), "1").unwrap();
        std::fs::write(dir.path().join("edited"), "1").unwrap();
        let before = known(std::fs::File::open(dir.path()).unwrap()).unwrap();
        std::fs::write(dir.path().join("edited"), "22").unwrap();
        let mut found = Found::default();
        changed(std::fs::File::open(dir.path()).unwrap(), &before, &Limits::default(), &mut found).unwrap();
        assert_eq!(found.files.keys().collect::<Vec<_>>(), ["edited"]);
    }

    #[test]
    fn count_size_and_depth_are_bounded() {
        let dir = tempfile::tempdir().unwrap();
        for index in 0..10 {
            std::fs::write(dir.path().join(format!("f{index}")), "xx").unwrap();
        }
        let few = collect(dir.path(), &Limits { collected_files: 3, ..Limits::default() });
        assert_eq!((few.files.len(), few.skipped.len()), (3, 1));
        let small = collect(dir.path(), &Limits { collected_bytes: 5, ..Limits::default() });
        assert_eq!((small.files.len(), small.skipped.len()), (2, 8));

        let deep = dir.path().join("d/".repeat(30));
        std::fs::create_dir_all(&deep).unwrap();
        std::fs::write(deep.join("x"), "").unwrap();
        let shallow = collect(dir.path(), &Limits::default());
        assert_eq!(shallow.files.len(), 10);
        assert!(shallow.skipped.values().all(|reason| reason == "too deep"));
    }
}
