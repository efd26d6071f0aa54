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
        fs::create_dir_all(path).map_err(refuse)?;
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

    fn read(&self, limit: usize) -> io::Result<Others> {
        for _ in 0..READS {
            let others = self.read_once()?;
            let now = totals::read(&self.path)?.ok().flatten();
            if now.map(|totals| totals.generation()) == others.totals.as_ref().map(Content::generation) {
                if !others.dead.is_empty() && totals::fold(&self.path, &others.dead, limit).is_err() {
                    self.complain("dead processes' files cannot be added up; they are read one by one");
                }
                return Ok(others);
            }
        }
        Err(io::Error::new(io::ErrorKind::WouldBlock, "the totals change all the time"))
    }

    fn read_once(&self) -> io::Result<Others> {
        let mut others = Others::default();
        match totals::read(&self.path)? {
            Ok(totals) => others.totals = totals,
            Err(why) => self.leave(&mut others, TOTALS, &why),
        }
        let own = self.own.name();
        let folded: Vec<String> = totals::folded(others.totals.as_ref()).into_iter().map(str::to_owned).collect();
        for (name, path) in cells_in(&self.path)? {
            if name == own {
                continue;
            }
            let opened = match Opened::open(&path, OFlags::RDONLY) {
                Ok(opened) => opened,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => {
                    self.leave(&mut others, &name, &error);
                    continue;
                }
            };
            // Asked first: a process that dies between the two questions is read whole, and called alive once more.
            let dead = opened.lock(FlockOperation::NonBlockingLockShared);
            if dead {
                others.dead.push((name.clone(), path));
            }
            if !folded.contains(&name) {
                match Content::new(opened.bytes()?) {
                    Ok(content) => others.contents.extend(content.map(|content| (name, content, dead))),
                    Err(why) => self.leave(&mut others, &name, &why),
                }
            }
        }
        Ok(others)
    }

    fn leave(&self, others: &mut Others, name: &str, why: &dyn std::fmt::Display) {
        others.unreadable += 1;
        self.complain(&format!("the file {name} is left out: {why}"));
    }

    fn complain(&self, what: &str) {
        if !self.complained.swap(true, Ordering::Relaxed) {
            tracing::warn!(target: "hagane::metrics", "in {}, {what}; this is said once", self.path.display());
        }
    }
}

/// What the other processes left or are writing.
#[derive(Default)]
struct Others {
    totals: Option<Content>,
    contents: Vec<(String, Content, bool)>,
    dead: Vec<(String, PathBuf)>,
    unreadable: usize,
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
        let others = self.read(own.limit()).unwrap_or_else(|error| {
            self.complain(&format!("the other processes' files cannot be read: {error}"));
            Others { unreadable: 1, ..Others::default() }
        });
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
        let mut unreadable = others.unreadable;
        let sources = others.contents.iter().map(|(name, content, dead)| (name.as_str(), content, *dead));
        for (name, content, dead) in others.totals.iter().map(|totals| (TOTALS, totals, false)).chain(sources) {
            match merged.add_file(content, dead) {
                Ok(0) => {}
                Ok(_) => self.complain(&format!("the file {name} has metrics of other types, buckets or modes")),
                Err(why) => {
                    unreadable += 1;
                    self.complain(&format!("the file {name} is left out: {why}"));
                }
            }
        }
        let live = 1 + others.contents.iter().filter(|(_, _, dead)| !dead).count();
        let dead = others.contents.len() + 1 - live;
        let shown = merged.families.into_iter().map(snapshot);
        shown.chain([counted_files([("live", live), ("dead", dead), ("unreadable", unreadable)])]).collect()
    }
}

fn snapshot<'a>(family: MergedFamily<'_>) -> FamilySnapshot<'a> {
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
        labels: labels.into_owned().into(),
        value: value(words),
        created: None,
    });
    FamilySnapshot {
        name: family.name.to_owned().into(),
        help: family.help.to_owned().into(),
        kind: family.kind,
        series: series.collect(),
    }
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
