//! What dead processes counted, added up in one file, so that neither counts nor files pile up.
//!
//! A fold writes a new totals file, which names the files it counts in, puts it in the place of the old one (`rename`),
//! and only then removes those files. A reader that sees the same totals before and after it reads the files has
//! counted everything exactly once: named files are left out, and no other file can have gone in between.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, OFlags};

use super::files::{FOLD_LOCK, NEW_TOTALS, Opened, TOTALS};
use super::format::{self, GENERATION, HEAD, MOST_WORDS, USED, head};
use super::merge::Merged;
use super::own::bytes_of;
use super::read::{Content, Record, Unreadable};

/// How many files one fold takes at most; the next takes the next.
const BATCH: usize = 64;

/// The totals file as it is now; `None` if there is none yet.
pub(super) fn read(directory: &Path) -> io::Result<Result<Option<Content>, Unreadable>> {
    match Opened::open(&directory.join(TOTALS), OFlags::RDONLY) {
        Ok(opened) => Ok(Content::new(opened.read(Vec::new())?)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Ok(None)),
        Err(error) => Err(error),
    }
}

/// The files that are counted in.
pub(super) fn folded(totals: Option<&Content>) -> Vec<&str> {
    let records = totals.into_iter().flat_map(Content::records);
    let names = records.filter_map(|record| match record {
        Ok(Record::Folded(name)) => Some(name),
        _ => None,
    });
    names.collect()
}

/// Folds files whose owner is dead; `dead` are candidates. Does nothing while another process folds.
pub(super) fn fold(directory: &Path, dead: &[(String, PathBuf)], limit: usize) -> io::Result<usize> {
    let lock = Opened::open(&directory.join(FOLD_LOCK), OFlags::RDWR | OFlags::CREATE)?;
    if !lock.lock(FlockOperation::NonBlockingLockExclusive) {
        return Ok(0);
    }
    // What cannot be read is left for someone who can; to write over it would lose it.
    let Ok(totals) = read(directory)? else { return Ok(0) };
    let mut merged = Merged::new(limit);
    if let Some(totals) = &totals
        && merged.add_file(totals, false).is_err()
    {
        return Ok(0);
    }
    // Named for as long as they are there: whoever folded them was killed before it removed them.
    let mut names = folded(totals.as_ref());
    names.retain(|name| fs::symlink_metadata(directory.join(name)).is_ok());
    let named = names.len();
    let mut gone = Vec::new();
    for (name, path) in dead.iter().filter(|(name, _)| !names.contains(&name.as_str())).take(BATCH) {
        if let Some(claimed) = claimed(path)? {
            gone.push((name.as_str(), claimed));
        }
    }
    for (name, (_, content)) in &gone {
        // One that is damaged, or that has metrics of other types, stays where it is: nothing of it is lost.
        let fits = |content: &&Content| merged.fits(content);
        let Some(content) = content.as_ref().filter(fits) else { continue };
        if merged.add_file(content, true).is_ok() {
            names.push(name);
        }
    }
    let generation = totals.as_ref().map_or(0, Content::generation) + 1;
    if names.len() > named {
        replace(directory, &merged, &names, generation)?;
    }
    remove(directory, &names, &gone);
    Ok(names.len())
}

type Claimed = (Opened, Option<Content>);

/// A dead process's file under its exclusive lock; `None` if its owner lives or there is nothing to be read in it.
fn claimed(path: &Path) -> io::Result<Option<Claimed>> {
    let opened = match Opened::open(path, OFlags::RDONLY) {
        Ok(opened) => opened,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    if !opened.lock(FlockOperation::NonBlockingLockExclusive) {
        return Ok(None);
    }
    let content = Content::new(opened.read(Vec::new())?);
    Ok(content.ok().map(|content| (opened, content)))
}

fn replace(directory: &Path, merged: &Merged, names: &[&str], generation: u64) -> io::Result<()> {
    let path = directory.join(NEW_TOTALS);
    // A file left by a fold that was killed; only the holder of the lock makes one.
    let _ = fs::remove_file(&path);
    let words = words_of(merged, names, generation)?;
    let mut file = File::options().write(true).create_new(true).open(&path)?;
    file.write_all(&bytes_of(&words))?;
    file.sync_data()?;
    fs::rename(&path, directory.join(TOTALS))
}

fn words_of(merged: &Merged, names: &[&str], generation: u64) -> io::Result<Vec<u64>> {
    let too_long = || io::Error::new(io::ErrorKind::StorageFull, "the totals are longer than such a file may be");
    let mut words = head(HEAD, generation).to_vec();
    for family in &merged.families {
        let number = u32::try_from(words.len()).map_err(|_| too_long())?;
        words.extend(format::family(&family.record()).ok_or_else(too_long)?);
        for (labels, cells) in family.labels.iter().zip(family.words.chunks(family.width)) {
            words.extend(format::series(number, labels, cells).ok_or_else(too_long)?);
        }
    }
    names.iter().for_each(|name| words.extend(format::folded(name)));
    if words.len() > MOST_WORDS {
        return Err(too_long());
    }
    words[USED] = words.len() as u64;
    debug_assert_eq!(words[GENERATION], generation);
    Ok(words)
}

/// Removes what is counted in, and files whose owner died before it wrote anything.
fn remove(directory: &Path, names: &[&str], gone: &[(&str, Claimed)]) {
    let empty = gone.iter().filter(|(_, (_, content))| content.is_none()).map(|(name, _)| *name);
    for name in names.iter().copied().chain(empty) {
        // A file that cannot be removed is still named in the totals, and so not counted again.
        let _ = fs::remove_file(directory.join(name));
    }
}
