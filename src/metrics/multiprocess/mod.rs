//! One scrape for many processes: each keeps its cells in a file of its own in one directory.
//!
//! A scrape adds up this process's registry, the files of the others that live, and the totals of those that are dead.

mod family;
mod files;
mod format;
mod merge;
mod own;
mod read;
mod shown;
mod sum;
mod totals;

use std::fs;
use std::io;
use std::os::fd::RawFd;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rustix::io::Errno;

use self::format::{FamilyRecord, SERIES_HEAD};
use self::own::Own;
use self::shown::{counted_files, snapshot};
use super::cells::Layout;
use super::error::MetricError;
use super::exposition::FamilySnapshot;
use super::labels::cut;
use super::registry::Registry;
use super::shelf::Shelf;

/// The directory that the processes share, and this process's file in it.
///
/// Its files are memory of the processes that made them: whoever shortens one ends its process (SIGBUS), and whoever
/// writes into one changes what it counted. The directory must therefore be writable for its owner alone.
pub struct Directory {
    path: PathBuf,
    own: Own,
    said: Said,
}

impl Directory {
    /// Makes the directory, if there is none, and this process's file in it.
    pub fn open(path: &Path) -> Result<Arc<Self>, MetricError> {
        let refuse = |source, remedy| MetricError::Directory { path: path.to_owned(), source, remedy };
        let elsewhere = "name a directory on a local disk that every process of the program may write to";
        let unusable = |source: io::Error| refuse(source, elsewhere);
        // For this user alone: whoever may write there can make the totals lie.
        fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(unusable)?;
        if fs::metadata(path).map_err(unusable)?.permissions().mode() & 0o022 != 0 {
            return Err(refuse(
                Errno::PERM.into(),
                "its group or everybody may write there; take that right away (chmod go-w), or name one below it, which is then made for its owner alone",
            ));
        }
        // A program that changes its working directory later must not lose it.
        let path = &fs::canonicalize(path).map_err(unusable)?;
        let own = Own::make(path).map_err(unusable)?;
        Ok(Arc::new(Self { path: path.to_owned(), own, said: Said::default() }))
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

    fn say_too_long<T>(&self, text: &str) -> Option<T> {
        let what = format!(
            "names, buckets or labels that begin with {:?} are more than fit in a file ({} bytes, {} buckets), so that \
             only this very process shows them",
            cut(text, 100),
            format::MOST_TEXT,
            format::MOST_BOUNDS,
        );
        self.say(&self.said.too_long, &what);
        None
    }

    fn say(&self, said: &AtomicBool, what: &str) {
        if !said.swap(true, Ordering::Relaxed) {
            tracing::warn!(target: "hagane::metrics", "in {}, {what}; this is said once", self.path.display());
        }
    }
}

/// What was said already.
#[derive(Default)]
struct Said {
    unreadable_file: AtomicBool,
    left_out: AtomicBool,
    closed: AtomicBool,
    too_long: AtomicBool,
    fold: AtomicBool,
    // Only as long as it lasts.
    unreadable: AtomicBool,
}

impl Shelf for Directory {
    fn family(&self, name: &str, help: &str, open: bool, layout: Layout<'_>) -> Option<u32> {
        let record = format::family(&FamilyRecord { name, help, open, closed: false, layout });
        let record = record.or_else(|| self.say_too_long(name))?;
        self.own.append(&record).and_then(|start| u32::try_from(start).ok())
    }

    fn series(&self, family: u32, rendered: &str, width: usize) -> Option<&'static [AtomicU64]> {
        let record = format::series(family, rendered, &vec![0; width]);
        let start = self.own.append(&record.or_else(|| self.say_too_long(rendered))?)?;
        Some(self.own.words(start + SERIES_HEAD, width))
    }

    fn gather<'a>(&self, own: &'a Registry) -> Result<Vec<FamilySnapshot<'a>>, MetricError> {
        let mut sum = sum::add_up(&self.path, own, self.own.name().as_deref()).map_err(|source| {
            let remedy = "see that the directory is there, may be read and was not emptied, and that descriptors are \
                          left; restart the processes if it was removed";
            self.say(&self.said.unreadable, &format!("the other processes' files cannot be read ({source}); {remedy}"));
            MetricError::Unreadable { path: self.path.clone(), source, remedy }
        })?;
        self.said.unreadable.store(false, Ordering::Relaxed);
        if let Some(why) = sum.unreadable.first() {
            self.say(&self.said.unreadable_file, why);
        }
        if let Some(first) = &sum.merged.left_out().first {
            self.say(&self.said.left_out, &format!("{first} is left out"));
        }
        if let Some(metric) = &sum.closed {
            let limit = own.limit();
            let what = format!(
                "{metric} has had more than {limit} series over time; those that it did not have before \
                 are counted together under \"_overflow\". Use label values that come from a small set"
            );
            self.say(&self.said.closed, &what);
        }
        if !sum.dead.is_empty()
            && let Err(error) = totals::fold(&self.path, &sum.dead, own.limit())
        {
            let what = format!("dead processes' files cannot be added up ({error}); they are read one by one");
            self.say(&self.said.fold, &what);
        }
        sum.merged.say_what_is_left_out(true);
        let [live, dead] = sum.files;
        let files = counted_files([("live", live), ("dead", dead), ("unreadable", sum.unreadable.len())]);
        Ok(sum.merged.families.into_iter().map(snapshot).chain([files]).collect())
    }
}

#[cfg(test)]
mod tests;
