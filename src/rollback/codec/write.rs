//! `Value` to bytes.

use super::super::value::{Value, Zone};
use super::tag;

/// Appends `value` to `out`.
pub fn write(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::None => out.push(0xc0),
        Value::Bool(flag) => out.push(if *flag { 0xc3 } else { 0xc2 }),
        Value::Int(number) => int(out, *number),
        Value::Float(number) => float(out, *number),
        Value::Str(text) => string(out, text),
        Value::Bytes(bytes) => binary(out, bytes),
        Value::List(items) => array(out, items),
        Value::Dict(entries) => map(out, entries),
        tagged => write_tagged(out, tagged),
    }
}

fn write_tagged(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::BigInt(bytes) => binary(mark(out, tag::BIG_INT), bytes),
        Value::Tuple(items) => array(mark(out, tag::TUPLE), items),
        Value::Set(items) => sorted(mark(out, tag::SET), items),
        Value::FrozenSet(items) => sorted(mark(out, tag::FROZEN_SET), items),
        Value::DateTime(text, fold, place) => moment(mark(out, tag::DATE_TIME), text, *fold, place),
        Value::Time(text, fold, place) => moment(mark(out, tag::TIME), text, *fold, place),
        Value::Date(text) => string(mark(out, tag::DATE), text),
        Value::Decimal(text) => string(mark(out, tag::DECIMAL), text),
        Value::Path(text) => string(mark(out, tag::PATH), text),
        Value::Uuid(bytes) => binary(mark(out, tag::UUID), bytes),
        Value::Duration(days, seconds, micros) => {
            header(mark(out, tag::DURATION), Family::ARRAY, 3);
            [days, seconds, micros].into_iter().for_each(|part| int(out, *part));
        }
        Value::Complex(real, imaginary) => {
            header(mark(out, tag::COMPLEX), Family::ARRAY, 2);
            float(out, *real);
            float(out, *imaginary);
        }
        plain => write(out, plain),
    }
}

fn mark(out: &mut Vec<u8>, tag: u8) -> &mut Vec<u8> {
    out.extend([0x81, tag]);
    out
}

fn moment(out: &mut Vec<u8>, text: &str, fold: bool, place: &Zone) {
    header(out, Family::ARRAY, 4);
    string(out, text);
    write(out, &Value::Bool(fold));
    let (offset, name) = match place {
        Zone::Naive => (Value::None, Value::None),
        Zone::Fixed(micros, name) => (Value::Int(*micros), name.clone().map_or(Value::None, Value::Str)),
        Zone::Named(key) => (Value::None, Value::Str(key.clone())),
    };
    write(out, &offset);
    write(out, &name);
}

fn int(out: &mut Vec<u8>, number: i64) {
    if (0..128).contains(&number) || (-32..0).contains(&number) {
        out.push(number.to_le_bytes()[0]);
    } else if let Ok(short) = i32::try_from(number) {
        out.push(0xd2);
        out.extend(short.to_be_bytes());
    } else {
        out.push(0xd3);
        out.extend(number.to_be_bytes());
    }
}

fn float(out: &mut Vec<u8>, number: f64) {
    out.push(0xcb);
    out.extend(number.to_bits().to_be_bytes());
}

fn string(out: &mut Vec<u8>, text: &str) {
    header(out, Family::STRING, text.len());
    out.extend(text.as_bytes());
}

fn binary(out: &mut Vec<u8>, bytes: &[u8]) {
    header(out, Family::BINARY, bytes.len());
    out.extend(bytes);
}

fn array(out: &mut Vec<u8>, items: &[Value]) {
    header(out, Family::ARRAY, items.len());
    items.iter().for_each(|item| write(out, item));
}

/// Sets have no order; sorting gives equal sets equal bytes, and so one address.
fn sorted(out: &mut Vec<u8>, items: &[Value]) {
    let encode = |item| {
        let mut bytes = Vec::new();
        write(&mut bytes, item);
        bytes
    };
    let mut encoded: Vec<_> = items.iter().map(encode).collect();
    encoded.sort_unstable();
    header(out, Family::ARRAY, encoded.len());
    out.extend(encoded.concat());
}

fn map(out: &mut Vec<u8>, entries: &[(String, Value)]) {
    header(out, Family::MAP, entries.len());
    for (key, value) in entries {
        string(out, key);
        write(out, value);
    }
}

/// The first bytes of a family of sized things: up to `inline.1` entries in one byte, else 16 or 32 bits of length.
struct Family {
    inline: Option<(u8, usize)>,
    wide: u8,
    widest: u8,
}

impl Family {
    const STRING: Self = Self { inline: Some((0xa0, 31)), wide: 0xda, widest: 0xdb };
    const BINARY: Self = Self { inline: None, wide: 0xc5, widest: 0xc6 };
    const ARRAY: Self = Self { inline: Some((0x90, 15)), wide: 0xdc, widest: 0xdd };
    const MAP: Self = Self { inline: Some((0x80, 15)), wide: 0xde, widest: 0xdf };
}

/// Lengths above 32 bits cannot occur: `snapshot` refuses a blob long before.
#[allow(clippy::cast_possible_truncation)]
fn header(out: &mut Vec<u8>, family: Family, length: usize) {
    match family.inline {
        Some((first, most)) if length <= most => out.push(first | length as u8),
        _ if length <= usize::from(u16::MAX) => {
            out.push(family.wide);
            out.extend((length as u16).to_be_bytes());
        }
        _ => {
            out.push(family.widest);
            out.extend((length as u32).to_be_bytes());
        }
    }
}
