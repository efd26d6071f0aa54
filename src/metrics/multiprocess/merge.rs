//! Adding up what several processes hold.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::atomic::Ordering;

use super::format::FamilyRecord;
use super::read::{Content, Record, Unreadable, plausible};
use crate::metrics::cells::{Cell, Kind, Layout};
use crate::metrics::combine::Combine;
use crate::metrics::family::{Family, OVERFLOW};
use crate::metrics::histogram::{self, HEAD};
use crate::metrics::labels::{escaped_length, is_rendered, render};
use crate::metrics::registry::sample_names;

/// Families and series of several sources, each series once.
pub(super) struct Merged {
    pub(super) families: Vec<MergedFamily>,
    // Sample name -> the family that writes it: no two families may write the same.
    claims: HashMap<String, usize>,
    limit: usize,
}

/// One family.
pub(super) struct MergedFamily {
    pub(super) name: String,
    pub(super) help: String,
    pub(super) kind: Kind,
    pub(super) combine: Combine,
    pub(super) open: bool,
    pub(super) bounds: Vec<f64>,
    pub(super) width: usize,
    pub(super) labels: Vec<Rc<str>>,
    /// `width` words for each of `labels`.
    pub(super) words: Vec<u64>,
    places: HashMap<Rc<str>, usize>,
    overflow: Option<usize>,
    limit: usize,
}

impl Merged {
    /// Nothing yet; at most `limit` series per family, further ones are counted in its overflow series.
    pub(super) fn new(limit: usize) -> Self {
        Self { families: Vec::new(), claims: HashMap::new(), limit }
    }

    /// Counts in the families of a registry of this process.
    pub(super) fn add_family<C: Cell>(&mut self, family: &Family<C>) {
        let layout = C::layout(family.shape());
        let record =
            FamilyRecord { name: family.name(), help: family.help(), open: family.label_names().is_none(), layout };
        let Some(place) = self.place(&record, layout.bounds) else { return };
        let merged = &mut self.families[place];
        for (hint, series) in family.iter().enumerate() {
            let words = series.cell.words().iter().map(|word| word.load(Ordering::Relaxed));
            // Its labels were checked when it was made.
            let _ = merged.add(series.rendered().as_bytes(), hint, words);
        }
    }

    /// Counts in a file. A dead owner's gauges may be forgotten. Families that another has already registered otherwise
    /// are left out; their number is returned. After an error part of the file is counted: begin again without it.
    pub(super) fn add_file(&mut self, content: &Content, dead: bool) -> Result<usize, Unreadable> {
        let mut known: HashMap<u32, Known> = HashMap::new();
        let mut left_out = 0;
        for record in content.records() {
            match record? {
                Record::Family { number, record, bounds } => {
                    let place = self.place(&record, &bounds);
                    left_out += usize::from(place.is_none());
                    let forgotten =
                        dead && record.layout.kind == Kind::Gauge && record.layout.combine.forgets_the_dead();
                    let place = place.filter(|_| !forgotten);
                    known.insert(number, Known { kind: record.layout.kind, bounds: bounds.len(), place, next: 0 });
                }
                Record::Series { family, labels, cells } => {
                    let damaged = |what| Unreadable::Damaged(cells.first, what);
                    let known = known.get_mut(&family).ok_or(damaged("a series of no family"))?;
                    if !plausible(known.kind, known.bounds, cells) {
                        return Err(damaged("cells that cannot be"));
                    }
                    if let Some(place) = known.place {
                        let added = self.families[place].add(labels, known.next, cells.iter());
                        added.ok_or(damaged("labels that are none"))?;
                    }
                    known.next += 1;
                }
                Record::Folded(_) => {}
            }
        }
        Ok(left_out)
    }

    /// Whether a file is right to its end and has every family as others have registered it, so that counting it in
    /// loses nothing.
    pub(super) fn fits(&self, content: &Content) -> bool {
        let same =
            |record: &FamilyRecord<'_>, bounds: &[f64]| self.claimant(record, bounds).is_none_or(|(_, same)| same);
        let families = content.records().all(|record| match record {
            Ok(Record::Family { record, bounds, .. }) => same(&record, &bounds),
            record => record.is_ok(),
        });
        families && Merged::new(self.limit).add_file(content, true).is_ok()
    }

    /// Which family writes samples of these names already, and whether it is this very one.
    fn claimant(&self, record: &FamilyRecord<'_>, bounds: &[f64]) -> Option<(usize, bool)> {
        let kind = record.layout.kind;
        let place = *sample_names(record.name, kind).find_map(|sample| self.claims.get(&sample))?;
        let there = &self.families[place];
        let same_shape = there.kind == kind && there.bounds == bounds;
        let same_mode = kind != Kind::Gauge || there.combine == record.layout.combine;
        Some((place, there.name == record.name && same_shape && same_mode))
    }

    fn place(&mut self, record: &FamilyRecord<'_>, bounds: &[f64]) -> Option<usize> {
        let FamilyRecord { name, help, open, layout } = *record;
        if let Some((place, same)) = self.claimant(record, bounds) {
            let there = &mut self.families[place];
            if same && there.help.is_empty() {
                help.clone_into(&mut there.help);
            }
            return same.then_some(place);
        }
        let place = self.families.len();
        self.claims.extend(sample_names(name, layout.kind).map(|sample| (sample, place)));
        self.families.push(MergedFamily {
            name: name.to_owned(),
            help: help.to_owned(),
            kind: layout.kind,
            combine: layout.combine,
            open,
            width: width(layout.kind, bounds.len()),
            bounds: bounds.to_vec(),
            labels: Vec::new(),
            words: Vec::new(),
            places: HashMap::new(),
            overflow: None,
            limit: self.limit,
        });
        Some(place)
    }
}

/// A family of the file that is being read.
struct Known {
    kind: Kind,
    bounds: usize,
    place: Option<usize>,
    next: usize,
}

fn width(kind: Kind, bounds: usize) -> usize {
    match kind {
        Kind::Counter => 1,
        Kind::Gauge => 2,
        Kind::Histogram => HEAD + bounds + 1,
    }
}

impl MergedFamily {
    /// Counts in the words of a series. `hint`: where it is if the sources have their series in one order.
    /// `None` if these are no labels.
    fn add(&mut self, labels: &[u8], hint: usize, words: impl Iterator<Item = u64>) -> Option<()> {
        let place = match self.labels.get(hint) {
            Some(there) if there.as_bytes() == labels => hint,
            _ => self.find_or_make(std::str::from_utf8(labels).ok()?)?,
        };
        let ours = &mut self.words[place * self.width..(place + 1) * self.width];
        match self.kind {
            Kind::Counter => ours.iter_mut().zip(words).for_each(|(ours, theirs)| *ours = sum(*ours, theirs)),
            Kind::Gauge => fold_gauge(self.combine, ours, words),
            Kind::Histogram => fold_histogram(ours, words),
        }
        Some(())
    }

    fn find_or_make(&mut self, labels: &str) -> Option<usize> {
        if let Some(place) = self.places.get(labels) {
            return Some(*place);
        }
        if !is_rendered(labels, self.kind) {
            return None;
        }
        if self.labels.len() >= self.limit && !labels.contains(OVERFLOW) {
            return Some(self.overflow(labels));
        }
        Some(self.push(labels))
    }

    fn overflow(&mut self, labels: &str) -> usize {
        let rendered = if self.open { render(&[("overflow", OVERFLOW)]) } else { all_overflow(labels) };
        if let Some(place) = self.overflow.or_else(|| self.places.get(rendered.as_str()).copied()) {
            return place;
        }
        let place = self.push(&rendered);
        self.overflow = Some(place);
        place
    }

    fn push(&mut self, labels: &str) -> usize {
        let labels: Rc<str> = labels.into();
        self.places.insert(Rc::clone(&labels), self.labels.len());
        self.labels.push(labels);
        self.words.resize(self.words.len() + self.width, 0);
        self.labels.len() - 1
    }

    /// What the file's record of it says.
    pub(super) fn record(&self) -> FamilyRecord<'_> {
        let layout = Layout { kind: self.kind, combine: self.combine, bounds: &self.bounds };
        FamilyRecord { name: &self.name, help: &self.help, open: self.open, layout }
    }
}

/// The same label names, each with the overflow value.
fn all_overflow(labels: &str) -> String {
    let mut pairs = Vec::new();
    let mut rest = labels;
    while let Some((name, after)) = rest.split_once("=\"") {
        pairs.push((name, OVERFLOW));
        rest = escaped_length(after).and_then(|length| after.get(length + 2..)).unwrap_or("");
    }
    render(&pairs)
}

fn sum(ours: u64, theirs: u64) -> u64 {
    (f64::from_bits(ours) + f64::from_bits(theirs)).to_bits()
}

fn fold_gauge(combine: Combine, ours: &mut [u64], mut theirs: impl Iterator<Item = u64>) {
    if let ([value, stamp], Some(other), Some(other_stamp)) = (ours, theirs.next(), theirs.next()) {
        [*value, *stamp] = combine.fold([*value, *stamp], [other, other_stamp]);
    }
}

fn fold_histogram(ours: &mut [u64], theirs: impl Iterator<Item = u64>) {
    for (place, (ours, theirs)) in ours.iter_mut().zip(theirs).enumerate() {
        *ours = match place {
            0 => sum(*ours, theirs),
            1 => histogram::lesser(*ours, histogram::least(theirs)).unwrap_or(*ours),
            2 => histogram::greater(*ours, histogram::greatest(theirs)).unwrap_or(*ours),
            _ => ours.saturating_add(theirs),
        };
    }
}
