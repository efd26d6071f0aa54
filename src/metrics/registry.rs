//! Which families there are, and that no two of them write samples of one name.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::append_list::AppendList;
use super::cells::{Cell, Counter, Gauge, Kind};
use super::combine::Combine;
use super::error::MetricError;
use super::family::{DEFAULT_SERIES_LIMIT, Family, Home};
use super::histogram::{Bounds, DEFAULT_BOUNDS, Histogram};
use super::names::reserved_for;
use super::shelf::Shelf;

/// The name of the encoder's own counter of label sets sent to an overflow series.
pub(super) const DROPS: &str = "hagane_metrics_overflow_total";

pub(super) const DROPS_HELP: &str = "Uses of label sets beyond a metric's limit, counted in its overflow series.";

/// A family of any type.
pub enum AnyFamily {
    /// Of counters.
    Counter(Arc<Family<Counter>>),
    /// Of gauges.
    Gauge(Arc<Family<Gauge>>),
    /// Of histograms.
    Histogram(Arc<Family<Histogram>>),
}

impl AnyFamily {
    /// The metric's name.
    pub fn name(&self) -> &str {
        match self {
            Self::Counter(family) => family.name(),
            Self::Gauge(family) => family.name(),
            Self::Histogram(family) => family.name(),
        }
    }

    /// How often a label set beyond the limit was sent to the overflow series.
    pub fn dropped(&self) -> u64 {
        match self {
            Self::Counter(family) => family.dropped(),
            Self::Gauge(family) => family.dropped(),
            Self::Histogram(family) => family.dropped(),
        }
    }

    /// The metric's type.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Counter(_) => Kind::Counter,
            Self::Gauge(_) => Kind::Gauge,
            Self::Histogram(_) => Kind::Histogram,
        }
    }
}

/// A cell type that a registry can hold.
trait Registered: Cell {
    fn erase(family: Arc<Family<Self>>) -> AnyFamily;
    fn of(family: &AnyFamily) -> Option<&Arc<Family<Self>>>;
}

macro_rules! registered {
    ($($name:ident),*) => {$(
        impl Registered for $name {
            fn erase(family: Arc<Family<Self>>) -> AnyFamily {
                AnyFamily::$name(family)
            }
            fn of(family: &AnyFamily) -> Option<&Arc<Family<Self>>> {
                match family {
                    AnyFamily::$name(family) => Some(family),
                    _ => None,
                }
            }
        }
    )*};
}
registered!(Counter, Gauge, Histogram);

/// Families in the order of their registration.
pub struct Registry {
    families: AppendList<AnyFamily>,
    // Sample name -> the family that writes it. Only writers look in here (see `Family::index`).
    claims: Mutex<HashMap<String, usize>>,
    limit: usize,
    drops: Option<Arc<Family<Counter>>>,
    shelf: Option<Arc<dyn Shelf>>,
}

impl Default for Registry {
    fn default() -> Self {
        Self::new(DEFAULT_SERIES_LIMIT)
    }
}

impl Registry {
    /// An empty registry whose families may each have `limit` series.
    pub fn new(limit: usize) -> Self {
        Self::on(limit, None)
    }

    /// An empty registry whose cells are kept on `shelf`, where other processes see them.
    pub fn on(limit: usize, shelf: Option<Arc<dyn Shelf>>) -> Self {
        // One series per metric: as many as there are names, which the program itself chooses.
        let home = Home { shelf: shelf.clone(), drops: None };
        let drops = Family::at(home, DROPS, DROPS_HELP, Some(&["metric".to_owned()]), (), usize::MAX);
        Self { families: AppendList::new(), claims: Mutex::default(), limit, drops: drops.ok().map(Arc::new), shelf }
    }

    /// The registry's own counter of label sets that were sent to an overflow series.
    pub(super) fn drops(&self) -> Option<&Family<Counter>> {
        self.drops.as_deref()
    }

    /// Where its cells are kept, unless that is its own memory.
    pub(super) fn shelf(&self) -> Option<&dyn Shelf> {
        self.shelf.as_deref()
    }

    /// How many series a family may have.
    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    /// Every family. Takes no lock.
    pub fn iter(&self) -> impl Iterator<Item = &AnyFamily> {
        self.families.iter()
    }

    /// The counter of this name, created if new. Label names `None`: whatever it has, or open if it is new.
    pub fn counter(
        &self,
        name: &str,
        help: &str,
        labels: Option<&[String]>,
    ) -> Result<Arc<Family<Counter>>, MetricError> {
        self.family(name, help, labels, ())
    }

    /// The gauge of this name, created if new.
    pub fn gauge(&self, name: &str, help: &str, labels: Option<&[String]>) -> Result<Arc<Family<Gauge>>, MetricError> {
        self.combined_gauge(name, help, labels, None)
    }

    /// The gauge of this name, created if new. `None`: it combines as it does, or in the default way if it is new.
    pub fn combined_gauge(
        &self,
        name: &str,
        help: &str,
        labels: Option<&[String]>,
        combine: Option<Combine>,
    ) -> Result<Arc<Family<Gauge>>, MetricError> {
        let family: Arc<Family<Gauge>> = self.family(name, help, labels, combine.unwrap_or_default())?;
        match combine.filter(|wanted| wanted != family.shape()) {
            None => Ok(family),
            Some(wanted) => Err(MetricError::OtherCombination {
                metric: name.to_owned(),
                existing: family.shape().name(),
                wanted: wanted.name(),
            }),
        }
    }

    /// The histogram of this name, created if new. Bounds `None`: whatever it has, or `DEFAULT_BOUNDS` if it is new.
    pub fn histogram(
        &self,
        name: &str,
        help: &str,
        labels: Option<&[String]>,
        bounds: Option<&[f64]>,
    ) -> Result<Arc<Family<Histogram>>, MetricError> {
        let wanted = Bounds::new(name, bounds.unwrap_or(&DEFAULT_BOUNDS))?;
        let family: Arc<Family<Histogram>> = self.family(name, help, labels, wanted.clone())?;
        if bounds.is_some() && *family.shape() != wanted {
            return Err(MetricError::OtherBuckets {
                metric: name.to_owned(),
                existing: family.shape().as_slice().to_vec(),
                wanted: wanted.as_slice().to_vec(),
            });
        }
        Ok(family)
    }

    fn family<C: Registered>(
        &self,
        name: &str,
        help: &str,
        labels: Option<&[String]>,
        shape: C::Shape,
    ) -> Result<Arc<Family<C>>, MetricError> {
        if C::KIND == Kind::Counter && name == "_total" {
            return Err(MetricError::NoBaseName);
        }
        let mut claims = self.claims.lock().unwrap_or_else(PoisonError::into_inner);
        for sample in sample_names(name, C::KIND) {
            if let Some(other) = reserved_for(&sample) {
                return Err(sample_taken(name, &sample, other));
            }
            let Some(other) = claims.get(&sample).and_then(|index| self.families.get(*index)) else { continue };
            if other.name() != name {
                return Err(sample_taken(name, &sample, other.name()));
            }
            return existing::<C>(other, help, labels);
        }
        let home = Home { shelf: self.shelf.clone(), drops: self.drops.clone() };
        let family = Arc::new(Family::at(home, name, help, labels, shape, self.limit)?);
        let index = self.families.len();
        claims.extend(sample_names(name, C::KIND).map(|sample| (sample, index)));
        self.families.push(C::erase(Arc::clone(&family)));
        Ok(family)
    }
}

fn existing<C: Registered>(
    family: &AnyFamily,
    help: &str,
    labels: Option<&[String]>,
) -> Result<Arc<Family<C>>, MetricError> {
    let family = C::of(family).ok_or_else(|| MetricError::Type {
        metric: family.name().to_owned(),
        existing: family.kind(),
        wanted: C::KIND,
    })?;
    if labels.is_some() && labels != family.label_names() {
        return Err(MetricError::OtherLabels {
            metric: family.name().to_owned(),
            existing: family.label_names().map_or("any".to_owned(), |names| names.join(", ")),
            wanted: labels.unwrap_or_default().join(", "),
        });
    }
    family.describe(help);
    Ok(Arc::clone(family))
}

fn sample_taken(metric: &str, sample: &str, other: &str) -> MetricError {
    MetricError::SampleName { metric: metric.to_owned(), sample: sample.to_owned(), other: other.to_owned() }
}

/// The metric's own name first: a family found under it is the family itself. `_created` is one of OpenMetrics'.
pub(super) fn sample_names(name: &str, kind: Kind) -> impl Iterator<Item = String> {
    let endings: &[&str] = if kind == Kind::Histogram { &["_bucket", "_sum", "_count"] } else { &[] };
    let created = match kind {
        Kind::Counter => name.strip_suffix("_total"),
        Kind::Gauge => None,
        Kind::Histogram => Some(name),
    };
    let others = endings.iter().map(move |ending| format!("{name}{ending}"));
    std::iter::once(name.to_owned()).chain(others).chain(created.map(|base| format!("{base}_created")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(labels: &[&str]) -> Vec<String> {
        labels.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn a_second_registration_is_the_same_family_and_may_leave_out_what_it_knows() {
        let registry = Registry::default();
        let first = registry.counter("m", "", Some(&names(&["a"]))).unwrap();
        let second = registry.counter("m", "help", None).unwrap();
        assert!(Arc::ptr_eq(&first, &second));
        assert_eq!(first.help(), "help");
        let times = registry.histogram("t", "", None, Some(&[1.0, 2.0])).unwrap();
        assert!(Arc::ptr_eq(&times, &registry.histogram("t", "", None, None).unwrap()));
        assert_eq!(registry.iter().count(), 2);
    }

    #[test]
    fn a_second_registration_that_differs_is_refused() {
        let registry = Registry::default();
        registry.counter("m", "", Some(&names(&["a"]))).unwrap();
        registry.histogram("t", "", None, None).unwrap();
        assert!(matches!(registry.gauge("m", "", None), Err(MetricError::Type { .. })));
        assert!(matches!(registry.counter("m", "", Some(&names(&["b"]))), Err(MetricError::OtherLabels { .. })));
        assert!(matches!(registry.histogram("t", "", None, Some(&[1.0])), Err(MetricError::OtherBuckets { .. })));
    }

    #[test]
    fn names_that_the_exporter_and_the_process_write_are_nobody_elses() {
        let registry = Registry::default();
        for name in ["process_open_fds", "hagane_exporter_x", "hagane_multiprocess_files", DROPS] {
            let refused = registry.gauge(name, "", None).err().unwrap();
            assert!(matches!(refused, MetricError::SampleName { .. }), "{name}");
            assert!(refused.to_string().ends_with("itself already does; choose another name"), "{refused}");
        }
        assert!(registry.gauge("process_documents", "", None).is_ok());
    }

    #[test]
    fn no_two_families_write_one_sample_name() {
        let registry = Registry::default();
        registry.histogram("t", "", None, None).unwrap();
        registry.counter("u_sum", "", None).unwrap();
        assert!(matches!(registry.counter("t_count", "", None), Err(MetricError::SampleName { .. })));
        assert!(matches!(registry.histogram("u", "", None, None), Err(MetricError::SampleName { .. })));
        assert!(matches!(registry.counter(DROPS, "", None), Err(MetricError::SampleName { .. })));
        assert!(matches!(registry.counter("t", "", None), Err(MetricError::Type { .. })));
        assert!(matches!(registry.gauge("t_created", "", None), Err(MetricError::SampleName { .. })));
        registry.counter("v_total", "", None).unwrap();
        assert!(matches!(registry.gauge("v_created", "", None), Err(MetricError::SampleName { .. })));
        registry.gauge("w_created", "", None).unwrap();
        assert!(matches!(registry.counter("w_total", "", None), Err(MetricError::SampleName { .. })));
        assert!(registry.gauge("w", "", None).is_ok());
        assert!(matches!(registry.counter("_total", "", None), Err(MetricError::NoBaseName)));
    }
}
