//! A piece of state as a content-addressed blob: equal content has one address and is stored once.
//!
//! Layout of a stored blob: format version, compression (0 none, 1 zstd), then the MessagePack of `codec`. The address
//! is BLAKE3 over the uncompressed MessagePack, so it proves the content after it was read back and unpacked.

use std::io::Read;

use super::codec;
use super::value::Value;

/// The layout written here; a higher number on disk was written by a newer hagane.
pub const FORMAT: u8 = 1;
/// The most that one blob may hold unpacked, in bytes. A forged blob cannot ask for more memory than this.
pub const MAX_BLOB: usize = 64 << 20;
/// Below this many bytes zstd gains nothing.
const COMPRESS_ABOVE: usize = 200;
const RAW: u8 = 0;
const ZSTD: u8 = 1;

/// The address of a blob.
pub type Address = [u8; 32];

/// Why a snapshot cannot be taken or read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// The value is too large for one blob.
    #[error("{0} bytes are more than a snapshot takes under one key ({MAX_BLOB}); store a path or a reference instead")]
    TooLarge(usize),
    /// Written by a newer version.
    #[error("format {0} is newer than this hagane reads ({FORMAT}); upgrade hagane to read it")]
    Newer(u8),
    /// The bytes are not what was stored.
    #[error("stored state is damaged: {0}")]
    Damaged(String),
}

/// One encoded value and its address. It owns its bytes: nothing that the caller changes later reaches it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blob {
    address: Address,
    stored: Vec<u8>,
}

impl Blob {
    /// Encodes `value`; above 200 bytes the content is compressed if that makes it smaller.
    pub fn encode(value: &Value) -> Result<Self, SnapshotError> {
        let mut plain = Vec::with_capacity(128);
        codec::write(&mut plain, value);
        if plain.len() > MAX_BLOB {
            return Err(SnapshotError::TooLarge(plain.len()));
        }
        let address = *blake3::hash(&plain).as_bytes();
        Ok(Self { address, stored: pack(&plain) })
    }

    /// Takes bytes from a store as the blob of `address`; nothing is believed until `value` has checked it.
    #[must_use]
    pub fn from_stored(address: Address, stored: Vec<u8>) -> Self {
        Self { address, stored }
    }

    /// The content's address.
    #[must_use]
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// What goes into a store.
    #[must_use]
    pub fn stored(&self) -> &[u8] {
        &self.stored
    }

    /// A fresh copy of the value, after its format, size and address were checked.
    pub fn value(&self) -> Result<Value, SnapshotError> {
        let plain = unpack(&self.stored)?;
        if blake3::hash(&plain).as_bytes() != &self.address {
            return Err(damaged("its content does not match its address"));
        }
        codec::read(&plain).map_err(damaged)
    }
}

fn pack(plain: &[u8]) -> Vec<u8> {
    let squeezed = if plain.len() > COMPRESS_ABOVE { zstd::bulk::compress(plain, 1).ok() } else { None };
    let (kind, body) = match &squeezed {
        Some(smaller) if smaller.len() < plain.len() => (ZSTD, smaller.as_slice()),
        _ => (RAW, plain),
    };
    [&[FORMAT, kind], body].concat()
}

fn unpack(stored: &[u8]) -> Result<Vec<u8>, SnapshotError> {
    match stored {
        [version, ..] if *version > FORMAT => Err(SnapshotError::Newer(*version)),
        [FORMAT, RAW, body @ ..] if body.len() <= MAX_BLOB => Ok(body.to_vec()),
        [FORMAT, ZSTD, body @ ..] => inflate(body),
        _ => Err(damaged("its header is unknown")),
    }
}

/// Unpacks at most `MAX_BLOB` bytes, whatever the frame claims.
fn inflate(body: &[u8]) -> Result<Vec<u8>, SnapshotError> {
    let mut plain = Vec::new();
    let decoder = zstd::stream::Decoder::new(body).map_err(damaged)?;
    decoder.take(MAX_BLOB as u64 + 1).read_to_end(&mut plain).map_err(damaged)?;
    if plain.len() > MAX_BLOB { Err(damaged("it unpacks to more than a snapshot takes")) } else { Ok(plain) }
}

fn damaged(reason: impl ToString) -> SnapshotError {
    SnapshotError::Damaged(reason.to_string())
}

#[cfg(test)]
mod tests {
    use super::super::codec::MAX_DEPTH;
    use super::super::value::Zone;
    use super::*;
    use proptest::prelude::*;

    fn zones() -> impl Strategy<Value = Zone> {
        prop_oneof![
            Just(Zone::Naive),
            (any::<i64>(), any::<Option<String>>()).prop_map(|(micros, name)| Zone::Fixed(micros, name)),
            any::<String>().prop_map(Zone::Named),
        ]
    }

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::None),
            any::<bool>().prop_map(Value::Bool),
            any::<i64>().prop_map(Value::Int),
            (-200_i64..200).prop_map(Value::Int),
            any::<f64>().prop_map(Value::Float),
            ".{0,300}".prop_map(Value::Str),
            any::<Vec<u8>>().prop_map(Value::Bytes),
            any::<Vec<u8>>().prop_map(Value::BigInt),
            any::<[u8; 16]>().prop_map(|bytes| Value::Uuid(bytes.to_vec())),
            any::<String>().prop_map(Value::Decimal),
            any::<String>().prop_map(Value::Path),
            any::<String>().prop_map(Value::Date),
            any::<(f64, f64)>().prop_map(|(real, imaginary)| Value::Complex(real, imaginary)),
            any::<(i64, i64, i64)>().prop_map(|(days, seconds, micros)| Value::Duration(days, seconds, micros)),
            (any::<String>(), any::<bool>(), zones()).prop_map(|(text, fold, zone)| Value::DateTime(text, fold, zone)),
            (any::<String>(), any::<bool>(), zones()).prop_map(|(text, fold, zone)| Value::Time(text, fold, zone)),
        ];
        leaf.prop_recursive(4, 64, 20, |inner| {
            let many = || prop::collection::vec(inner.clone(), 0..20);
            prop_oneof![
                many().prop_map(Value::List),
                many().prop_map(Value::Tuple),
                many().prop_map(Value::Set),
                many().prop_map(Value::FrozenSet),
                prop::collection::vec((any::<String>(), inner.clone()), 0..20).prop_map(Value::Dict),
            ]
        })
    }

    proptest! {
        #[test]
        fn a_value_comes_back_as_it_went_in(value in values()) {
            let blob = Blob::encode(&value).unwrap();
            let back = Blob::from_stored(*blob.address(), blob.stored().to_vec()).value().unwrap();
            // Bytes, because NaN is not equal to itself and sets have no order.
            prop_assert_eq!(Blob::encode(&back).unwrap(), blob);
        }

        #[test]
        fn arbitrary_bytes_are_refused_or_read_but_never_panic(bytes in any::<Vec<u8>>()) {
            let _ = codec::read(&bytes);
            prop_assert!(Blob::from_stored([0; 32], bytes).value().is_err());
        }

        #[test]
        fn a_flipped_bit_is_noticed(value in values(), place in any::<prop::sample::Index>(), bit in 0_u32..8) {
            let blob = Blob::encode(&value).unwrap();
            let mut stored = blob.stored().to_vec();
            let at = place.index(stored.len());
            stored[at] ^= 1 << bit;
            if let Ok(read) = Blob::from_stored(*blob.address(), stored).value() {
                // Bits of a zstd frame that carry nothing may flip; the content may not.
                prop_assert_eq!(Blob::encode(&read).unwrap(), blob);
            }
        }
    }

    #[test]
    fn every_kind_comes_back_as_itself() {
        let text = || String::from("x");
        let kinds = [
            Value::Tuple(vec![Value::None, Value::Bool(true)]),
            Value::List(vec![Value::Int(-33), Value::Int(i64::MIN), Value::BigInt(vec![0; 9])]),
            Value::Dict(vec![(text(), Value::Bytes(vec![0; 70_000])), ("y".repeat(70_000), Value::Float(-0.0))]),
            Value::FrozenSet(vec![Value::Str(text())]),
            Value::Set(vec![]),
            Value::DateTime(text(), true, Zone::Fixed(-1, Some(text()))),
            Value::Time(text(), false, Zone::Named(text())),
            Value::Duration(1, 2, 3),
            Value::Complex(1.5, f64::INFINITY),
            Value::List(vec![Value::Dict(vec![]); 70_000]),
        ];
        for kind in kinds {
            assert_eq!(Blob::encode(&kind).unwrap().value().unwrap(), kind);
        }
    }

    #[test]
    fn equal_sets_have_one_address() {
        let set = |items: [i64; 2]| Blob::encode(&Value::Set(items.map(Value::Int).to_vec())).unwrap();
        assert_eq!(set([1, 2]), set([2, 1]));
    }

    #[test]
    fn nan_keeps_its_bits() {
        let odd = f64::from_bits(0x7ff8_0000_0000_1234);
        let Value::Float(back) = Blob::encode(&Value::Float(odd)).unwrap().value().unwrap() else { panic!("kind") };
        assert_eq!(back.to_bits(), odd.to_bits());
    }

    #[test]
    fn long_repetitive_content_is_compressed() {
        let blob = Blob::encode(&Value::Str("hagane ".repeat(1000))).unwrap();
        assert!(blob.stored().len() < 500, "{}", blob.stored().len());
    }

    #[test]
    fn a_newer_format_says_so() {
        let error = Blob::from_stored([0; 32], vec![FORMAT + 1, 0, 0xc0]).value().unwrap_err();
        assert_eq!(error, SnapshotError::Newer(FORMAT + 1));
    }

    #[test]
    fn deep_nesting_is_refused_on_reading() {
        let forged = [vec![0x91; MAX_DEPTH + 2], vec![0xc0]].concat();
        assert!(codec::read(&forged).unwrap_err().to_string().contains("nest deeper"));
    }

    #[test]
    fn a_length_beyond_the_bytes_is_refused_before_memory_is_set_aside() {
        assert!(codec::read(&[0xdd, 0xff, 0xff, 0xff, 0xff]).is_err());
    }

    #[test]
    fn a_bomb_is_cut_off() {
        let bomb = zstd::bulk::compress(&vec![0; MAX_BLOB + 2], 1).unwrap();
        let error = Blob::from_stored([0; 32], [&[FORMAT, ZSTD], bomb.as_slice()].concat()).value().unwrap_err();
        assert!(error.to_string().contains("more than"), "{error}");
    }
}
