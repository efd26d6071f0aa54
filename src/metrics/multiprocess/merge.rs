//! Adding up what several processes hold.

use std::collections::HashMap;
use std::sync::atomic::Ordering;

use super::family::MergedFamily;
use super::format::FamilyRecord;
use super::read::{Content, FamilyEntry, Record, Unreadable, plausible};
use crate::metrics::cells::{Cell, Kind, Layout};
use crate::metrics::combine::Combine;
use crate::metrics::family::Family;
use crate::metrics::names::reserved_for;
use crate::metrics::registry::{DROPS, DROPS_HELP, sample_names};

/// The gauge of what could not be counted in. It is kept in the totals too: what a fold leaves out is gone for good.
pub(super) const LEFT_OUT: &str = "hagane_multiprocess_left_out";
const LEFT_OUT_HELP: &str =
    "Metrics that contradict another process's, and series that cannot be, which are not counted in.";

/// Families and series of several sources, each series once. Where sources contradict each other the first one is right.
pub(super) struct Merged {
    pub(super) families: Vec<MergedFamily>,
    // Sample name -> the family that writes it: no two families may write the same.
    claims: HashMap<String, usize>,
    left_out: LeftOut,
}

/// Whose file it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    /// A process that lives.
    Living,
    /// A dead process, whose gauges may be forgotten.
    Dead,
    /// The totals, whose series keep their places for ever.
    Totals,
}

/// What was not counted in.
#[derive(Debug, Default)]
pub(super) struct LeftOut {
    families: u32,
    series: u32,
    /// The name of the first metric that this happened to.
    pub(super) first: Option<String>,
}

impl Merged {
    /// Nothing yet.
    pub(super) fn new() -> Self {
        Self { families: Vec::new(), claims: HashMap::new(), left_out: LeftOut::default() }
    }

    /// Counts in the families of a registry of this process.
    pub(super) fn add_family<C: Cell>(&mut self, family: &Family<C>) {
        let layout = C::layout(family.shape());
        let (name, help, open) = (family.name(), family.help(), family.label_names().is_none());
        let record = FamilyRecord { name, help, open, closed: false, layout };
        let Some(place) = self.place(&record, layout.bounds) else { return };
        let merged = &mut self.families[place];
        for (hint, series) in family.iter().enumerate() {
            let words = series.cell.words().iter().map(|word| word.load(Ordering::Relaxed));
            // Its labels were checked when it was made.
            let _ = merged.add(series.rendered().as_bytes(), hint, words, None);
        }
    }

    /// Counts in a file. A family that contradicts another of its name, or a series that cannot be, costs only itself.
    /// After an error part of the file is counted: begin again without it.
    pub(super) fn add_file(&mut self, content: &Content, owner: Owner) -> Result<(), Unreadable> {
        // In the order of their numbers, as in the file.
        let mut known: Vec<Known> = Vec::new();
        let mut last = 0;
        for record in content.records() {
            match record? {
                Record::Family(family) => known.push(self.meet(&family, owner)),
                Record::Series { family, labels, cells } => {
                    if known.get(last).is_none_or(|known| known.number != family) {
                        last = known.binary_search_by_key(&family, |known| known.number).unwrap_or(usize::MAX);
                    }
                    let Some(known) = known.get_mut(last) else {
                        self.left_out.series("a series of no family");
                        continue;
                    };
                    let counted = plausible(known.kind, known.bounds, cells)
                        && known.place.is_none_or(|place| {
                            let buckets = known.buckets.as_deref();
                            let merged = &mut self.families[place];
                            let series = merged.add(labels, known.next, cells.iter(), buckets);
                            series.filter(|_| owner == Owner::Totals).inspect(|series| merged.settle(*series));
                            series.is_some()
                        });
                    if !counted {
                        self.left_out.series(&known.name);
                    }
                    known.next += 1;
                }
                Record::Folded(_) => {}
            }
        }
        Ok(())
    }

    /// What is to be done with the series of a file's family.
    fn meet(&mut self, family: &FamilyEntry<'_>, owner: Owner) -> Known {
        let FamilyEntry { number, record, bounds } = family;
        let kind = record.layout.kind;
        let forgotten = owner == Owner::Dead && kind == Kind::Gauge && record.layout.combine.forgets_the_dead();
        let place = self.place(record, bounds).filter(|_| !forgotten);
        if let Some(place) = place {
            self.families[place].closed |= owner == Owner::Totals && record.closed;
        }
        let buckets = place.and_then(|place| self.families[place].buckets_for(bounds));
        Known { number: *number, name: record.name.to_owned(), kind, bounds: bounds.len(), place, buckets, next: 0 }
    }

    /// Where the series of a family go: a new place, or that of the family of its name. `None`: they contradict.
    fn place(&mut self, record: &FamilyRecord<'_>, bounds: &[f64]) -> Option<usize> {
        let FamilyRecord { name, help, layout, .. } = *record;
        let mut samples = sample_names(name, layout.kind);
        if let Some(place) = samples.find_map(|sample| self.claims.get(&sample).copied()) {
            let there = &mut self.families[place];
            if !there.is_of(record) {
                self.left_out.family(name);
                return None;
            }
            if there.help.is_empty() {
                help.clone_into(&mut there.help);
            }
            return Some(place);
        }
        if !matches!(name, LEFT_OUT | DROPS)
            && sample_names(name, layout.kind).any(|name| reserved_for(&name).is_some())
        {
            self.left_out.family(name);
            return None;
        }
        let place = self.families.len();
        self.claims.extend(sample_names(name, layout.kind).map(|sample| (sample, place)));
        self.families.push(MergedFamily::new(record, bounds));
        Some(place)
    }

    /// Sends what is beyond `limit` series, or beyond what a closed family had, to overflow series, and counts it in the
    /// counter that says so. Returns the first metric that this happened to. Comes after all that is counted in.
    pub(super) fn keep(&mut self, limit: usize) -> Option<String> {
        let bounded = |family: &&mut MergedFamily| !matches!(family.name.as_str(), DROPS | LEFT_OUT);
        let kept = self.families.iter_mut().filter(bounded).map(|family| (family.keep(limit), &family.name));
        let dropped: Vec<(usize, String)> =
            kept.filter(|(count, _)| *count > 0).map(|(count, name)| (count, name.clone())).collect();
        let layout = Layout { kind: Kind::Counter, combine: Combine::default(), bounds: &[] };
        let record = FamilyRecord { name: DROPS, help: DROPS_HELP, open: false, closed: false, layout };
        for (count, name) in &dropped {
            let Some(place) = self.place(&record, &[]) else { continue };
            let labels = format!("metric=\"{name}\"");
            let _ = self.families[place].add(labels.as_bytes(), 0, [(*count as f64).to_bits()].into_iter(), None);
        }
        dropped.into_iter().next().map(|(_, name)| name)
    }

    /// What was left out so far.
    pub(super) fn left_out(&self) -> &LeftOut {
        &self.left_out
    }

    /// Counts what was left out in the gauge that says so. The last thing to be done; `always`: also if it is nothing.
    pub(super) fn say_what_is_left_out(&mut self, always: bool) {
        let LeftOut { families, series, .. } = self.left_out;
        if families + series == 0 && !always {
            return;
        }
        let layout = Layout { kind: Kind::Gauge, combine: Combine::Sum, bounds: &[] };
        let record = FamilyRecord { name: LEFT_OUT, help: LEFT_OUT_HELP, open: false, closed: false, layout };
        let Some(place) = self.place(&record, &[]) else { return };
        for (hint, (what, count)) in [("families", families), ("series", series)].into_iter().enumerate() {
            let words = [f64::from(count).to_bits(), 1];
            let labels = format!("what=\"{what}\"");
            let _ = self.families[place].add(labels.as_bytes(), hint, words.into_iter(), None);
        }
    }
}

impl LeftOut {
    fn family(&mut self, name: &str) {
        self.families = self.families.saturating_add(1);
        self.first.get_or_insert_with(|| format!("the metric {name}, which has another type or mode elsewhere,"));
    }

    fn series(&mut self, name: &str) {
        self.series = self.series.saturating_add(1);
        self.first.get_or_insert_with(|| format!("a damaged series of {name}"));
    }
}

/// A family of the file that is being read.
struct Known {
    number: u32,
    name: String,
    kind: Kind,
    bounds: usize,
    place: Option<usize>,
    // Where the counts of its buckets go, if its bounds are others.
    buckets: Option<Vec<usize>>,
    next: usize,
}
