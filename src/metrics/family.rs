//! A family: one metric name and its series, one per set of label values.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use super::append_list::AppendList;
use super::cells::{Cell, Kind};
use super::error::MetricError;
use super::names::{check_label_names, check_metric_name, escape_label_value};

/// How many series a family may have before new label sets share the overflow series.
pub const DEFAULT_SERIES_LIMIT: usize = 10_000;

/// The label value of the overflow series.
pub const OVERFLOW: &str = "_overflow";

/// One series: its labels, rendered once, and its cell.
pub struct Series<C> {
    labels: Box<[(String, String)]>,
    rendered: String,
    /// The value.
    pub cell: C,
}

impl<C> Series<C> {
    /// Label names and values, in the order in which they are written.
    pub fn labels(&self) -> &[(String, String)] {
        &self.labels
    }

    /// `a="1",b="2"`, escaped; empty for a series without labels.
    pub(super) fn rendered(&self) -> &str {
        &self.rendered
    }
}

/// How a call names a series.
#[derive(Clone, Copy)]
pub enum LabelSet<'a> {
    /// All values, in the order of the family's label names.
    Values(&'a [&'a str]),
    /// All values, by label name.
    Named(&'a [(&'a str, &'a str)]),
    /// Values by label name; a label left out is empty, which to Prometheus is a label that is not there.
    Partial(&'a [(&'a str, &'a str)]),
}

type Index<C> = HashMap<Box<[u8]>, Arc<Series<C>>>;
type Pairs<'a> = Vec<(&'a str, &'a str)>;

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

    /// Gives the description if there is none yet; the first one stays.
    pub fn describe(&self, help: &str) {
        if !help.is_empty() {
            self.help.get_or_init(|| help.to_owned());
        }
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

    /// The series of these labels, created at zero if it is new.
    pub fn series(&self, given: LabelSet<'_>) -> Result<Arc<Series<C>>, MetricError> {
        let pairs = self.resolve(given)?;
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
        let key = key_of(&self.resolve(given)?);
        Ok(self.lock().get(key.as_slice()).map(Arc::clone))
    }

    fn lock(&self) -> MutexGuard<'_, Index<C>> {
        // A panic elsewhere cannot leave the map half-changed: insert comes last.
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn born(&self, pairs: &[(&str, &str)]) -> Series<C> {
        let mut rendered = String::new();
        for (position, (name, value)) in pairs.iter().enumerate() {
            rendered.push_str(if position == 0 { "" } else { "," });
            rendered.push_str(name);
            rendered.push_str("=\"");
            escape_label_value(value, &mut rendered);
            rendered.push('"');
        }
        let labels = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Series { labels, rendered, cell: C::zero(&self.shape) }
    }

    fn overflowed(&self) -> Arc<Series<C>> {
        if self.dropped.fetch_add(1, Ordering::Relaxed) == 0 {
            tracing::warn!(
                target: "hagane.metrics",
                "metric {} has {} series; further label sets are counted together under {OVERFLOW:?}. \
                 Use label values that come from a small set",
                self.name,
                self.limit,
            );
        }
        let _writers = self.lock();
        let series = self.overflow.get_or_init(|| {
            let series = Arc::new(match &self.label_names {
                Some(names) => self.born(&names.iter().map(|name| (name.as_str(), OVERFLOW)).collect::<Pairs<'_>>()),
                None => self.born(&[("overflow", OVERFLOW)]),
            });
            self.series.push(Arc::clone(&series));
            series
        });
        Arc::clone(series)
    }

    /// The labels in the order in which they are written: the family's own, or by name in an open family.
    fn resolve<'a>(&'a self, given: LabelSet<'a>) -> Result<Pairs<'a>, MetricError> {
        match (&self.label_names, given) {
            (Some(names), LabelSet::Values(values)) if names.len() == values.len() => {
                Ok(names.iter().map(String::as_str).zip(values.iter().copied()).collect())
            }
            (None, LabelSet::Values([])) => Ok(Vec::new()),
            (_, LabelSet::Values(values)) => Err(self.mismatch(
                &format!("{} values", values.len()),
                "give one value per label, in their order, or name them",
            )),
            (Some(names), LabelSet::Named(pairs)) => self.in_order(names, pairs, true),
            (Some(names), LabelSet::Partial(pairs)) => self.in_order(names, pairs, false),
            (None, LabelSet::Named(pairs) | LabelSet::Partial(pairs)) => {
                // An empty label is no label to Prometheus: two such series would be one, written twice.
                let mut pairs: Pairs<'a> = pairs.iter().copied().filter(|(_, value)| !value.is_empty()).collect();
                pairs.sort_unstable();
                Ok(pairs)
            }
        }
    }

    fn in_order<'a>(
        &'a self,
        names: &'a [String],
        pairs: &'a [(&'a str, &'a str)],
        all: bool,
    ) -> Result<Pairs<'a>, MetricError> {
        let unknown = pairs.iter().any(|(given, _)| !names.iter().any(|name| name == given));
        if unknown || (all && pairs.len() != names.len()) {
            let given = pairs.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
            return Err(self.mismatch(&given, "give the metric's own labels"));
        }
        let value = |name: &str| pairs.iter().find(|(given, _)| *given == name).map_or("", |(_, value)| *value);
        Ok(names.iter().map(|name| (name.as_str(), value(name))).collect())
    }

    fn mismatch(&self, given: &str, remedy: &'static str) -> MetricError {
        let expected = self.label_names.as_deref().unwrap_or_default().join(", ");
        MetricError::Labels { metric: self.name.clone(), expected, given: given.to_owned(), remedy }
    }
}

/// Bytes that no UTF-8 text contains stand between the parts, so different labels never share a key.
fn key_of(pairs: &[(&str, &str)]) -> Vec<u8> {
    let mut key = Vec::with_capacity(pairs.iter().map(|(name, value)| name.len() + value.len() + 2).sum());
    for (name, value) in pairs {
        key.extend_from_slice(name.as_bytes());
        key.push(0xFE);
        key.extend_from_slice(value.as_bytes());
        key.push(0xFF);
    }
    key
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::super::cells::Counter;
    use super::*;

    fn family(labels: Option<&[&str]>, limit: usize) -> Family<Counter> {
        let names: Option<Vec<String>> = labels.map(|names| names.iter().map(|name| (*name).to_owned()).collect());
        Family::new("m", "", names.as_deref(), (), limit).unwrap()
    }

    fn rendered(family: &Family<Counter>) -> Vec<&str> {
        family.iter().map(Series::rendered).collect()
    }

    #[test]
    fn the_same_labels_are_the_same_series_however_they_are_given() {
        let family = family(Some(&["a", "b"]), 10);
        family.series(LabelSet::Values(&["1", "2"])).unwrap().cell.increment(1.0).unwrap();
        family.series(LabelSet::Named(&[("b", "2"), ("a", "1")])).unwrap().cell.increment(1.0).unwrap();
        family.series(LabelSet::Partial(&[("a", "1")])).unwrap();
        assert_eq!(rendered(&family), [r#"a="1",b="2""#, r#"a="1",b="""#]);
        assert_eq!(family.iter().next().unwrap().cell.get(), 2.0);
    }

    #[test]
    fn labels_that_are_not_the_metrics_own_are_refused() {
        let family = family(Some(&["a", "b"]), 10);
        let refused: [LabelSet<'_>; 4] = [
            LabelSet::Values(&["1"]),
            LabelSet::Named(&[("a", "1")]),
            LabelSet::Partial(&[("c", "1")]),
            LabelSet::Named(&[("a", "1"), ("b", "2"), ("c", "3")]),
        ];
        for given in refused {
            assert!(matches!(family.series(given), Err(MetricError::Labels { .. })));
        }
        assert_eq!(rendered(&family).len(), 0);
    }

    #[test]
    fn an_open_family_keeps_every_label_set_apart() {
        let family = family(None, 10);
        family.series(LabelSet::Partial(&[])).unwrap();
        family.series(LabelSet::Partial(&[("b", "1"), ("a", "2")])).unwrap();
        family.series(LabelSet::Partial(&[("a", "2"), ("b", "1"), ("c", "")])).unwrap();
        assert_eq!(rendered(&family), ["", r#"a="2",b="1""#]);
        assert!(matches!(family.series(LabelSet::Partial(&[("a-b", "1")])), Err(MetricError::LabelName { .. })));
    }

    #[test]
    fn finding_creates_nothing() {
        let family = family(Some(&["a"]), 10);
        assert!(family.find(LabelSet::Values(&["1"])).unwrap().is_none());
        assert_eq!(rendered(&family).len(), 0);
    }

    #[test]
    fn beyond_the_limit_label_sets_share_one_series_and_are_counted() {
        let family = family(Some(&["a"]), 2);
        for value in ["1", "2", "3", "4", "1"] {
            family.series(LabelSet::Values(&[value])).unwrap().cell.increment(1.0).unwrap();
        }
        assert_eq!(rendered(&family), [r#"a="1""#, r#"a="2""#, r#"a="_overflow""#]);
        assert_eq!(family.iter().map(|series| series.cell.get()).collect::<Vec<_>>(), [2.0, 1.0, 2.0]);
        assert_eq!(family.dropped(), 2);
    }

    #[test]
    fn eight_threads_that_create_the_same_series_create_each_once() {
        let family = family(Some(&["a"]), 1000);
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for value in 0..200 {
                        let value = value.to_string();
                        let series = family.series(LabelSet::Values(&[&value])).unwrap();
                        series.cell.increment(1.0).unwrap();
                    }
                });
            }
        });
        assert_eq!(family.iter().count(), 200);
        assert!(family.iter().all(|series| series.cell.get() == 8.0));
    }
}
