//! What a registry holds at one moment, as every encoder takes it.

use std::borrow::Cow;

use super::cells::{Cell, Counter, Gauge, Kind};
use super::error::MetricError;
use super::exposition::{FamilySnapshot, HistogramValue, SeriesSnapshot, Source, Value};
use super::family::Family;
use super::histogram::Histogram;
use super::native::Native;
use super::registry::{AnyFamily, Registry};
use super::series::Series;

impl Source for Registry {
    /// Takes no lock.
    fn snapshot(&self) -> Result<Vec<FamilySnapshot<'_>>, MetricError> {
        if let Some(shelf) = self.shelf() {
            return shelf.gather(self);
        }
        let shown = self.iter().map(|family| match family {
            AnyFamily::Counter(family) => family_snapshot(family),
            AnyFamily::Gauge(family) => family_snapshot(family),
            AnyFamily::Histogram(family) => family_snapshot(family),
        });
        let drops = self.drops().filter(|drops| drops.iter().next().is_some());
        Ok(shown.chain(drops.map(family_snapshot)).collect())
    }
}

/// A cell whose value can be shown.
trait Shown: Cell {
    fn value<'a>(&'a self, series: Option<&'a Series<Self>>) -> Value<'a>;
}

impl Shown for Counter {
    fn value<'a>(&'a self, series: Option<&'a Series<Self>>) -> Value<'a> {
        let exemplar = series.and_then(|series| series.exemplars().seen().pop().flatten());
        Value::Number(self.get(), exemplar.map(Box::new))
    }
}

impl Shown for Gauge {
    fn value<'a>(&'a self, _: Option<&'a Series<Self>>) -> Value<'a> {
        Value::Number(self.get(), None)
    }
}

impl Shown for Histogram {
    fn value<'a>(&'a self, series: Option<&'a Series<Self>>) -> Value<'a> {
        let seen = self.snapshot();
        Value::Histogram(Box::new(HistogramValue {
            bounds: Cow::Borrowed(self.bounds().as_slice()),
            cumulative: seen.cumulative,
            sum: seen.sum,
            below_zero: seen.min < 0.0,
            exemplars: series.map(|series| series.exemplars().seen()).unwrap_or_default(),
            native: series.and_then(Series::native).map(Native::seen),
        }))
    }
}

fn family_snapshot<C: Shown>(family: &Family<C>) -> FamilySnapshot<'_> {
    let mut series: Vec<_> = family
        .iter()
        .map(|series| SeriesSnapshot {
            labels: Cow::Borrowed(series.rendered()),
            value: series.cell.value(Some(series)),
            created: (C::KIND != Kind::Gauge).then(|| series.created()),
        })
        .collect();
    // Nobody has used an open family yet: the unlabelled zero lets `increase()` see its first event.
    if series.is_empty() && family.label_names().is_none() {
        series.push(SeriesSnapshot { labels: "".into(), value: zero::<C>(family), created: None });
    }
    FamilySnapshot { name: family.name().into(), help: family.help().into(), kind: C::KIND, series }
}

fn zero<C: Shown>(family: &Family<C>) -> Value<'static> {
    match C::zero(family.shape()).value(None) {
        Value::Number(value, exemplar) => Value::Number(value, exemplar),
        Value::Histogram(value) => {
            Value::Histogram(Box::new(HistogramValue { bounds: value.bounds.into_owned().into(), ..*value }))
        }
    }
}
