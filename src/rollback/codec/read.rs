//! Bytes to values, trusting none of them: no length is believed beyond what is there, and nesting is bounded.
//!
//! What a value is made into is the caller's: `Value` here, Python objects in the bindings.

use super::super::value::{Value, Zone};
use super::{MAX_DEPTH, MAX_VALUES, tag};

/// Why bytes are not a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The bytes end inside a value.
    #[error("it ends in the middle of a value")]
    Truncated,
    /// Bytes are left after the value.
    #[error("{0} bytes follow the value")]
    Trailing(usize),
    /// A marker that this format does not use, or in the wrong place.
    #[error("marker {0:#04x} does not belong here")]
    Marker(u8),
    /// Values nest too deep.
    #[error("values nest deeper than {MAX_DEPTH}")]
    Depth,
    /// More values than a blob may hold.
    #[error("it holds more than {MAX_VALUES} values")]
    Many,
    /// Text that is not UTF-8.
    #[error("text is not UTF-8")]
    Text,
    /// A tagged kind with a content that does not fit it.
    #[error("the content does not fit kind {0}")]
    Kind(u8),
}

/// What a run of items is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sequence {
    /// An ordered sequence that can be changed.
    List,
    /// An ordered sequence that cannot.
    Tuple,
    /// Distinct values.
    Set,
    /// Distinct values that cannot be changed.
    FrozenSet,
    /// A double-ended queue with its greatest length, if it has one.
    Deque(Option<i64>),
}

/// The entries of a dictionary in order.
pub type Entries<'a, T> = Vec<(&'a str, T)>;

/// Makes values out of what is read.
pub trait Build {
    /// A value.
    type Out;
    /// Why it cannot be made.
    type Error: From<Malformed>;

    /// Something without parts, already in the core's terms; never text or bytes.
    fn leaf(&mut self, value: Value) -> Result<Self::Out, Self::Error>;
    /// Text.
    fn text(&mut self, text: &str) -> Result<Self::Out, Self::Error>;
    /// Raw bytes.
    fn bytes(&mut self, bytes: &[u8]) -> Result<Self::Out, Self::Error>;
    /// Items of a kind.
    fn sequence(&mut self, kind: Sequence, items: Vec<Self::Out>) -> Result<Self::Out, Self::Error>;
    /// Keys and values; `ordered` if their order is part of their meaning.
    fn mapping(&mut self, ordered: bool, entries: Entries<'_, Self::Out>) -> Result<Self::Out, Self::Error>;
    /// An instance of a registered class.
    fn object(&mut self, name: &str, content: Self::Out) -> Result<Self::Out, Self::Error>;
}

/// Reads exactly one value that takes all of `bytes`.
pub fn read_with<B: Build>(bytes: &[u8], build: &mut B) -> Result<B::Out, B::Error> {
    let mut reader = Reader { rest: bytes, left: MAX_VALUES };
    let value = reader.value(build, 0)?;
    if reader.rest.is_empty() { Ok(value) } else { Err(Malformed::Trailing(reader.rest.len()).into()) }
}

struct Reader<'a> {
    rest: &'a [u8],
    /// How many more values may come.
    left: usize,
}

impl<'a> Reader<'a> {
    fn value<B: Build>(&mut self, build: &mut B, depth: usize) -> Result<B::Out, B::Error> {
        if depth > MAX_DEPTH {
            return Err(Malformed::Depth.into());
        }
        self.left = self.left.checked_sub(1).ok_or(Malformed::Many)?;
        let marker = self.byte()?;
        let leaf = match marker {
            0xc0 => Value::None,
            0xc2 | 0xc3 => Value::Bool(marker == 0xc3),
            0x00..=0x7f => Value::Int(i64::from(marker)),
            0xe0..=0xff => Value::Int(i64::from(i8::from_be_bytes([marker]))),
            0xd2 => Value::Int(i64::from(i32::from_be_bytes(self.array()?))),
            0xd3 => Value::Int(i64::from_be_bytes(self.array()?)),
            0xcb => Value::Float(f64::from_bits(u64::from_be_bytes(self.array()?))),
            0xc5 | 0xc6 => {
                let length = self.length(marker == 0xc6)?;
                return build.bytes(self.take(length)?);
            }
            0xa0..=0xbf | 0xda | 0xdb => return build.text(self.text(marker)?),
            0x90..=0x9f | 0xdc | 0xdd => {
                let items = self.items(marker, build, depth)?;
                return build.sequence(Sequence::List, items);
            }
            0x81 if self.rest.first().is_some_and(|&kind| kind <= 0x7f) => {
                let kind = self.byte()?;
                return self.tagged(kind, build, depth + 1);
            }
            0x80..=0x8f | 0xde | 0xdf => {
                let entries = self.entries(marker, build, depth)?;
                return build.mapping(false, entries);
            }
            other => return Err(Malformed::Marker(other).into()),
        };
        build.leaf(leaf)
    }

    fn tagged<B: Build>(&mut self, kind: u8, build: &mut B, depth: usize) -> Result<B::Out, B::Error> {
        match kind {
            tag::TUPLE => self.sequence(Sequence::Tuple, build, depth),
            tag::SET => self.sequence(Sequence::Set, build, depth),
            tag::FROZEN_SET => self.sequence(Sequence::FrozenSet, build, depth),
            tag::DEQUE => {
                self.expect_pair(kind)?;
                let longest = match self.plain(depth)? {
                    Value::None => None,
                    Value::Int(number) => Some(number),
                    _ => return Err(Malformed::Kind(kind).into()),
                };
                self.sequence(Sequence::Deque(longest), build, depth)
            }
            tag::ORDERED_DICT => {
                let marker = self.byte()?;
                let entries = self.entries(marker, build, depth)?;
                build.mapping(true, entries)
            }
            tag::OBJECT => {
                self.expect_pair(kind)?;
                let marker = self.byte()?;
                let name = self.text(marker)?;
                let content = self.value(build, depth + 1)?;
                build.object(name, content)
            }
            _ => {
                let content = self.plain(depth)?;
                build.leaf(leaf(kind, content).ok_or(Malformed::Kind(kind))?)
            }
        }
    }

    /// The content of a kind without parts of its own.
    fn plain(&mut self, depth: usize) -> Result<Value, Malformed> {
        self.value(&mut super::values::Values, depth)
    }

    fn expect_pair(&mut self, kind: u8) -> Result<(), Malformed> {
        if self.byte()? == 0x92 { Ok(()) } else { Err(Malformed::Kind(kind)) }
    }

    fn sequence<B: Build>(&mut self, kind: Sequence, build: &mut B, depth: usize) -> Result<B::Out, B::Error> {
        let marker = self.byte()?;
        let items = self.items(marker, build, depth)?;
        build.sequence(kind, items)
    }

    fn items<B: Build>(&mut self, marker: u8, build: &mut B, depth: usize) -> Result<Vec<B::Out>, B::Error> {
        let length = match marker {
            0x90..=0x9f => usize::from(marker & 0x0f),
            0xdc | 0xdd => self.length(marker == 0xdd)?,
            other => return Err(Malformed::Marker(other).into()),
        };
        let mut items = Vec::with_capacity(self.plausible(length)?);
        for _ in 0..length {
            items.push(self.value(build, depth + 1)?);
        }
        Ok(items)
    }

    fn entries<B: Build>(&mut self, marker: u8, build: &mut B, depth: usize) -> Result<Entries<'a, B::Out>, B::Error> {
        let length = match marker {
            0x80..=0x8f => usize::from(marker & 0x0f),
            0xde | 0xdf => self.length(marker == 0xdf)?,
            other => return Err(Malformed::Marker(other).into()),
        };
        let mut entries = Vec::with_capacity(self.plausible(length)?);
        for _ in 0..length {
            let marker = self.byte()?;
            let key = self.text(marker)?;
            entries.push((key, self.value(build, depth + 1)?));
        }
        Ok(entries)
    }

    fn text(&mut self, marker: u8) -> Result<&'a str, Malformed> {
        let length = match marker {
            0xa0..=0xbf => usize::from(marker & 0x1f),
            0xda | 0xdb => self.length(marker == 0xdb)?,
            other => return Err(Malformed::Marker(other)),
        };
        std::str::from_utf8(self.take(length)?).map_err(|_| Malformed::Text)
    }

    /// Every entry takes at least a byte, so a length beyond the bytes left is a lie; no memory is set aside for it.
    fn plausible(&self, length: usize) -> Result<usize, Malformed> {
        if length > self.rest.len() { Err(Malformed::Truncated) } else { Ok(length.min(1024)) }
    }

    fn length(&mut self, wide: bool) -> Result<usize, Malformed> {
        Ok(if wide {
            u32::from_be_bytes(self.array()?) as usize
        } else {
            usize::from(u16::from_be_bytes(self.array()?))
        })
    }

    fn byte(&mut self) -> Result<u8, Malformed> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (head, rest) = self.rest.split_first_chunk().ok_or(Malformed::Truncated)?;
        self.rest = rest;
        Ok(*head)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (head, rest) = self.rest.split_at_checked(length).ok_or(Malformed::Truncated)?;
        self.rest = rest;
        Ok(head)
    }
}

fn leaf(kind: u8, content: Value) -> Option<Value> {
    Some(match (kind, content) {
        (tag::BIG_INT, Value::Bytes(bytes)) => Value::BigInt(bytes),
        (tag::BYTE_ARRAY, Value::Bytes(bytes)) => Value::ByteArray(bytes),
        (tag::DATE, Value::Str(text)) => Value::Date(text),
        (tag::DECIMAL, Value::Str(text)) => Value::Decimal(text),
        (tag::PATH, Value::Str(text)) => Value::Path(text),
        (tag::UUID, Value::Bytes(bytes)) if bytes.len() == 16 => Value::Uuid(bytes),
        (tag::DATE_TIME, Value::List(parts)) => {
            let (text, fold, place) = moment(parts)?;
            Value::DateTime(text, fold, place)
        }
        (tag::TIME, Value::List(parts)) => {
            let (text, fold, place) = moment(parts)?;
            Value::Time(text, fold, place)
        }
        (tag::DURATION, Value::List(parts)) => match parts[..] {
            [Value::Int(days), Value::Int(seconds), Value::Int(micros)] => Value::Duration(days, seconds, micros),
            _ => return None,
        },
        (tag::COMPLEX, Value::List(parts)) => match parts[..] {
            [Value::Float(real), Value::Float(imaginary)] => Value::Complex(real, imaginary),
            _ => return None,
        },
        _ => return None,
    })
}

fn moment(parts: Vec<Value>) -> Option<(String, bool, Zone)> {
    let [text, fold, offset, name]: [Value; 4] = parts.try_into().ok()?;
    let (Value::Str(text), Value::Bool(fold)) = (text, fold) else { return None };
    let place = match (offset, name) {
        (Value::None, Value::None) => Zone::Naive,
        (Value::Int(micros), Value::None) => Zone::Fixed(micros, None),
        (Value::Int(micros), Value::Str(name)) => Zone::Fixed(micros, Some(name)),
        (Value::None, Value::Str(key)) => Zone::Named(key),
        _ => return None,
    };
    Some((text, fold, place))
}
