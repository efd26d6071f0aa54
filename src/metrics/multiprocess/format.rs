//! What a file of cells looks like. All of it is words of 8 bytes in the machine's own order.
//!
//! | words | what |
//! |---|---|
//! | 0 | `MAGIC`, which also tells the order of the bytes |
//! | 1 | the format's version |
//! | 2 | how many words are in use, the head included; grows after what it covers is complete |
//! | 3 | of a totals file: how often there was a new one |
//! | 4 | of a totals file: when the youngest file that it counts in was made, in nanoseconds since the epoch |
//! | 5 to 7 | 0 |
//!
//! Records follow. The first word of each has its length in words (low half) and its type (high half).
//!
//! | type | words after the first |
//! |---|---|
//! | `FAMILY` | kind, combination, openness, closedness, number of bounds; lengths of name and help; the bounds; name and help |
//! | `SERIES` | number of its family (the word it starts at) and length of its labels; its width; the cells; the labels |
//! | `FOLDED` | length of a file's name; the name: what that file held is counted in this one |

use crate::metrics::cells::{Kind, Layout};

pub(super) const MAGIC: u64 = u64::from_ne_bytes(*b"hagane\0m");
pub(super) const VERSION: u64 = 1;
/// Words of the head.
pub(super) const HEAD: usize = 8;
/// Where the head says how many words are in use.
pub(super) const USED: usize = 2;
/// Where the head of a totals file counts its versions.
pub(super) const GENERATION: usize = 3;
/// Where the head of a totals file says how young it is.
pub(super) const NEWEST: usize = 4;
/// No file is longer, in words: 64 MiB.
pub(super) const MOST_WORDS: usize = 8 << 20;
/// No histogram has more bounds, no name or label set more bytes.
pub(super) const MOST_BOUNDS: usize = 4096;
pub(super) const MOST_TEXT: usize = 1 << 16;

pub(super) const FAMILY: u32 = 1;
pub(super) const SERIES: u32 = 2;
pub(super) const FOLDED: u32 = 3;
/// Words of a series' record before its cells.
pub(super) const SERIES_HEAD: usize = 3;

/// A family as a file has it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct FamilyRecord<'a> {
    pub(super) name: &'a str,
    pub(super) help: &'a str,
    pub(super) open: bool,
    /// In a totals file: whether it takes no further series.
    pub(super) closed: bool,
    pub(super) layout: Layout<'a>,
}

pub(super) fn head(used: usize, generation: u64) -> [u64; HEAD] {
    [MAGIC, VERSION, used as u64, generation, 0, 0, 0, 0]
}

/// The record of a family; `None` if it is longer than a file may have it.
pub(super) fn family(record: &FamilyRecord<'_>) -> Option<Vec<u64>> {
    let FamilyRecord { name, help, open, closed, layout } = record;
    if name.len().max(help.len()) > MOST_TEXT || layout.bounds.len() > MOST_BOUNDS {
        return None;
    }
    let kind = match layout.kind {
        Kind::Counter => 0,
        Kind::Gauge => 1,
        Kind::Histogram => 2,
    };
    let combine = u64::from(layout.combine.number());
    let mut words = vec![
        0,
        kind | combine << 8 | u64::from(*open) << 16 | u64::from(*closed) << 17 | (layout.bounds.len() as u64) << 32,
        pair(name.len(), help.len()),
    ];
    words.extend(layout.bounds.iter().map(|bound| bound.to_bits()));
    push_text(&mut words, name);
    push_text(&mut words, help);
    Some(sealed(words, FAMILY))
}

/// The record of a series; `None` if it is longer than a file may have it.
pub(super) fn series(family: u32, labels: &str, cells: &[u64]) -> Option<Vec<u64>> {
    if labels.len() > MOST_TEXT {
        return None;
    }
    let mut words = vec![0, pair(family as usize, labels.len()), cells.len() as u64];
    words.extend_from_slice(cells);
    push_text(&mut words, labels);
    Some(sealed(words, SERIES))
}

/// The record of a file that is counted in.
pub(super) fn folded(name: &str) -> Vec<u64> {
    let mut words = vec![0, name.len() as u64];
    push_text(&mut words, name);
    sealed(words, FOLDED)
}

/// Two numbers that fit in half a word each, which all lengths of one file do.
fn pair(low: usize, high: usize) -> u64 {
    low as u64 | (high as u64) << 32
}

fn sealed(mut words: Vec<u64>, kind: u32) -> Vec<u64> {
    words[0] = pair(words.len(), kind as usize);
    words
}

fn push_text(words: &mut Vec<u64>, text: &str) {
    words.extend(text.as_bytes().chunks(8).map(|chunk| {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        u64::from_ne_bytes(word)
    }));
}
