//! What dead processes counted, added up in one file, so that neither counts nor files pile up.
//!
//! A fold writes a new totals file, which names the files it counts in, puts it in the place of the old one (`rename`),
//! and only then removes those files. A reader that sees the same totals before and after it reads the files has
//! counted everything exactly once: named files are left out, and no other file can have gone in between.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use rustix::fs::{FlockOperation, OFlags};

use super::files::{Cells, FOLD_LOCK, NEW_TOTALS, Opened, TOTALS};
use super::format::{self, GENERATION, HEAD, MOST_WORDS, NEWEST, USED, head};
use super::merge::{Merged, Owner};
use super::own::bytes_of;
use super::read::{Content, Record, Unreadable};

/// How many files one fold takes at most; the next takes the next.
const BATCH: usize = 64;

/// The totals file as it is now; `None` if there is none yet.
pub(super) fn read(directory: &Path) -> io::Result<Result<Option<Content>, Unreadable>> {
    match Opened::open(&directory.join(TOTALS), OFlags::RDONLY) {
        Ok(None) => Ok(Err(Unreadable::Foreign)),
        Ok(Some(opened)) => Ok(Content::new(opened.read(Vec::new())?)),
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

/// Folds files whose owner is dead; `dead` are candidates, the youngest first. Does nothing while another process folds.
///
/// A file that is damaged stays where it is. Of any other all is counted in but what contradicts a younger program (a
/// metric of another type or mode) and series that cannot be: those are gone then, and counted in a gauge of the totals.
/// A metric's totals grow to `limit` series. Further ones are counted in its overflow series, and with the first of
/// them it is closed: what the totals do not have shows nowhere from then on, also if a process that lives has it.
pub(super) fn fold(directory: &Path, dead: &[Cells], limit: usize) -> io::Result<usize> {
    let refused = || io::Error::new(io::ErrorKind::InvalidInput, "totals.lock is no plain file");
    let lock = Opened::open(&directory.join(FOLD_LOCK), OFlags::RDWR | OFlags::CREATE)?.ok_or_else(refused)?;
    if !lock.lock(FlockOperation::NonBlockingLockExclusive) {
        return Ok(0);
    }
    // What cannot be read is left for someone who can; to write over it would lose it.
    let Ok(totals) = read(directory)? else { return Ok(0) };
    if totals.as_ref().is_some_and(|totals| !totals.is_whole()) {
        return Ok(0);
    }
    // Named for as long as they are there: whoever folded them was killed before it removed them.
    let mut names = folded(totals.as_ref());
    names.retain(|name| fs::symlink_metadata(directory.join(name)).is_ok());
    let gone = claim(dead.iter().filter(|file| !names.contains(&file.name.as_str())).take(BATCH))?;
    let mut merged = Merging::new(totals.as_ref());
    let named = names.len();
    for Claimed { file, content, .. } in &gone {
        if let Some(content) = content.as_ref().filter(|content| content.is_whole()) {
            merged.add(file.number, content, Owner::Dead);
            names.push(&file.name);
        }
    }
    if names.len() > named {
        let generation = totals.as_ref().map_or(0, Content::generation) + 1;
        replace(directory, merged.finish(), limit, &names, generation)?;
    }
    remove(directory, &names, &gone);
    Ok(names.len())
}

/// Files and the totals of before, the youngest first.
struct Merging<'a> {
    merged: Merged,
    totals: Option<&'a Content>,
    newest: u64,
}

impl<'a> Merging<'a> {
    fn new(totals: Option<&'a Content>) -> Self {
        Self { merged: Merged::new(), totals, newest: totals.map_or(0, Content::newest) }
    }

    fn add(&mut self, number: u64, content: &Content, owner: Owner) {
        if let Some(totals) = self.totals.take_if(|totals| totals.newest() >= number) {
            self.add(totals.newest(), totals, Owner::Totals);
        }
        self.newest = self.newest.max(number);
        // Only what is whole gets here, and that has no record which could be refused.
        let _ = self.merged.add_file(content, owner);
    }

    fn finish(mut self) -> (Merged, u64) {
        if let Some(totals) = self.totals.take() {
            self.add(totals.newest(), totals, Owner::Totals);
        }
        self.merged.say_what_is_left_out(false);
        (self.merged, self.newest)
    }
}

/// A dead process's file under its exclusive lock.
struct Claimed<'a> {
    file: &'a Cells,
    _lock: Opened,
    /// `None` if its owner died before it wrote anything.
    content: Option<Content>,
}

/// Those of the files whose owner does not live and that can be read.
fn claim<'a>(dead: impl Iterator<Item = &'a Cells>) -> io::Result<Vec<Claimed<'a>>> {
    let mut claimed = Vec::new();
    for file in dead {
        let opened = match Opened::open(&file.path, OFlags::RDONLY) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            opened => opened.ok().flatten(),
        };
        let Some(lock) = opened.filter(|opened| opened.lock(FlockOperation::NonBlockingLockExclusive)) else {
            continue;
        };
        if let Ok(content) = Content::new(lock.read(Vec::new())?) {
            claimed.push(Claimed { file, _lock: lock, content });
        }
    }
    Ok(claimed)
}

fn replace(directory: &Path, merged: (Merged, u64), limit: usize, names: &[&str], generation: u64) -> io::Result<()> {
    let path = directory.join(NEW_TOTALS);
    // A file left by a fold that was killed; only the holder of the lock makes one.
    let _ = fs::remove_file(&path);
    let (mut merged, newest) = merged;
    merged.keep(limit);
    let mut words = words_of(&merged, names, generation).or_else(|_| {
        // Longer than a file may be, so no metric takes any more series.
        merged.keep(0);
        words_of(&merged, names, generation)
    })?;
    words[NEWEST] = newest;
    let mut file = File::options().write(true).create_new(true).open(&path)?;
    file.write_all(&bytes_of(&words))?;
    file.sync_data()?;
    fs::rename(&path, directory.join(TOTALS))
}

pub(super) fn words_of(merged: &Merged, names: &[&str], generation: u64) -> io::Result<Vec<u64>> {
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
fn remove(directory: &Path, names: &[&str], gone: &[Claimed<'_>]) {
    let empty = gone.iter().filter(|claimed| claimed.content.is_none()).map(|claimed| claimed.file.name.as_str());
    for name in names.iter().copied().chain(empty) {
        // A file that cannot be removed is still named in the totals, and so not counted again.
        let _ = fs::remove_file(directory.join(name));
    }
}
