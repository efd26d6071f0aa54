//! MessagePack for `Value`, written here because every length read back is untrusted and must be bounded.
//!
//! Kinds that MessagePack lacks are a map of one entry whose key is a small number, the tag. Dictionaries have text
//! keys only, so the two cannot be confused, and any MessagePack reader can still show the bytes.

mod read;
mod values;
mod write;

pub use read::{Build, Entries, Malformed, Sequence, read_with};
pub use write::Writer;

use super::value::Value;

/// How deep stored values may nest, so that a forged blob cannot exhaust the stack.
pub const MAX_DEPTH: usize = 128;

/// How deep the caller's containers may nest; a tagged one takes two levels of MessagePack.
pub const MAX_NESTING: usize = MAX_DEPTH / 2 - 2;

/// How many values one blob may hold. A value in memory takes many times its bytes in a store, above all where those
/// are compressed; without a bound a small forged blob could ask for gigabytes.
pub const MAX_VALUES: usize = 8 << 20;

/// The numbers of the tagged kinds. They are on disk: a number is never used for anything else.
pub mod tag {
    #![allow(missing_docs)] // each is the variant of `Value` that has its name
    pub const BIG_INT: u8 = 1;
    pub const TUPLE: u8 = 2;
    pub const SET: u8 = 3;
    pub const FROZEN_SET: u8 = 4;
    pub const DATE_TIME: u8 = 5;
    pub const DATE: u8 = 6;
    pub const TIME: u8 = 7;
    pub const DURATION: u8 = 8;
    pub const DECIMAL: u8 = 9;
    pub const UUID: u8 = 10;
    pub const PATH: u8 = 11;
    pub const COMPLEX: u8 = 12;
    pub const BYTE_ARRAY: u8 = 13;
    pub const DEQUE: u8 = 14;
    pub const ORDERED_DICT: u8 = 15;
    pub const OBJECT: u8 = 16;
}

/// Appends `value` to `writer`.
pub fn write(writer: &mut Writer, value: &Value) {
    values::write(writer, value);
}

/// Reads exactly one value that takes all of `bytes`.
pub fn read(bytes: &[u8]) -> Result<Value, Malformed> {
    read_with(bytes, &mut values::Values)
}
