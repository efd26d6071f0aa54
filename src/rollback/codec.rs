//! MessagePack for `Value`, written here because every length read back is untrusted and must be bounded.
//!
//! Kinds that MessagePack lacks are a map of one entry whose key is a small number, the tag. Dictionaries have text
//! keys only, so the two cannot be confused, and any MessagePack reader can still show the bytes.

mod read;
mod write;

pub(super) use read::read;
pub(super) use write::write;

/// How deep stored values may nest, so that a forged blob cannot exhaust the stack.
pub const MAX_DEPTH: usize = 128;

/// How deep the caller's containers may nest; a tagged one takes two levels of MessagePack.
pub const MAX_NESTING: usize = MAX_DEPTH / 2 - 2;

mod tag {
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
}
