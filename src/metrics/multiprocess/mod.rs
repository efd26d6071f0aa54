//! One scrape for many processes: each keeps its cells in a file of its own in one directory.
//!
//! A scrape adds up this process's registry, the files of the others that live, and the totals of those that are dead.

mod files;
mod format;
mod merge;
mod own;
mod read;
mod totals;

use std::fs;
use std::io;
use std::os::fd::RawFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rustix::fs::{FlockOperation, OFlags};

use self::files::{Opened, TOTALS, cells_in};
use self::format::{FamilyRecord, SERIES_HEAD};
use self::merge::{Merged, MergedFamily};
use self::own::Own;
use self::read::Content;
use super::cells::{Kind, Layout};
use super::error::MetricError;
use super::exposition::{FamilySnapshot, HistogramValue, SeriesSnapshot, Value};
use super::histogram::HistogramSnapshot;
use super::registry::{AnyFamily, Registry};
use super::shelf::Shelf;

/// How often a reader begins again because the totals changed meanwhile.
const READS: usize = 100;
const FILES_NAME: &str = "hagane_multiprocess_files";

/// The directory that the processes share, and this process's file in it.
pub struct Directory {
    path: PathBuf,
    own: Own,
    complained: AtomicBool,
}

impl Directory {
    /// Makes the directory, if there is none, and this process's file in it.
    pub fn open(path: &Path) -> Result<Arc<Self>, MetricError> {
        let refuse = |source: io::Error| MetricError::Directory {
            path: path.to_owned(),
            source,
            remedy: "name a directory on a local disk that every process of the program may write to",
        };
        // For this user alone: whoever may write there can make the totals lie.
        fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(refuse)?;
        // A program that changes its working directory later must not lose it.
        let path = &fs::canonicalize(path).map_err(refuse)?;
        let own = Own::make(path).map_err(refuse)?;
        Ok(Arc::new(Self { path: path.to_owned(), own, complained: AtomicBool::new(false) }))
    }

    /// For a child after `fork()`: a file of its own, all at 0, under the handles that it has inherited.
    pub fn after_fork(&self) -> Result<(), MetricError> {
        files::forget_held();
        self.own.be_born_again().map_err(|source| MetricError::Directory {
            path: self.path.clone(),
            source,
            remedy: "what this process counts is seen only when it is scraped itself",
        })
    }

    /// For a child after `fork()`, before `after_fork`: the descriptors that it must close.
    pub fn inherited() -> Vec<RawFd> {
        files::held()
    }

    fn add_up(&self, own: &Registry) -> io::Result<Sum> {
        // Files that turned out to be damaged when part of them had been counted: the next attempt leaves them out.
        let mut damaged = Vec::new();
        for _ in 0..READS {
            let Some(sum) = self.attempt(own, &mut damaged)? else { continue };
            if totals::read(&self.path)?.ok().flatten().map(|totals| totals.generation()) == sum.generation {
                if !sum.dead.is_empty() && totals::fold(&self.path, &sum.dead, own.limit()).is_err() {
                    self.complain("dead processes' files cannot be added up; they are read one by one");
                }
                return Ok(sum);
            }
        }
        Err(io::Error::new(io::ErrorKind::WouldBlock, "the totals change all the time"))
    }

    /// Reads everything once. `None`: a file is damaged, and now among the `damaged`.
    fn attempt(&self, own: &Registry, damaged: &mut Vec<String>) -> io::Result<Option<Sum>> {
        let mut sum = Sum::of(own);
        sum.unreadable = damaged.len();
        let mut folded = Vec::new();
        match totals::read(&self.path)? {
            _ if damaged.iter().any(|name| name == TOTALS) => {}
            Err(why) => self.leave(&mut sum, TOTALS, &why),
            Ok(None) => {}
            Ok(Some(totals)) => {
                sum.generation = Some(totals.generation());
                folded = totals::folded(Some(&totals)).into_iter().map(str::to_owned).collect();
                if !self.count_in(&mut sum, TOTALS, &totals, false, damaged) {
                    return Ok(None);
                }
            }
        }
        let own_name = self.own.name();
        let mut memory = Vec::new();
        for (name, path) in cells_in(&self.path)? {
            if name == own_name || damaged.contains(&name) {
                continue;
            }
            let opened = match Opened::open(&path, OFlags::RDONLY) {
                Ok(opened) => opened,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => {
                    self.leave(&mut sum, &name, &error);
                    continue;
                }
            };
            // Asked first: a process that dies between the two questions is read whole, and called alive once more.
            let dead = opened.lock(FlockOperation::NonBlockingLockShared);
            if dead {
                sum.dead.push((name.clone(), path));
            }
            if folded.contains(&name) {
                continue;
            }
            match Content::new(opened.read(std::mem::take(&mut memory))?) {
                Ok(None) => {}
                Ok(Some(content)) => {
                    sum.files[usize::from(dead)] += 1;
                    if !self.count_in(&mut sum, &name, &content, dead, damaged) {
                        return Ok(None);
                    }
                    memory = content.into_bytes();
                }
                Err(why) => self.leave(&mut sum, &name, &why),
            }
        }
        Ok(Some(sum))
    }

    fn count_in(&self, sum: &mut Sum, name: &str, content: &Content, dead: bool, damaged: &mut Vec<String>) -> bool {
        match sum.merged.add_file(content, dead) {
            Ok(0) => {}
            Ok(_) => self.complain(&format!("the file {name} has metrics of other types, buckets or modes")),
            Err(why) => {
                self.complain(&format!("the file {name} is left out: {why}"));
                damaged.push(name.to_owned());
                return false;
            }
        }
        true
    }

    fn leave(&self, sum: &mut Sum, name: &str, why: &dyn std::fmt::Display) {
        sum.unreadable += 1;
        self.complain(&format!("the file {name} is left out: {why}"));
    }

    fn complain(&self, what: &str) {
        if !self.complained.swap(true, Ordering::Relaxed) {
            tracing::warn!(target: "hagane::metrics", "in {}, {what}; this is said once", self.path.display());
        }
    }
}

/// What all processes hold together.
struct Sum {
    merged: Merged,
    // Of the totals that are in it.
    generation: Option<u64>,
    dead: Vec<(String, PathBuf)>,
    // Of processes that live, and of dead ones.
    files: [usize; 2],
    unreadable: usize,
}

impl Sum {
    fn of(own: &Registry) -> Self {
        let mut merged = Merged::new(own.limit());
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
        Self { merged, generation: None, dead: Vec::new(), files: [1, 0], unreadable: 0 }
    }
}

impl Shelf for Directory {
    fn family(&self, name: &str, help: &str, open: bool, layout: Layout<'_>) -> Option<u32> {
        let record = format::family(&FamilyRecord { name, help, open, layout })?;
        self.own.append(&record).and_then(|start| u32::try_from(start).ok())
    }

    fn series(&self, family: u32, rendered: &str, width: usize) -> Option<&'static [AtomicU64]> {
        let start = self.own.append(&format::series(family, rendered, &vec![0; width])?)?;
        Some(self.own.words(start + SERIES_HEAD, width))
    }

    fn gather<'a>(&self, own: &'a Registry) -> Vec<FamilySnapshot<'a>> {
        let sum = self.add_up(own).unwrap_or_else(|error| {
            self.complain(&format!("the other processes' files cannot be read: {error}"));
            Sum { unreadable: 1, ..Sum::of(own) }
        });
        let [live, dead] = sum.files;
        let files = counted_files([("live", live), ("dead", dead), ("unreadable", sum.unreadable)]);
        sum.merged.families.into_iter().map(snapshot).chain([files]).collect()
    }
}

fn snapshot(family: MergedFamily) -> FamilySnapshot<'static> {
    let mut words = family.words;
    let mut labels = family.labels;
    // Nobody has used an open family yet: the unlabelled zero lets `increase()` see its first event.
    if labels.is_empty() && family.open {
        labels.push("".into());
        words.resize(family.width, 0);
    }
    let value = |words: &[u64]| match family.kind {
        Kind::Counter | Kind::Gauge => Value::Number(f64::from_bits(words[0]), None),
        Kind::Histogram => {
            let seen = HistogramSnapshot::of(words.iter().copied());
            Value::Histogram(Box::new(HistogramValue {
                bounds: family.bounds.clone().into(),
                cumulative: seen.cumulative,
                sum: seen.sum,
                exemplars: Vec::new(),
                native: None,
            }))
        }
    };
    let series = labels.into_iter().zip(words.chunks(family.width)).map(|(labels, words)| SeriesSnapshot {
        labels: String::from(&*labels).into(),
        value: value(words),
        created: None,
    });
    FamilySnapshot { name: family.name.into(), help: family.help.into(), kind: family.kind, series: series.collect() }
}

fn counted_files<const N: usize>(counts: [(&str, usize); N]) -> FamilySnapshot<'static> {
    let series = counts.map(|(state, count)| SeriesSnapshot {
        labels: format!("state=\"{state}\"").into(),
        value: Value::Number(count as f64, None),
        created: None,
    });
    FamilySnapshot {
        name: FILES_NAME.into(),
        help: "Files of processes, by whether their process lives and whether they can be read.".into(),
        kind: Kind::Gauge,
        series: series.into(),
    }
}

#[cfg(test)]
mod tests;
