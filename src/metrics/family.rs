//! A family: one metric name and its series, one per set of label values.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use super::append_list::AppendList;
use super::cells::{Cell, Counter, Kind};
use super::error::MetricError;
use super::exemplars::Exemplars;
use super::histogram::Histogram;
use super::labels::{LabelSet, MOST_VALUE, Pairs, cut, cut_long_values, key_of, render_canonical, resolve};
use super::names::{check_label_names, check_metric_name};
use super::native::Native;
use super::series::Series;
use super::shelf::Shelf;
use super::words::Words;

/// How many series a family may have before new label sets share the overflow series.
pub const DEFAULT_SERIES_LIMIT: usize = 10_000;

/// The label value of the overflow series.
pub const OVERFLOW: &str = "_overflow";

/// A description has no more bytes; what is longer is cut there.
pub const MOST_HELP: usize = 8192;

/// What a family shares with the others of its registry.
#[derive(Clone, Default)]
pub(super) struct Home {
    /// Where other processes see its cells; without one they are in memory of their own.
    pub(super) shelf: Option<Arc<dyn Shelf>>,
    /// Counts label sets sent to an overflow series, by metric.
    pub(super) drops: Option<Arc<Family<Counter>>>,
}

type Index<C> = HashMap<Box<[u8]>, Arc<Series<C>>>;

/// One metric name. Without label names it is open: each series brings its own.
pub struct Family<C: Cell> {
    name: String,
    help: OnceLock<String>,
    label_names: Option<Vec<String>>,
    shape: C::Shape,
    limit: usize,
    series: AppendList<Arc<Series<C>>>,
    // Only writers look in here; in a Python process they hold the GIL, so no fork can catch it locked.
    index: Mutex<Index<C>>,
    overflow: OnceLock<Arc<Series<C>>>,
    dropped: AtomicU64,
    native: AtomicBool,
    // Whether it was said that a label's value is cut.
    cut: AtomicBool,
    home: Home,
    // Where the shelf has the family's own record, which comes with its first series; `None` if it has no room.
    record: OnceLock<Option<u32>>,
}

impl Family<Histogram> {
    /// Keeps a native histogram too, of every series that has observed nothing so far.
    pub fn keep_native(&self) {
        self.native.store(true, Ordering::Relaxed);
        for series in self.iter().filter(|series| series.cell.snapshot().count() == 0) {
            series.native.get_or_init(Box::default);
        }
    }
}

impl<C: Cell> Family<C> {
    /// A family with these label names, or an open one. A family with no labels has its one series at once.
    pub fn new(
        name: &str,
        help: &str,
        label_names: Option<&[String]>,
        shape: C::Shape,
        limit: usize,
    ) -> Result<Self, MetricError> {
        Self::at(Home::default(), name, help, label_names, shape, limit)
    }

    pub(super) fn at(
        home: Home,
        name: &str,
        help: &str,
        label_names: Option<&[String]>,
        shape: C::Shape,
        limit: usize,
    ) -> Result<Self, MetricError> {
        check_metric_name(name)?;
        check_label_names(name, C::KIND, label_names.unwrap_or_default().iter().map(String::as_str))?;
        let family = Self {
            name: name.to_owned(),
            help: OnceLock::new(),
            label_names: label_names.map(<[String]>::to_vec),
            shape,
            limit,
            series: AppendList::new(),
            index: Mutex::default(),
            overflow: OnceLock::new(),
            dropped: AtomicU64::new(0),
            native: AtomicBool::new(false),
            cut: AtomicBool::new(false),
            home,
            record: OnceLock::new(),
        };
        family.describe(help);
        if label_names.is_some_and(<[String]>::is_empty) {
            family.series(LabelSet::Values(&[]))?;
        }
        Ok(family)
    }

    /// The metric's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The description, empty if nobody gave one.
    pub fn help(&self) -> &str {
        self.help.get().map_or("", String::as_str)
    }

    /// Gives the description if there is none yet; the first one stays. It is cut at `MOST_HELP` bytes.
    pub fn describe(&self, help: &str) {
        if help.is_empty() || self.help.get().is_some() {
            return;
        }
        if help.len() > MOST_HELP {
            tracing::warn!(
                target: "hagane::metrics",
                "the description of metric {} has {} bytes and is cut to {MOST_HELP}; write a sentence or two",
                self.name,
                help.len(),
            );
        }
        self.help.get_or_init(|| cut(help, MOST_HELP).to_owned());
    }

    /// The type.
    pub fn kind(&self) -> Kind {
        C::KIND
    }

    /// The label names; `None` for an open family.
    pub fn label_names(&self) -> Option<&[String]> {
        self.label_names.as_deref()
    }

    /// What the series share.
    pub fn shape(&self) -> &C::Shape {
        &self.shape
    }

    /// Every series there is, in the order of their birth. Takes no lock.
    pub fn iter(&self) -> impl Iterator<Item = &Series<C>> {
        self.series.iter().map(Arc::as_ref)
    }

    /// How often a label set beyond the limit was sent to the overflow series.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// How many series it may have.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// Whether `series` is the one for label sets beyond the limit.
    pub fn is_overflow(&self, series: &Arc<Series<C>>) -> bool {
        self.overflow.get().is_some_and(|overflow| Arc::ptr_eq(overflow, series))
    }

    /// The series of these labels, created at zero if it is new. A value is cut at `MOST_VALUE` bytes.
    pub fn series(&self, given: LabelSet<'_>) -> Result<Arc<Series<C>>, MetricError> {
        let mut pairs = resolve(&self.name, self.label_names(), given)?;
        if let Some((label, length)) = cut_long_values(&mut pairs) {
            self.say_that_a_value_is_cut(label, length);
        }
        let key = key_of(&pairs);
        let mut index = self.lock();
        if let Some(series) = index.get(key.as_slice()) {
            return Ok(Arc::clone(series));
        }
        if self.label_names.is_none() {
            check_label_names(&self.name, C::KIND, pairs.iter().map(|(name, _)| *name))?;
        }
        if index.len() >= self.limit {
            drop(index);
            return Ok(self.overflowed());
        }
        let series = Arc::new(self.born(&pairs));
        index.insert(key.into(), Arc::clone(&series));
        self.series.push(Arc::clone(&series));
        Ok(series)
    }

    /// The series of these labels if it is there; creates nothing.
    pub fn find(&self, given: LabelSet<'_>) -> Result<Option<Arc<Series<C>>>, MetricError> {
        let mut pairs = resolve(&self.name, self.label_names(), given)?;
        cut_long_values(&mut pairs);
        let key = key_of(&pairs);
        Ok(self.lock().get(key.as_slice()).map(Arc::clone))
    }

    fn say_that_a_value_is_cut(&self, label: &str, length: usize) {
        if !self.cut.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                target: "hagane::metrics",
                "metric {}: a value of label {label} has {length} bytes; values are cut to {MOST_VALUE}, and those that \
                 begin alike are counted together. Use short values that come from a small set; this is said once",
                self.name,
            );
        }
    }

    fn lock(&self) -> MutexGuard<'_, Index<C>> {
        // A panic elsewhere cannot leave the map half-changed: insert comes last.
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn born(&self, pairs: &[(&str, &str)]) -> Series<C> {
        let labels = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let created = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64());
        let native =
            if self.native.load(Ordering::Relaxed) { Box::<Native>::default().into() } else { OnceLock::new() };
        let rendered = render_canonical(pairs);
        let words = self.shared_words(&rendered).map_or_else(|| Words::own(C::width(&self.shape)), Words::Shared);
        let cell = C::over(&self.shape, words);
        Series { labels, rendered, cell, created, exemplars: Exemplars::default(), native }
    }

    fn shared_words(&self, rendered: &str) -> Option<&'static [AtomicU64]> {
        let shelf = self.home.shelf.as_ref()?;
        let open = self.label_names.is_none();
        let record = self.record.get_or_init(|| shelf.family(&self.name, self.help(), open, C::layout(&self.shape)));
        shelf.series((*record)?, rendered, C::width(&self.shape))
    }

    fn overflowed(&self) -> Arc<Series<C>> {
        if self.dropped.fetch_add(1, Ordering::Relaxed) == 0 {
            tracing::warn!(
                target: "hagane::metrics",
                "metric {} has {} series; further label sets are counted together under {OVERFLOW:?}. \
                 Use label values that come from a small set",
                self.name,
                self.limit,
            );
        }
        if let Some(drops) = &self.home.drops {
            // Its labels are those of its registry, so there is nothing to refuse.
            let _ = drops.series(LabelSet::Values(&[&self.name])).and_then(|series| series.cell.increment(1.0));
        }
        let mut index = self.lock();
        let series = self.overflow.get_or_init(|| {
            let pairs: Pairs<'_> = match &self.label_names {
                Some(names) => names.iter().map(|name| (name.as_str(), OVERFLOW)).collect(),
                None => vec![("overflow", OVERFLOW)],
            };
            // The program may use these very labels itself: one series cannot be written twice.
            let known = index.entry(key_of(&pairs).into()).or_insert_with(|| {
                let series = Arc::new(self.born(&pairs));
                self.series.push(Arc::clone(&series));
                series
            });
            Arc::clone(known)
        });
        Arc::clone(series)
    }
}

#[cfg(test)]
mod tests;
