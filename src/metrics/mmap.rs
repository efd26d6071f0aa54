//! Memory that is a file: the one place of this module that the compiler cannot check.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::AsFd;
use std::ptr;
use std::slice;
use std::sync::atomic::AtomicU64;

use rustix::mm::{MapFlags, ProtFlags, mmap, mmap_anonymous};

const WORD: usize = size_of::<AtomicU64>();

/// Maps `words` words of `file`, for ever. Whoever touches a word must know that the file reaches that far: beyond its
/// end the system ends the process (SIGBUS).
pub(super) fn map(file: impl AsFd, words: usize) -> io::Result<&'static [AtomicU64]> {
    let access = ProtFlags::READ | ProtFlags::WRITE;
    // SAFETY: the system chooses the address, so nothing that is mapped already is touched.
    let address = unsafe { mmap(ptr::null_mut(), words * WORD, access, MapFlags::SHARED, file, 0)? };
    // SAFETY: the mapping starts at a page, so it is aligned; it is as long as the slice and is never unmapped. All
    // that anyone ever does to it, here and in other processes, is atomic, and every pattern of bits is a valid word.
    Ok(unsafe { slice::from_raw_parts(address.cast_const().cast::<AtomicU64>(), words) })
}

/// Puts another file where `map` put one: whoever has the words now reads and writes that file.
pub(super) fn replace(mapped: &'static [AtomicU64], file: impl AsFd) -> io::Result<()> {
    let access = ProtFlags::READ | ProtFlags::WRITE;
    let address = mapped.as_ptr().cast_mut().cast();
    // SAFETY: the range is one that `map` made, all of it and nothing else; its words are atomics, which may change at
    // any time, and they stay readable and writable throughout: the system swaps the pages in one step.
    unsafe { mmap(address, size_of_val(mapped), access, MapFlags::SHARED | MapFlags::FIXED, file, 0)? };
    Ok(())
}

/// Puts memory of this process alone, all 0, where `map` put a file.
pub(super) fn detach(mapped: &'static [AtomicU64]) -> io::Result<()> {
    let access = ProtFlags::READ | ProtFlags::WRITE;
    let address = mapped.as_ptr().cast_mut().cast();
    // SAFETY: as in `replace`.
    unsafe { mmap_anonymous(address, size_of_val(mapped), access, MapFlags::PRIVATE | MapFlags::FIXED)? };
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::*;

    #[test]
    fn words_follow_the_file_under_them() {
        let (one, other) = (tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap());
        one.set_len(64).unwrap();
        other.set_len(64).unwrap();
        let words = map(&one, 8).unwrap();
        words[3].store(7, Ordering::Relaxed);
        replace(words, &other).unwrap();
        assert_eq!(words[3].load(Ordering::Relaxed), 0);
        words[3].store(9, Ordering::Relaxed);
        assert_eq!(map(&one, 8).unwrap()[3].load(Ordering::Relaxed), 7);
        assert_eq!(map(&other, 8).unwrap()[3].load(Ordering::Relaxed), 9);
        detach(words).unwrap();
        assert_eq!(words[3].load(Ordering::Relaxed), 0);
    }
}
