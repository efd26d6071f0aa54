//! Adding up everything once: this process's registry, the files of the others, and the totals of the dead.

use std::io;
use std::path::Path;

use rustix::fs::{FlockOperation, OFlags};
use rustix::io::Errno;

use super::files::{Cells, Opened, TOTALS, cells_in};
use super::merge::{Merged, Owner};
use super::read::Content;
use super::totals;
use crate::metrics::registry::{AnyFamily, Registry};

/// How often a reader begins again because the totals changed meanwhile.
const READS: usize = 100;

/// What all processes hold together.
pub(super) struct Sum {
    pub(super) merged: Merged,
    pub(super) dead: Vec<Cells>,
    /// Of processes that live, and of dead ones.
    pub(super) files: [usize; 2],
    /// Files that are left out, and why.
    pub(super) unreadable: Vec<String>,
    /// A metric some of whose series are counted in its overflow series, because the totals take no more of it.
    pub(super) closed: Option<String>,
    // Of the totals that are in it.
    generation: Option<u64>,
}

/// Everything, each count exactly once. An error if a file cannot be opened or read, which is not a file that holds
/// nonsense: without it the totals would fall, and a scraper take that for a new beginning.
pub(super) fn add_up(directory: &Path, own: &Registry, own_name: Option<&str>) -> io::Result<Sum> {
    // Files that turned out to be damaged when part of them had been counted: the next attempt leaves them out.
    let mut damaged = Vec::new();
    for _ in 0..READS {
        let Some(sum) = attempt(directory, own, own_name, &mut damaged)? else { continue };
        if totals::read(directory)?.ok().flatten().map(|totals| totals.generation()) == sum.generation {
            return Ok(sum);
        }
    }
    Err(io::Error::new(io::ErrorKind::WouldBlock, "the totals change all the time"))
}

/// Reads everything once. `None`: a file is damaged, and now among the `damaged`.
fn attempt(
    directory: &Path,
    own: &Registry,
    own_name: Option<&str>,
    damaged: &mut Vec<(String, String)>,
) -> io::Result<Option<Sum>> {
    let mut sum = Sum::of(own);
    sum.unreadable = damaged.iter().map(|(_, why)| why.clone()).collect();
    let is_damaged = |damaged: &[(String, String)], name: &str| damaged.iter().any(|(known, _)| known == name);
    let mut totals = totals::read(directory)?.unwrap_or_else(|why| {
        sum.leave(TOTALS, &why);
        None
    });
    sum.generation = totals.as_ref().map(Content::generation);
    totals = totals.filter(|_| !is_damaged(damaged, TOTALS));
    let folded: Vec<String> = totals::folded(totals.as_ref()).into_iter().map(str::to_owned).collect();
    let files = cells_in(directory)?;
    if own_name.is_some_and(|own| files.iter().all(|file| file.name != own)) {
        return Err(Errno::NOENT.into());
    }
    let mut memory = Vec::new();
    // The newest first: where two contradict each other, the younger program is right.
    for file in files {
        if let Some(content) = totals.take_if(|totals| totals.newest() >= file.number)
            && !sum.count_in(TOTALS, &content, Owner::Totals, damaged)
        {
            return Ok(None);
        }
        if Some(file.name.as_str()) == own_name || is_damaged(damaged, &file.name) {
            continue;
        }
        let opened = match Opened::open(&file.path, OFlags::RDONLY) {
            Ok(Some(opened)) => opened,
            Ok(None) => {
                sum.leave(&file.name, &"it is no plain file");
                continue;
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        // Asked first: a process that dies between the two questions is read whole, and called alive once more.
        let dead = opened.lock(FlockOperation::NonBlockingLockShared);
        let counted = folded.contains(&file.name);
        let Cells { name, .. } = &file;
        if !counted {
            match Content::new(opened.read(std::mem::take(&mut memory))?) {
                Ok(None) => {}
                Ok(Some(content)) => {
                    sum.files[usize::from(dead)] += 1;
                    let owner = if dead { Owner::Dead } else { Owner::Living };
                    if !sum.count_in(name, &content, owner, damaged) {
                        return Ok(None);
                    }
                    memory = content.into_bytes();
                }
                Err(why) => sum.leave(name, &why),
            }
        }
        if dead {
            sum.dead.push(file);
        }
    }
    if totals.is_some_and(|totals| !sum.count_in(TOTALS, &totals, Owner::Totals, damaged)) {
        return Ok(None);
    }
    // The living and the not yet folded have no more series than they have room for; only the totals could pile up.
    sum.closed = sum.merged.keep(usize::MAX);
    Ok(Some(sum))
}

impl Sum {
    fn of(own: &Registry) -> Self {
        let mut merged = Merged::new();
        for family in own.iter() {
            match family {
                AnyFamily::Counter(family) => merged.add_family(family),
                AnyFamily::Gauge(family) => merged.add_family(family),
                AnyFamily::Histogram(family) => merged.add_family(family),
            }
        }
        if let Some(drops) = own.drops().filter(|drops| drops.iter().next().is_some()) {
            merged.add_family(drops);
        }
        Self { merged, generation: None, dead: Vec::new(), files: [1, 0], unreadable: Vec::new(), closed: None }
    }

    fn count_in(&mut self, name: &str, content: &Content, owner: Owner, damaged: &mut Vec<(String, String)>) -> bool {
        let counted = self.merged.add_file(content, owner);
        if let Err(why) = &counted {
            damaged.push((name.to_owned(), left_out(name, why)));
        }
        counted.is_ok()
    }

    fn leave(&mut self, name: &str, why: &dyn std::fmt::Display) {
        self.unreadable.push(left_out(name, why));
    }
}

fn left_out(name: &str, why: &dyn std::fmt::Display) -> String {
    format!("the file {name} is left out: {why}")
}
