//! One metric as several processes hold it together.

use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};

use super::format::FamilyRecord;
use crate::metrics::cells::{Kind, Layout};
use crate::metrics::combine::Combine;
use crate::metrics::family::OVERFLOW;
use crate::metrics::histogram::{self, HEAD};
use crate::metrics::labels::{canonical, escaped_length, render};
use crate::metrics::words::saturating_sum;

/// A metric and its series.
pub(super) struct MergedFamily {
    pub(super) name: String,
    pub(super) help: String,
    pub(super) kind: Kind,
    pub(super) combine: Combine,
    pub(super) open: bool,
    pub(super) bounds: Vec<f64>,
    pub(super) width: usize,
    pub(super) labels: Vec<String>,
    /// `width` words for each of `labels`.
    pub(super) words: Vec<u64>,
    /// Of each of `labels`: whether the totals have it, for good.
    settled: Vec<bool>,
    /// Whether the totals of this metric take no further series.
    pub(super) closed: bool,
    // Where in `labels` each text is; its hashes are seeded, so that nobody can choose labels that collide.
    places: HashTable<usize>,
    hasher: DefaultHashBuilder,
}

impl MergedFamily {
    /// No series yet.
    pub(super) fn new(record: &FamilyRecord<'_>, bounds: &[f64]) -> Self {
        let Layout { kind, combine, .. } = record.layout;
        Self {
            name: record.name.to_owned(),
            help: record.help.to_owned(),
            kind,
            combine,
            open: record.open,
            width: width(kind, bounds.len()),
            bounds: bounds.to_vec(),
            labels: Vec::new(),
            words: Vec::new(),
            settled: Vec::new(),
            closed: false,
            places: HashTable::new(),
            hasher: DefaultHashBuilder::default(),
        }
    }

    /// Whether series of this family can be counted in here. Histograms of other bounds can.
    pub(super) fn is_of(&self, record: &FamilyRecord<'_>) -> bool {
        let Layout { kind, combine, .. } = record.layout;
        self.name == record.name && self.kind == kind && (kind != Kind::Gauge || self.combine == combine)
    }

    /// Into which bucket the counts of each bucket of other bounds go; `None` if the bounds are the same.
    ///
    /// An observation goes to the first bucket here that is sure to hold it: the sum and the number of all stay exact,
    /// and so does every bucket whose bound both have; between them an observation may count as larger than it was.
    pub(super) fn buckets_for(&self, bounds: &[f64]) -> Option<Vec<usize>> {
        if self.bounds == bounds {
            return None;
        }
        let first_above = |bound: &f64| self.bounds.partition_point(|ours| ours < bound);
        Some(bounds.iter().chain([&f64::INFINITY]).map(first_above).collect())
    }

    /// Counts in the words of a series. `hint`: where it is if the sources have their series in one order. `buckets`:
    /// where its counts go, if its bounds are others. Returns where it is; `None` if these are no labels.
    pub(super) fn add(
        &mut self,
        labels: &[u8],
        hint: usize,
        words: impl Iterator<Item = u64>,
        buckets: Option<&[usize]>,
    ) -> Option<usize> {
        let place = match self.labels.get(hint) {
            Some(there) if there.as_bytes() == labels => hint,
            _ => self.find_or_make(std::str::from_utf8(labels).ok()?)?,
        };
        self.count_in(place, words, buckets);
        Some(place)
    }

    fn count_in(&mut self, place: usize, words: impl Iterator<Item = u64>, buckets: Option<&[usize]>) {
        let ours = &mut self.words[place * self.width..(place + 1) * self.width];
        match self.kind {
            Kind::Counter => ours.iter_mut().zip(words).for_each(|(ours, theirs)| *ours = sum(*ours, theirs)),
            Kind::Gauge => fold_gauge(self.combine, ours, words),
            Kind::Histogram => fold_histogram(ours, words, buckets),
        }
    }

    /// Notes that the totals have a series, which therefore keeps its place for ever.
    pub(super) fn settle(&mut self, place: usize) {
        self.settled[place] = true;
    }

    /// Counts series beyond `limit` in the overflow series of their labels and closes the family; returns how many.
    ///
    /// What the totals have stays, so a series that was sent away never comes back and no counter ever falls. A closed
    /// family takes none beside those. That depends on the totals alone, so whoever answers says the same.
    pub(super) fn keep(&mut self, limit: usize) -> usize {
        let limit = if self.closed { 0 } else { limit };
        if self.labels.len() <= limit || self.settled.iter().all(|settled| *settled) {
            return 0;
        }
        let mut stays: Vec<bool> = self.settled.clone();
        for (stays, labels) in stays.iter_mut().zip(&self.labels) {
            *stays |= labels.is_empty() || self.overflow_of(labels) == *labels;
        }
        let room = limit.saturating_sub(self.settled.iter().filter(|settled| **settled).count());
        stays.iter_mut().filter(|stays| !**stays).take(room).for_each(|stays| *stays = true);
        let beyond = stays.iter().filter(|stays| !**stays).count();
        if beyond > 0 {
            self.closed = true;
            self.send_away(&stays);
        }
        beyond
    }

    /// Counts every series that does not stay in the overflow series of its labels.
    fn send_away(&mut self, stays: &[bool]) {
        let (labels, words) = (std::mem::take(&mut self.labels), std::mem::take(&mut self.words));
        let settled = std::mem::take(&mut self.settled);
        self.places.clear();
        let all = || labels.iter().zip(words.chunks(self.width)).zip(stays.iter().zip(&settled));
        let (kept, gone): (Vec<_>, Vec<_>) = all().partition(|(_, (stays, _))| **stays);
        for ((labels, words), (_, settled)) in kept {
            let place = self.push(labels.clone());
            self.settled[place] = *settled;
            self.words[place * self.width..].copy_from_slice(words);
        }
        for ((labels, words), _) in gone {
            let overflow = self.overflow_of(labels);
            let place = self.find(&overflow).unwrap_or_else(|| self.push(overflow));
            self.count_in(place, words.iter().copied(), None);
        }
    }

    /// The labels of the overflow series that a series goes to. They depend on nothing but its own.
    fn overflow_of(&self, labels: &str) -> String {
        if self.open { render(&[("overflow", OVERFLOW)]) } else { all_overflow(labels) }
    }

    fn find_or_make(&mut self, labels: &str) -> Option<usize> {
        if let Some(place) = self.find(labels) {
            return Some(place);
        }
        // A program of before wrote its labels in an order of its own, the empty ones too.
        let labels = canonical(labels, self.kind)?;
        Some(self.find(&labels).unwrap_or_else(|| self.push(labels.into_owned())))
    }

    fn find(&self, labels: &str) -> Option<usize> {
        let hash = self.hasher.hash_one(labels);
        self.places.find(hash, |place| self.labels[*place] == labels).copied()
    }

    fn push(&mut self, labels: String) -> usize {
        let place = self.labels.len();
        let hash = self.hasher.hash_one(labels.as_str());
        self.labels.push(labels);
        let (hasher, labels) = (&self.hasher, &self.labels);
        self.places.insert_unique(hash, place, |place| hasher.hash_one(labels[*place].as_str()));
        self.words.resize(self.words.len() + self.width, 0);
        self.settled.push(false);
        place
    }

    /// What the file's record of it says.
    pub(super) fn record(&self) -> FamilyRecord<'_> {
        let layout = Layout { kind: self.kind, combine: self.combine, bounds: &self.bounds };
        FamilyRecord { name: &self.name, help: &self.help, open: self.open, closed: self.closed, layout }
    }
}

fn width(kind: Kind, bounds: usize) -> usize {
    match kind {
        Kind::Counter => 1,
        Kind::Gauge => 2,
        Kind::Histogram => HEAD + bounds + 1,
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

/// Of totals that only finite numbers made; an infinity in a file of before counts as the greatest finite number.
fn sum(ours: u64, theirs: u64) -> u64 {
    let finite = |bits: u64| f64::from_bits(bits).clamp(f64::MIN, f64::MAX);
    saturating_sum(finite(ours), finite(theirs)).to_bits()
}

fn fold_gauge(combine: Combine, ours: &mut [u64], mut theirs: impl Iterator<Item = u64>) {
    if let ([value, stamp], Some(other), Some(other_stamp)) = (ours, theirs.next(), theirs.next()) {
        [*value, *stamp] = combine.fold([*value, *stamp], [other, other_stamp]);
    }
}

fn fold_histogram(ours: &mut [u64], theirs: impl Iterator<Item = u64>, buckets: Option<&[usize]>) {
    for (place, theirs) in theirs.enumerate() {
        let place = match (place.checked_sub(HEAD), buckets) {
            (Some(bucket), Some(buckets)) => buckets.get(bucket).map_or(usize::MAX, |bucket| HEAD + bucket),
            _ => place,
        };
        let Some(ours) = ours.get_mut(place) else { continue };
        *ours = match place {
            0 => sum(*ours, theirs),
            1 => histogram::lesser(*ours, histogram::least(theirs)).unwrap_or(*ours),
            2 => histogram::greater(*ours, histogram::greatest(theirs)).unwrap_or(*ours),
            _ => ours.saturating_add(theirs),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn family(bounds: &[f64]) -> MergedFamily {
        let layout = Layout { kind: Kind::Histogram, combine: Combine::default(), bounds };
        MergedFamily::new(&FamilyRecord { name: "t", help: "", open: false, closed: false, layout }, bounds)
    }

    #[test]
    fn counts_of_other_buckets_go_to_the_first_that_is_sure_to_hold_them() {
        let mut ours = family(&[1.0, 2.0, 5.0]);
        assert_eq!(ours.buckets_for(&[1.0, 2.0, 5.0]), None);
        let buckets = ours.buckets_for(&[0.5, 1.0, 3.0, 9.0]);
        // At most 0.5, 1, 3, 9, and above.
        let counts = [1, 10, 100, 1000, 10000];
        let words = [7_f64.to_bits(), 0, 0].into_iter().chain(counts);
        ours.add(b"", 0, words, buckets.as_deref()).unwrap();
        assert_eq!(ours.words[HEAD..], [11, 0, 100, 11000]);
        assert_eq!(f64::from_bits(ours.words[0]), 7.0);
    }

    #[test]
    fn no_label_value_passes_by_the_limit() {
        let mut ours = family(&[1.0]);
        for number in 0..5 {
            let labels = format!("a=\"{number}\",b=\"_overflow\"");
            ours.add(labels.as_bytes(), number, [0, 0, 0, 1, 0].into_iter(), None).unwrap();
        }
        assert_eq!(ours.keep(2), 3);
        assert_eq!(ours.labels[2..], [r#"a="_overflow",b="_overflow""#]);
        assert_eq!(ours.words[2 * ours.width + HEAD], 3);
    }

    #[test]
    fn what_the_totals_have_stays_and_a_closed_family_takes_no_more() {
        let mut ours = family(&[1.0]);
        let count = |ours: &mut MergedFamily, labels: &str| {
            ours.add(labels.as_bytes(), 9, [0, 0, 0, 1, 0].into_iter(), None).unwrap()
        };
        for labels in ["", r#"a="young""#, r#"a="middle""#, r#"a="old""#] {
            count(&mut ours, labels);
        }
        let old = count(&mut ours, r#"a="old""#);
        ours.settle(old);
        assert_eq!(ours.keep(2), 1);
        assert_eq!(ours.labels, ["", r#"a="young""#, r#"a="old""#, r#"a="_overflow""#]);
        assert!(ours.closed);
        count(&mut ours, r#"b="1",a="""#);
        assert_eq!(ours.keep(2), 2);
        assert_eq!(ours.labels, ["", r#"a="old""#, r#"a="_overflow""#, r#"b="_overflow""#]);
        let counts: Vec<u64> = ours.words.chunks(ours.width).map(|words| words[HEAD]).collect();
        assert_eq!(counts, [1, 2, 2, 1]);
    }
}
