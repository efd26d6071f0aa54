//! One stored part: a stretch of an encoded value, with the addresses of those pieces that are parts of their own.
//!
//! Layout: format, compression of the literal (0 none, 1 zstd), the table, the literal. The table is the number of
//! children and for each the literal bytes before it, its address and how long it is when put in place; numbers are
//! LEB128. The address is BLAKE3 over table and uncompressed literal. The table stays readable without unpacking, for
//! whoever counts references. Format 1 had no table and no parts: header and value only.

use std::collections::HashMap;
use std::ops::Range;

use super::{Address, FORMAT, MAX_BLOB, SnapshotError, damaged};

/// Below this many bytes zstd gains nothing.
const COMPRESS_ABOVE: usize = 200;
pub(super) const RAW: u8 = 0;
pub(super) const ZSTD: u8 = 1;
/// Parts that name parts: enough for any length at the fan-out of `cut`, and a bound for forged ones.
const MAX_LEVELS: usize = 2 * crate::rollback::codec::MAX_DEPTH;

/// A piece of a part that is stored by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Child {
    /// Literal bytes since the child before it.
    pub gap: usize,
    /// Where it is.
    pub address: Address,
    /// Its length when put in place.
    pub length: usize,
}

/// A part that is ready to be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    address: Address,
    children: Vec<Child>,
    literal: Vec<u8>,
}

impl Part {
    pub(super) fn new(children: Vec<Child>, literal: Vec<u8>) -> Self {
        let address = *blake3::Hasher::new().update(&table(&children)).update(&literal).finalize().as_bytes();
        Self { address, children, literal }
    }

    /// The content's address.
    #[must_use]
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// The parts that it names, in order; one may be named twice.
    #[must_use]
    pub fn children(&self) -> &[Child] {
        &self.children
    }

    /// Bytes that it takes uncompressed, table and all.
    #[must_use]
    pub fn weight(&self) -> usize {
        2 + table(&self.children).len() + self.literal.len()
    }
}

/// Makes parts into what goes into a store; keeps the compressor's memory from one to the next.
pub struct Packer {
    compressor: Option<zstd::bulk::Compressor<'static>>,
}

impl Packer {
    /// A new one.
    #[must_use]
    pub fn new() -> Self {
        Self { compressor: zstd::bulk::Compressor::new(1).ok() }
    }

    /// The stored form of `part`; a literal above 200 bytes is compressed if that makes it smaller.
    pub fn pack(&mut self, part: &Part) -> Vec<u8> {
        let literal = &part.literal;
        let squeezed = match &mut self.compressor {
            Some(compressor) if literal.len() > COMPRESS_ABOVE => compressor.compress(literal).ok(),
            _ => None,
        };
        let (kind, body) = match &squeezed {
            Some(smaller) if smaller.len() < literal.len() => (ZSTD, smaller),
            _ => (RAW, literal),
        };
        [&[FORMAT, kind], table(&part.children).as_slice(), body].concat()
    }
}

impl Default for Packer {
    fn default() -> Self {
        Self::new()
    }
}

/// The addresses that a stored part names, from its table alone.
pub fn children(stored: &[u8]) -> Result<Vec<Address>, SnapshotError> {
    let (_, children, _) = split(stored)?;
    Ok(children.into_iter().map(|child| child.address).collect())
}

/// Whether these bytes are the part of this address.
#[must_use]
pub fn is_part(stored: &[u8], address: &Address) -> bool {
    open(address, stored).is_ok()
}

/// Puts the whole value of `root` together, from stored parts that nobody has checked yet.
pub(super) fn join<'a>(
    root: &Address,
    find: impl Fn(&Address) -> Option<&'a Vec<u8>>,
) -> Result<Vec<u8>, SnapshotError> {
    let mut joining = Joining { find, plain: Vec::new(), done: HashMap::new() };
    joining.append(root, 0)?;
    Ok(joining.plain)
}

/// A value on its way together. A part that comes again is copied from where it was put first, so a forgery whose few
/// parts name each other many times costs no more than the bytes that it unpacks to.
struct Joining<F> {
    find: F,
    plain: Vec<u8>,
    done: HashMap<Address, Range<usize>>,
}

impl<'a, F: Fn(&Address) -> Option<&'a Vec<u8>>> Joining<F> {
    fn append(&mut self, address: &Address, level: usize) -> Result<(), SnapshotError> {
        if let Some(done) = self.done.get(address) {
            let done = done.clone();
            self.fits(done.len())?;
            self.plain.extend_from_within(done);
            return Ok(());
        }
        if level > MAX_LEVELS {
            return Err(damaged("its parts nest too deep"));
        }
        let stored = (self.find)(address).ok_or_else(|| damaged("a part of it is missing"))?;
        let (children, literal) = open(address, stored)?;
        let (start, mut rest) = (self.plain.len(), literal.as_slice());
        for child in &children {
            let (gap, after) = rest.split_at_checked(child.gap).ok_or_else(|| damaged("its table does not fit"))?;
            self.put(gap)?;
            rest = after;
            let before = self.plain.len();
            self.append(&child.address, level + 1)?;
            // An empty part would let a small forgery cost unbounded time; none is ever written.
            if child.length == 0 || self.plain.len() - before != child.length {
                return Err(damaged("a part of it has another length"));
            }
        }
        self.put(rest)?;
        self.done.insert(*address, start..self.plain.len());
        Ok(())
    }

    fn put(&mut self, literal: &[u8]) -> Result<(), SnapshotError> {
        self.fits(literal.len())?;
        self.plain.extend_from_slice(literal);
        Ok(())
    }

    fn fits(&self, more: usize) -> Result<(), SnapshotError> {
        let fits = self.plain.len() + more <= MAX_BLOB;
        if fits { Ok(()) } else { Err(damaged("it unpacks to more than a snapshot takes")) }
    }
}

/// Puts the whole value of `root` together from parts that this process made, without checking them again.
pub fn gather<'a>(root: &Address, find: &impl Fn(&Address) -> Option<&'a Part>, plain: &mut Vec<u8>) -> Option<()> {
    let part = find(root)?;
    let mut rest = part.literal.as_slice();
    for child in &part.children {
        let (gap, after) = rest.split_at_checked(child.gap)?;
        plain.extend_from_slice(gap);
        rest = after;
        gather(&child.address, find, plain)?;
    }
    plain.extend_from_slice(rest);
    Some(())
}

/// Unpacks one part and checks that it is what its address says.
fn open(address: &Address, stored: &[u8]) -> Result<(Vec<Child>, Vec<u8>), SnapshotError> {
    let (kind, children, body) = split(stored)?;
    let literal = match kind {
        RAW if body.len() <= MAX_BLOB => body.to_vec(),
        ZSTD => inflate(body)?,
        _ => return Err(damaged("its header is unknown")),
    };
    let mut hasher = blake3::Hasher::new();
    if stored[0] != 1 {
        hasher.update(&table(&children));
    }
    if hasher.update(&literal).finalize().as_bytes() != address {
        return Err(damaged("its content does not match its address"));
    }
    Ok((children, literal))
}

/// Compression, children and the literal as stored.
fn split(stored: &[u8]) -> Result<(u8, Vec<Child>, &[u8]), SnapshotError> {
    match stored {
        [version, ..] if *version > FORMAT => Err(SnapshotError::Newer(*version)),
        [1, kind, body @ ..] => Ok((*kind, Vec::new(), body)),
        [FORMAT, kind, rest @ ..] => {
            let (children, body) = read_table(rest).ok_or_else(|| damaged("its table is cut off"))?;
            Ok((*kind, children, body))
        }
        _ => Err(damaged("its header is unknown")),
    }
}

/// Unpacks at most `MAX_BLOB` bytes, whatever the frame claims.
fn inflate(body: &[u8]) -> Result<Vec<u8>, SnapshotError> {
    use std::io::Read;
    let mut literal = Vec::new();
    let decoder = zstd::stream::Decoder::new(body).map_err(damaged)?;
    decoder.take(MAX_BLOB as u64 + 1).read_to_end(&mut literal).map_err(damaged)?;
    if literal.len() > MAX_BLOB { Err(damaged("it unpacks to more than a snapshot takes")) } else { Ok(literal) }
}

fn table(children: &[Child]) -> Vec<u8> {
    let mut out = Vec::with_capacity(1 + children.len() * 36);
    number(&mut out, children.len());
    for child in children {
        number(&mut out, child.gap);
        out.extend(child.address);
        number(&mut out, child.length);
    }
    out
}

fn read_table(mut rest: &[u8]) -> Option<(Vec<Child>, &[u8])> {
    let count = take_number(&mut rest)?;
    // A child takes at least 34 bytes: no memory is set aside for a count that cannot be true.
    if count > rest.len() / 34 {
        return None;
    }
    let mut children = Vec::with_capacity(count);
    for _ in 0..count {
        let gap = take_number(&mut rest)?;
        let (address, after) = rest.split_first_chunk()?;
        rest = after;
        children.push(Child { gap, address: *address, length: take_number(&mut rest)? });
    }
    Some((children, rest))
}

fn number(out: &mut Vec<u8>, mut number: usize) {
    while number > 0x7f {
        out.push(0x80 | (number & 0x7f) as u8);
        number >>= 7;
    }
    out.push((number & 0x7f) as u8);
}

fn take_number(rest: &mut &[u8]) -> Option<usize> {
    let mut number = 0_usize;
    for shift in [0, 7, 14, 21, 28] {
        let (&byte, after) = rest.split_first()?;
        *rest = after;
        number |= usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}
