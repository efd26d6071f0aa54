//! What is remembered of one path over accepted outputs.

use super::series::{RING, Series};
use super::text::{Figures, SCRIPTS, Shares};
use super::walk::{KINDS, Seen};
use std::collections::VecDeque;

/// How many texts a field remembers; each has several figures.
pub(super) const TEXT_RING: usize = 512;

/// Places in `TextMemory::signs`.
pub(super) const TRUNCATED: usize = 0;
pub(super) const REFUSAL: usize = 1;

/// One path.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Field {
    /// In how many outputs it was there at all.
    pub present: u32,
    /// In how many outputs each kind stood there.
    pub kinds: [u32; KINDS.len()],
    /// In how many outputs no object around it lacked it.
    pub complete: u32,
    /// Numbers, or lengths of lists.
    pub numbers: Series,
    /// Texts.
    pub text: Option<Box<TextMemory>>,
}

/// The texts of one path.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct TextMemory {
    /// Logarithmic lengths.
    pub length: Series,
    /// Shares of repeated windows.
    pub repetition: Series,
    /// Compression ratios.
    pub compression: Series,
    /// Shares of scripts.
    pub scripts: VecDeque<Shares>,
    /// Cut JSON, refusal: one pair per text, oldest first.
    pub signs: VecDeque<[bool; 2]>,
}

impl Field {
    /// Counts an output in. `measures`: whether numbers and texts of this path are kept.
    pub(super) fn learn(&mut self, seen: &Seen<'_>, is_complete: bool, measures: bool) {
        for (count, there) in self.kinds.iter_mut().zip(seen.kinds) {
            *count += u32::from(there > 0);
        }
        self.present += 1;
        self.complete += u32::from(is_complete);
        if !measures {
            return;
        }
        if let Some(number) = seen.number {
            self.numbers.push(number, RING);
        }
        if let Some(text) = seen.text {
            self.text.get_or_insert_default().learn(&Figures::of(text));
        }
    }

    /// Halves the counts, so that what was long ago fades.
    pub(super) fn fade(&mut self) {
        self.kinds.iter_mut().for_each(|count| *count /= 2);
        self.present /= 2;
        self.complete /= 2;
    }

    /// Whether anything of it is measured.
    pub(super) fn is_measured(&self) -> bool {
        self.numbers.len() > 0 || self.text.is_some()
    }
}

impl TextMemory {
    fn learn(&mut self, figures: &Figures) {
        self.length.push(figures.length, TEXT_RING);
        self.repetition.push(figures.repetition.unwrap_or(f64::NAN), TEXT_RING);
        self.compression.push(figures.compression.unwrap_or(f64::NAN), TEXT_RING);
        if let Some(shares) = figures.scripts {
            push_bounded(&mut self.scripts, shares);
        }
        push_bounded(&mut self.signs, [figures.truncated_json, figures.refusal.is_some()]);
    }

    /// In how many of the remembered texts a sign was.
    pub(super) fn count(&self, sign: usize) -> usize {
        self.signs.iter().filter(|signs| signs[sign]).count()
    }

    /// The mean share of each script; zeros if there are none.
    pub(super) fn mean_scripts(&self, candidate: &Shares) -> [f64; SCRIPTS.len()] {
        let mut sums = candidate.map(f64::from);
        for shares in &self.scripts {
            sums.iter_mut().zip(shares).for_each(|(sum, share)| *sum += f64::from(*share));
        }
        sums.map(|sum| sum / 255.0 / (self.scripts.len() + 1) as f64)
    }
}

fn push_bounded<T>(ring: &mut VecDeque<T>, item: T) {
    if ring.len() >= TEXT_RING {
        ring.pop_front();
    }
    ring.push_back(item);
}
