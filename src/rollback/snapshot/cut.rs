//! Where a value is cut into parts.
//!
//! The items of a container are gathered into runs. A run ends where the hash of its last item says so, which is the
//! same place however many items come before or after: insert-tolerant chunking as rsync and LBFS do it, with the
//! borders of values in the place of a rolling window. Long rows of runs are gathered into nodes by the same rule, so
//! that a container of any length has a short list of children.
//!
//! A value that is much like one that was cut before takes over its runs: where a run of the old one began, equal bytes
//! are the same items, and end in the same place.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use super::{Child, Part};
use crate::rollback::codec::MAX_DEPTH;

/// A run is not ended below this many bytes of its own.
const SHORTEST: usize = 1 << 10;
/// How many bytes follow on average until a run that is long enough ends.
const SPREAD: usize = 2 << 10;
/// A run ends here whatever its content.
const LONGEST: usize = 16 << 10;
/// Children of a node: at least, one in how many ends it, at most.
const NODE: (usize, u8, usize) = (6, 16, 64);
/// What a child costs in its parent's table.
const CHILD: usize = 36;

/// A stretch of the value that is a part already.
struct Hole {
    start: usize,
    end: usize,
    address: super::Address,
}

/// A value in parts.
#[derive(Debug, Default)]
pub struct Cut {
    /// Children before those who name them, the whole last.
    pub parts: Vec<Arc<Part>>,
    /// Runs by where they begin.
    runs: HashMap<usize, Run>,
}

#[derive(Debug, Clone)]
struct Run {
    end: usize,
    items: usize,
    /// It and all below it in `parts`, itself the last.
    parts: Range<usize>,
}

/// Cuts `plain`, taking over what it shares with a value that was cut before.
pub fn cut(plain: &[u8], before: Option<(&[u8], &Cut)>) -> Cut {
    let mut cutter = Cutter { plain, before, made: Cut::default(), holes: Vec::new() };
    if plain.len() > SHORTEST && cutter.value(0, 0).is_none() {
        // Not what the codec writes; one part is still correct.
        cutter.made = Cut::default();
        cutter.holes.clear();
    }
    cutter.part(0, plain.len(), 0);
    cutter.made
}

struct Cutter<'a> {
    plain: &'a [u8],
    before: Option<(&'a [u8], &'a Cut)>,
    made: Cut,
    holes: Vec<Hole>,
}

impl Cutter<'_> {
    /// Cuts the value at `at`; returns where it ends.
    fn value(&mut self, at: usize, depth: usize) -> Option<usize> {
        if depth > MAX_DEPTH {
            return None;
        }
        match head(self.plain.get(at..)?)? {
            Head::Leaf(length) => Some(at + length).filter(|end| *end <= self.plain.len()),
            Head::Items { skip, count } => self.items(at + skip, count, depth),
        }
    }

    /// Cuts a container whose first item is at `at`. For a dictionary keys and values are all items here; a key is
    /// short, so it stays with its value.
    fn items(&mut self, mut at: usize, count: usize, depth: usize) -> Option<usize> {
        let base = self.holes.len();
        let (mut start, mut first, mut left) = (at, base, count);
        let (mut parts, mut left_at_start) = (self.made.parts.len(), left);
        while left > 0 {
            let taken = if at == start { self.take_over(at, left) } else { None };
            if let Some((end, items)) = taken {
                (at, left) = (end, left - items);
            } else {
                let item = (at, self.holes.len());
                at = self.value(at, depth + 1)?;
                left -= 1;
                let own = self.own(start, at, first);
                if own < SHORTEST || (own < LONGEST && !self.ends_run(item.0, at, item.1)) {
                    continue;
                }
                self.part(start, at, first);
                let run = Run { end: at, items: left_at_start - left, parts: parts..self.made.parts.len() };
                self.made.runs.insert(start, run);
            }
            (start, first, parts, left_at_start) = (at, self.holes.len(), self.made.parts.len(), left);
        }
        while self.holes.len() - base > NODE.2 && self.gather(base) {}
        Some(at)
    }

    /// The run that begins at `at`, if the old value has the same there; returns where it ends and its items.
    fn take_over(&mut self, at: usize, left: usize) -> Option<(usize, usize)> {
        let (old, cut) = self.before?;
        let run = cut.runs.get(&at).filter(|run| run.items <= left)?;
        if self.plain.get(at..run.end)? != old.get(at..run.end)? {
            return None;
        }
        let shift = self.made.parts.len();
        let moved = |inner: &Run| {
            let place = |index: usize| index - run.parts.start + shift;
            Run { parts: place(inner.parts.start)..place(inner.parts.end), ..inner.clone() }
        };
        // The runs inside it too: the next value may differ in this one.
        if run.parts.len() > 1 {
            let inner = cut.runs.iter().filter(|(start, inner)| at < **start && inner.end <= run.end);
            self.made.runs.extend(inner.map(|(start, inner)| (*start, moved(inner))));
        }
        self.made.runs.insert(at, moved(run));
        self.made.parts.extend_from_slice(cut.parts.get(run.parts.clone())?);
        self.holes.push(Hole { start: at, end: run.end, address: *self.made.parts.last()?.address() });
        Some((run.end, run.items))
    }

    /// Bytes between `start` and `end` that are in no part yet, and what the table takes.
    fn own(&self, start: usize, end: usize, first: usize) -> usize {
        let holes = &self.holes[first..];
        end - start - holes.iter().map(|hole| hole.end - hole.start).sum::<usize>() + CHILD * holes.len()
    }

    /// Whether the item that was read last ends its run: the longer the item, the likelier.
    fn ends_run(&self, start: usize, end: usize, first: usize) -> bool {
        let bytes = &self.plain[start..end];
        let edge = bytes.len().min(64);
        let mut hash = mix(bytes.len() as u64, &bytes[..edge]);
        hash = mix(hash, &bytes[bytes.len() - edge..]);
        let chance = (self.own(start, end, first) as u64).saturating_mul(u64::from(u32::MAX)) / SPREAD as u64;
        hash >> 32 < chance
    }

    /// Makes a part of `start..end`, whose holes are those from `first`, and leaves one hole in their place.
    fn part(&mut self, start: usize, end: usize, first: usize) {
        let (mut at, mut gap) = (start, 0);
        let (mut children, mut literal) = (Vec::new(), Vec::new());
        for hole in self.holes.drain(first..) {
            gap += hole.start - at;
            literal.extend_from_slice(&self.plain[at..hole.start]);
            children.push(Child { gap, address: hole.address, length: hole.end - hole.start });
            (at, gap) = (hole.end, 0);
        }
        literal.extend_from_slice(&self.plain[at..end]);
        let part = Part::new(children, literal);
        self.holes.push(Hole { start, end, address: *part.address() });
        self.made.parts.push(Arc::new(part));
    }

    /// Makes nodes of the holes from `base`. False if there was nothing to gather.
    fn gather(&mut self, base: usize) -> bool {
        let row: Vec<Hole> = self.holes.drain(base..).collect();
        let before = row.len();
        let mut first = base;
        for hole in row {
            let (start, end, last) = (hole.start, hole.end, hole.address[0]);
            // Nodes hold neighbours only: what stands between two holes belongs to the parent.
            if self.holes.len() > first && self.holes.last().is_some_and(|previous| previous.end != start) {
                first = self.holes.len();
            }
            self.holes.push(hole);
            let count = self.holes.len() - first;
            if count >= NODE.0 && (last % NODE.1 == 0 || count >= NODE.2) {
                self.part(self.holes[first].start, end, first);
                first = self.holes.len();
            }
        }
        self.holes.len() - base < before
    }
}

/// FNV-1a, eight bytes at a time, and the finish of SplitMix64.
fn mix(seed: u64, bytes: &[u8]) -> u64 {
    let mut hash = seed ^ 0xcbf2_9ce4_8422_2325;
    for chunk in bytes.chunks(8) {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        hash = (hash ^ u64::from_le_bytes(word)).wrapping_mul(0x0000_0100_0000_01b3);
        hash ^= hash >> 29;
    }
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash ^ (hash >> 31)
}

enum Head {
    /// Bytes in all.
    Leaf(usize),
    /// Bytes before the first item, and how many items there are; a dictionary has two for each entry.
    Items { skip: usize, count: usize },
}

fn head(bytes: &[u8]) -> Option<Head> {
    let short = || Some(usize::from(u16::from_be_bytes([*bytes.get(1)?, *bytes.get(2)?])));
    let long = || Some(u32::from_be_bytes([*bytes.get(1)?, *bytes.get(2)?, *bytes.get(3)?, *bytes.get(4)?]) as usize);
    let items = |skip, count| Head::Items { skip, count };
    Some(match *bytes.first()? {
        0xc0 | 0xc2 | 0xc3 | 0x00..=0x7f | 0xe0..=0xff => Head::Leaf(1),
        0xd2 => Head::Leaf(5),
        0xd3 | 0xcb => Head::Leaf(9),
        0xc5 | 0xda => Head::Leaf(3 + short()?),
        0xc6 | 0xdb => Head::Leaf(5 + long()?),
        marker @ 0xa0..=0xbf => Head::Leaf(1 + usize::from(marker & 0x1f)),
        marker @ 0x90..=0x9f => items(1, usize::from(marker & 0x0f)),
        marker @ 0x80..=0x8f => items(1, 2 * usize::from(marker & 0x0f)),
        0xdc => items(3, short()?),
        0xdd => items(5, long()?),
        0xde => items(3, 2 * short()?),
        0xdf => items(5, 2 * long()?),
        _ => return None,
    })
}
