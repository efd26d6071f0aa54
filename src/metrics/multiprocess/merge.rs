//! Adding up what several processes hold.

use std::collections::HashMap;
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
pub(super) struct Merged<'a> {
    pub(super) families: Vec<MergedFamily<'a>>,
    // Sample name -> the family that writes it: no two families may write the same.
    claims: HashMap<String, usize>,
    limit: usize,
}

/// One family.
pub(super) struct MergedFamily<'a> {
    pub(super) name: &'a str,
    pub(super) help: &'a str,
    pub(super) kind: Kind,
    pub(super) combine: Combine,
    pub(super) open: bool,
    pub(super) bounds: Vec<f64>,
    pub(super) width: usize,
    pub(super) labels: Vec<Label<'a>>,
    /// `width` words for each of `labels`.
    pub(super) words: Vec<u64>,
    places: HashMap<&'a str, usize>,
    overflow: Option<usize>,
    limit: usize,
}

/// A series' rendered labels.
pub(super) type Label<'a> = std::borrow::Cow<'a, str>;

impl<'a> Merged<'a> {
    /// Nothing yet; at most `limit` series per family, further ones are counted in its overflow series.
    pub(super) fn new(limit: usize) -> Self {
        Self { families: Vec::new(), claims: HashMap::new(), limit }
    }

    /// Counts in the families of a registry of this process.
    pub(super) fn add_family<C: Cell>(&mut self, family: &'a Family<C>) {
        let layout = C::layout(family.shape());
        let record =
            FamilyRecord { name: family.name(), help: family.help(), open: family.label_names().is_none(), layout };
        let Some(place) = self.place(&record, layout.bounds) else { return };
        let merged = &mut self.families[place];
        for (hint, series) in family.iter().enumerate() {
            let words = series.cell.words().iter().map(|word| word.load(Ordering::Relaxed));
            merged.add(series.rendered(), hint, words);
        }
    }

    /// Counts in all of a file, or nothing of it. A dead owner's gauges may be forgotten. Families that another has
    /// already registered otherwise are left out; their number is returned.
    pub(super) fn add_file(&mut self, content: &'a Content, dead: bool) -> Result<usize, Unreadable> {
        let mut places: HashMap<u32, (Option<usize>, usize)> = HashMap::new();
        let mut left_out = 0;
        check(content)?;
        for record in content.records() {
            match record? {
                Record::Family { number, record, bounds } => {
                    let place = self.place(&record, &bounds);
                    left_out += usize::from(place.is_none());
                    places.insert(number, (place, 0));
                }
                Record::Series { family, labels, cells } => {
                    let Some((Some(place), hint)) = places.get_mut(&family) else { continue };
                    let merged = &mut self.families[*place];
                    if !(dead && merged.kind == Kind::Gauge && merged.combine.forgets_the_dead()) {
                        merged.add(labels, *hint, cells.iter());
                    }
                    *hint += 1;
                }
                Record::Folded(_) => {}
            }
        }
        Ok(left_out)
    }

    /// Whether every family of a file is as others have registered it, so that counting it in loses nothing.
    pub(super) fn fits(&self, content: &Content) -> bool {
        content.records().all(|record| match record {
            Ok(Record::Family { record, bounds, .. }) => self.claimant(&record, &bounds).is_none_or(|(_, same)| same),
            record => record.is_ok(),
        })
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

    fn place(&mut self, record: &FamilyRecord<'a>, bounds: &[f64]) -> Option<usize> {
        let FamilyRecord { name, help, open, layout } = *record;
        if let Some((place, same)) = self.claimant(record, bounds) {
            let there = &mut self.families[place];
            if same && there.help.is_empty() {
                there.help = help;
            }
            return same.then_some(place);
        }
        let place = self.families.len();
        self.claims.extend(sample_names(name, layout.kind).map(|sample| (sample, place)));
        self.families.push(MergedFamily {
            name,
            help,
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

/// Reads a file to its end, so that one that is wrong anywhere counts nowhere.
fn check(content: &Content) -> Result<(), Unreadable> {
    let mut families: HashMap<u32, (Kind, usize)> = HashMap::new();
    for record in content.records() {
        match record? {
            Record::Family { number, record, bounds } => {
                families.insert(number, (record.layout.kind, bounds.len()));
            }
            Record::Series { family, labels: _, cells } => {
                let known = families.get(&family);
                let known = known.ok_or(Unreadable::Damaged(cells.first, "a series of no family"))?;
                if !plausible(known.0, known.1, cells) {
                    return Err(Unreadable::Damaged(cells.first, "cells that cannot be"));
                }
            }
            Record::Folded(_) => {}
        }
    }
    Ok(())
}

fn width(kind: Kind, bounds: usize) -> usize {
    match kind {
        Kind::Counter => 1,
        Kind::Gauge => 2,
        Kind::Histogram => HEAD + bounds + 1,
    }
}

impl<'a> MergedFamily<'a> {
    /// Counts in the words of a series. `hint`: where it is if the sources have their series in one order.
    fn add(&mut self, labels: &'a str, hint: usize, words: impl Iterator<Item = u64>) {
        let place = match self.labels.get(hint) {
            Some(there) if there == labels => Some(hint),
            _ => self.find_or_make(labels),
        };
        let Some(place) = place else { return };
        let ours = &mut self.words[place * self.width..(place + 1) * self.width];
        match self.kind {
            Kind::Counter => ours.iter_mut().zip(words).for_each(|(ours, theirs)| *ours = sum(*ours, theirs)),
            Kind::Gauge => fold_gauge(self.combine, ours, words),
            Kind::Histogram => fold_histogram(ours, words),
        }
    }

    fn find_or_make(&mut self, labels: &'a str) -> Option<usize> {
        if let Some(place) = self.places.get(labels) {
            return Some(*place);
        }
        if !is_rendered(labels, self.kind) {
            return None;
        }
        if self.labels.len() >= self.limit && !labels.contains(OVERFLOW) {
            return Some(self.overflow(labels));
        }
        let place = self.push(labels.into());
        self.places.insert(labels, place);
        Some(place)
    }

    fn overflow(&mut self, labels: &str) -> usize {
        let rendered = if self.open { render(&[("overflow", OVERFLOW)]) } else { all_overflow(labels) };
        if let Some(place) = self.overflow.or_else(|| self.places.get(rendered.as_str()).copied()) {
            return place;
        }
        let place = self.push(rendered.into());
        self.overflow = Some(place);
        place
    }

    fn push(&mut self, labels: Label<'a>) -> usize {
        self.labels.push(labels);
        self.words.resize(self.words.len() + self.width, 0);
        self.labels.len() - 1
    }

    /// What the file's record of it says.
    pub(super) fn record(&self) -> FamilyRecord<'_> {
        let layout = Layout { kind: self.kind, combine: self.combine, bounds: &self.bounds };
        FamilyRecord { name: self.name, help: self.help, open: self.open, layout }
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
