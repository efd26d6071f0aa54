//! Bytes to `Value`, trusting none of them: no length is believed beyond what is there, and nesting is bounded.

use super::super::value::{Value, Zone};
use super::{MAX_DEPTH, tag};

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
    /// Text that is not UTF-8.
    #[error("text is not UTF-8")]
    Text,
    /// A tagged kind with a content that does not fit it.
    #[error("the content does not fit kind {0}")]
    Kind(u8),
}

/// Reads exactly one value that takes all of `bytes`.
pub fn read(bytes: &[u8]) -> Result<Value, Malformed> {
    let mut reader = Reader { rest: bytes };
    let value = reader.value(0)?;
    if reader.rest.is_empty() { Ok(value) } else { Err(Malformed::Trailing(reader.rest.len())) }
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn value(&mut self, depth: usize) -> Result<Value, Malformed> {
        if depth > MAX_DEPTH {
            return Err(Malformed::Depth);
        }
        let marker = self.byte()?;
        Ok(match marker {
            0xc0 => Value::None,
            0xc2 | 0xc3 => Value::Bool(marker == 0xc3),
            0x00..=0x7f => Value::Int(i64::from(marker)),
            0xe0..=0xff => Value::Int(i64::from(i8::from_be_bytes([marker]))),
            0xd2 => Value::Int(i64::from(i32::from_be_bytes(self.array()?))),
            0xd3 => Value::Int(i64::from_be_bytes(self.array()?)),
            0xcb => Value::Float(f64::from_bits(u64::from_be_bytes(self.array()?))),
            0xc5 | 0xc6 => {
                let length = self.length(marker == 0xc6)?;
                Value::Bytes(self.take(length)?.to_vec())
            }
            0xa0..=0xbf | 0xda | 0xdb => Value::Str(self.text(marker)?),
            0x90..=0x9f => self.list(usize::from(marker & 0x0f), depth)?,
            0xdc | 0xdd => {
                let length = self.length(marker == 0xdd)?;
                self.list(length, depth)?
            }
            0x80..=0x8f => self.map_or_tagged(usize::from(marker & 0x0f), depth)?,
            0xde | 0xdf => {
                let length = self.length(marker == 0xdf)?;
                self.map(length, depth)?
            }
            other => return Err(Malformed::Marker(other)),
        })
    }

    fn list(&mut self, length: usize, depth: usize) -> Result<Value, Malformed> {
        let mut items = Vec::with_capacity(self.plausible(length)?);
        for _ in 0..length {
            items.push(self.value(depth + 1)?);
        }
        Ok(Value::List(items))
    }

    fn map_or_tagged(&mut self, length: usize, depth: usize) -> Result<Value, Malformed> {
        match self.rest.first() {
            Some(&kind @ 0..=0x7f) if length == 1 => {
                self.byte()?;
                let content = self.value(depth + 1)?;
                tagged(kind, content).ok_or(Malformed::Kind(kind))
            }
            _ => self.map(length, depth),
        }
    }

    fn map(&mut self, length: usize, depth: usize) -> Result<Value, Malformed> {
        let mut entries = Vec::with_capacity(self.plausible(length)?);
        for _ in 0..length {
            let marker = self.byte()?;
            let key = self.text(marker)?;
            entries.push((key, self.value(depth + 1)?));
        }
        Ok(Value::Dict(entries))
    }

    fn text(&mut self, marker: u8) -> Result<String, Malformed> {
        let length = match marker {
            0xa0..=0xbf => usize::from(marker & 0x1f),
            0xda | 0xdb => self.length(marker == 0xdb)?,
            other => return Err(Malformed::Marker(other)),
        };
        let bytes = self.take(length)?;
        std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| Malformed::Text)
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

fn tagged(kind: u8, content: Value) -> Option<Value> {
    Some(match (kind, content) {
        (tag::BIG_INT, Value::Bytes(bytes)) => Value::BigInt(bytes),
        (tag::TUPLE, Value::List(items)) => Value::Tuple(items),
        (tag::SET, Value::List(items)) => Value::Set(items),
        (tag::FROZEN_SET, Value::List(items)) => Value::FrozenSet(items),
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
