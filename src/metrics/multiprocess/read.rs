//! Reading a file of cells. Whoever may write into the directory may have written anything: nothing is believed.

use crate::metrics::cells::{Kind, Layout};
use crate::metrics::combine::COMBINATIONS;
use crate::metrics::histogram;
use crate::metrics::names::check_metric_name;

use super::files::is_cells;
use super::format::{
    FAMILY, FOLDED, FamilyRecord, GENERATION, HEAD, MAGIC, MOST_BOUNDS, MOST_TEXT, MOST_WORDS, NEWEST, SERIES,
    SERIES_HEAD, USED, VERSION,
};

/// Why a file is left alone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unreadable {
    #[error("it is no file of metrics of this machine")]
    Foreign,
    #[error("its format is version {0}, and this program reads version {VERSION}")]
    Version(u64),
    #[error("it is shorter than it says")]
    Truncated,
    #[error("it is damaged at word {0}: {1}")]
    Damaged(usize, &'static str),
}

/// A file's content, of which nothing but the head is known to be right.
#[derive(Debug)]
pub(super) struct Content {
    bytes: Vec<u8>,
    words: usize,
}

/// One record.
#[derive(Debug)]
pub(super) enum Record<'a> {
    /// Apart, because there are few, and every record would have to be as large.
    Family(Box<FamilyEntry<'a>>),
    /// The labels are not yet known to be text: most of them were read from another file before.
    Series {
        family: u32,
        labels: &'a [u8],
        cells: Cells<'a>,
    },
    Folded(&'a str),
}

/// A family, the word at which it starts, and its bounds.
#[derive(Debug)]
pub(super) struct FamilyEntry<'a> {
    pub(super) number: u32,
    pub(super) record: FamilyRecord<'a>,
    pub(super) bounds: Vec<f64>,
}

/// The cells of a series, still in the file's bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cells<'a> {
    bytes: &'a [u8],
    /// Which word of the file the first of them is.
    pub(super) first: usize,
}

impl Cells<'_> {
    pub(super) fn len(&self) -> usize {
        self.bytes.len() / 8
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = u64> {
        self.bytes.chunks_exact(8).map(word)
    }
}

impl Content {
    /// Checks the head of a file's bytes. `Ok(None)`: its owner has only just made it.
    pub(super) fn new(mut bytes: Vec<u8>) -> Result<Option<Self>, Unreadable> {
        let head: Vec<u64> = bytes.chunks_exact(8).take(HEAD).map(word).collect();
        match head[..] {
            [] => return Ok(None),
            [0, ..] if bytes.iter().take(HEAD * 8).all(|byte| *byte == 0) => return Ok(None),
            [magic, ..] if magic != MAGIC => return Err(Unreadable::Foreign),
            [_, version, ..] if version != VERSION => return Err(Unreadable::Version(version)),
            _ => {}
        }
        let used = head.get(USED).and_then(|used| usize::try_from(*used).ok()).ok_or(Unreadable::Truncated)?;
        if !(HEAD..=MOST_WORDS).contains(&used) || bytes.len() / 8 < used {
            return Err(Unreadable::Truncated);
        }
        bytes.truncate(used * 8);
        Ok(Some(Self { bytes, words: used }))
    }

    /// The memory, for the next file.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Of a totals file: which one it is.
    pub(super) fn generation(&self) -> u64 {
        self.word(GENERATION)
    }

    /// Of a totals file: when the youngest file that is counted in was made.
    pub(super) fn newest(&self) -> u64 {
        self.word(NEWEST)
    }

    /// Whether it is right to its end, as far as records go.
    pub(super) fn is_whole(&self) -> bool {
        self.records().all(|record| record.is_ok())
    }

    /// The records, in their order. The first that is wrong is the last.
    pub(super) fn records(&self) -> impl Iterator<Item = Result<Record<'_>, Unreadable>> {
        let mut at = HEAD;
        std::iter::from_fn(move || {
            if at >= self.words {
                return None;
            }
            let record = self.record(at);
            at = record.as_ref().map_or(self.words, |(_, length)| at + length);
            Some(record.map(|(record, _)| record))
        })
    }

    fn record(&self, at: usize) -> Result<(Record<'_>, usize), Unreadable> {
        let damaged = |what| Unreadable::Damaged(at, what);
        let (length, kind) = halves(self.word(at));
        if length < 2 || length > self.words - at {
            return Err(damaged("a record that goes beyond the end"));
        }
        let record = match u32::try_from(kind) {
            Ok(FAMILY) => self.family(at, length),
            Ok(SERIES) => self.series(at, length),
            Ok(FOLDED) => self.folded(at, length),
            _ => Err("a record of a type that there is not"),
        };
        record.map(|record| (record, length)).map_err(damaged)
    }

    fn folded(&self, at: usize, length: usize) -> Result<Record<'_>, &'static str> {
        let (name, _) = self.text(at + 2, at + length, self.word(at + 1))?;
        if is_cells(name) { Ok(Record::Folded(name)) } else { Err("a name that no process's file has") }
    }

    fn family(&self, at: usize, length: usize) -> Result<Record<'_>, &'static str> {
        if length < 3 {
            return Err("a record that is too short");
        }
        let (facts, end) = (self.word(at + 1), at + length);
        let (low, count) = halves(facts);
        if count > MOST_BOUNDS || at + 3 + count > end {
            return Err("more bounds than there may be");
        }
        let bounds: Vec<f64> = (0..count).map(|place| f64::from_bits(self.word(at + 3 + place))).collect();
        let (name_length, help_length) = halves(self.word(at + 2));
        let (name, next) = self.text(at + 3 + count, end, name_length as u64)?;
        let (help, _) = self.text(next, end, help_length as u64)?;
        check_metric_name(name).map_err(|_| "a name that no metric may have")?;
        let kind = match low & 0xFF {
            0 => Kind::Counter,
            1 => Kind::Gauge,
            2 => Kind::Histogram,
            _ => return Err("a type of metric that there is not"),
        };
        let ascending = bounds.windows(2).all(|pair| pair[0] < pair[1]) && bounds.iter().all(|bound| bound.is_finite());
        if !ascending || (kind == Kind::Histogram) == bounds.is_empty() {
            return Err("bounds that are none");
        }
        let (_, combine) = *COMBINATIONS.get(low >> 8 & 0xFF).ok_or("a combination that there is not")?;
        // The bounds are returned beside the record, because their bytes need not be aligned.
        let layout = Layout { kind, combine, bounds: &[] };
        let flag = |bit: usize| low >> bit & 1 == 1;
        let record = FamilyRecord { name, help, open: flag(16), closed: flag(17), layout };
        let number = u32::try_from(at).map_err(|_| "too far away")?;
        Ok(Record::Family(Box::new(FamilyEntry { number, record, bounds })))
    }

    fn series(&self, at: usize, length: usize) -> Result<Record<'_>, &'static str> {
        if length < SERIES_HEAD {
            return Err("a record that is too short");
        }
        let (family, labels_length) = halves(self.word(at + 1));
        let (first, end) = (at + SERIES_HEAD, at + length);
        let width = usize::try_from(self.word(at + 2)).unwrap_or(usize::MAX);
        if width > end - first {
            return Err("more cells than the record has room for");
        }
        let (labels, _) = self.raw_text(first + width, end, labels_length as u64)?;
        let cells = Cells { bytes: &self.bytes[first * 8..(first + width) * 8], first };
        Ok(Record::Series { family: u32::try_from(family).map_err(|_| "too far away")?, labels, cells })
    }

    /// A text of `length` bytes from word `from`, and the word after it.
    fn text(&self, from: usize, end: usize, length: u64) -> Result<(&str, usize), &'static str> {
        let (text, next) = self.raw_text(from, end, length)?;
        Ok((std::str::from_utf8(text).map_err(|_| "a text that is none")?, next))
    }

    fn raw_text(&self, from: usize, end: usize, length: u64) -> Result<(&[u8], usize), &'static str> {
        let length = usize::try_from(length).ok().filter(|length| *length <= MOST_TEXT).ok_or("a text too long")?;
        let next = from + length.div_ceil(8);
        if next > end {
            return Err("a text that goes beyond its record");
        }
        Ok((&self.bytes[from * 8..from * 8 + length], next))
    }

    fn word(&self, at: usize) -> u64 {
        self.bytes.get(at * 8..at * 8 + 8).map_or(0, word)
    }
}

fn word(bytes: &[u8]) -> u64 {
    bytes.try_into().map_or(0, u64::from_ne_bytes)
}

fn halves(word: u64) -> (usize, usize) {
    ((word & 0xFFFF_FFFF) as usize, (word >> 32) as usize)
}

/// Whether cells are what a family of this type can hold. An infinite total is one that a program of before, whose
/// totals did not stop at the greatest number, made.
pub(super) fn plausible(kind: Kind, bounds: usize, cells: Cells<'_>) -> bool {
    let mut values = cells.iter().map(f64::from_bits);
    match kind {
        Kind::Counter => cells.len() == 1 && values.all(|total| total >= 0.0),
        Kind::Gauge => cells.len() == 2,
        Kind::Histogram => {
            let mut words = cells.iter().skip(1);
            cells.len() == histogram::HEAD + bounds + 1
                && !values.next().is_none_or(f64::is_nan)
                && !histogram::least(words.next().unwrap_or(0)).is_nan()
                && !histogram::greatest(words.next().unwrap_or(0)).is_nan()
        }
    }
}
