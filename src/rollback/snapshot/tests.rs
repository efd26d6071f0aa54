//! What goes in comes out, damage is noticed, and growth is cheap.

mod growth;

use super::super::codec::{self, MAX_DEPTH};
use super::super::value::Zone;
use super::part::{RAW, ZSTD};
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

/// What a store would hold of a blob.
fn stored(blob: &Blob) -> HashMap<Address, Vec<u8>> {
    let mut packer = Packer::new();
    blob.parts().unwrap().iter().map(|part| (*part.address(), packer.pack(part))).collect()
}

fn back(blob: &Blob) -> Value {
    Blob::from_parts(blob.address(), stored(blob)).value().unwrap()
}

proptest! {
    #[test]
    fn a_value_comes_back_as_it_went_in(value in values()) {
        let blob = Blob::encode(&value).unwrap();
        // Bytes, because NaN is not equal to itself and sets have no order.
        prop_assert_eq!(Blob::encode(&back(&blob)).unwrap(), blob);
    }

    #[test]
    fn arbitrary_bytes_are_refused_or_read_but_never_panic(bytes in any::<Vec<u8>>()) {
        let _ = codec::read(&bytes);
        let _ = cut::cut(&bytes, None);
        let _ = children(&bytes);
        prop_assert!(Blob::from_stored([0; 32], bytes.clone()).value().is_err());
        prop_assert!(Blob::from_stored([0; 32], [&[FORMAT, RAW], bytes.as_slice()].concat()).value().is_err());
    }

    #[test]
    fn whatever_is_cut_is_put_together_again(bytes in prop::collection::vec(any::<u8>(), 0..40_000)) {
        let parts = cut::cut(&bytes, None).parts;
        let found: HashMap<_, _> = parts.iter().map(|part| (*part.address(), Packer::new().pack(part))).collect();
        prop_assert_eq!(part::join(parts.last().unwrap().address(), |address| found.get(address)).unwrap(), bytes);
    }

    /// Whatever the old value was: its runs only save time, they never change what comes out.
    #[test]
    fn a_value_is_cut_the_same_with_and_without_an_older_one(
        first in values(), second in values(), count in 0..60_u64, cut in 0..60_u64, insert in any::<bool>()
    ) {
        let mut items = messages(count);
        items.insert(0, first);
        let old = Blob::encode(&Value::List(vec![Value::List(items.clone()), Value::List(messages(20))])).unwrap();
        old.parts().unwrap();
        let at = usize::try_from(cut).unwrap().min(items.len());
        if insert { items.insert(at, second) } else { items.push(second) }
        let next = Value::List(vec![Value::List(items), Value::List(messages(21))]);
        let (alone, after) = (Blob::encode(&next).unwrap(), Blob::encode(&next).unwrap());
        after.cut_after(Some(&old)).unwrap();
        prop_assert_eq!(alone.parts().unwrap(), after.parts().unwrap());
        // And once more over one that was itself taken over.
        let third = Blob::encode(&next).unwrap();
        third.cut_after(Some(&after)).unwrap();
        prop_assert_eq!(alone.parts().unwrap(), third.parts().unwrap());
    }

    #[test]
    fn a_flipped_bit_is_noticed(
        value in values(), which in any::<prop::sample::Index>(), place in any::<prop::sample::Index>(), bit in 0_u32..8
    ) {
        let blob = Blob::encode(&value).unwrap();
        let mut parts = stored(&blob);
        let damaged = which.index(parts.len());
        let bytes = parts.values_mut().nth(damaged).unwrap();
        let at = place.index(bytes.len());
        bytes[at] ^= 1 << bit;
        if let Ok(read) = Blob::from_parts(blob.address(), parts).value() {
            // Bits of a zstd frame that carry nothing may flip; the content may not.
            prop_assert_eq!(Blob::encode(&read).unwrap(), blob);
        }
    }
}

/// Messages of a conversation, each with a text of its own of about 600 bytes.
fn messages(count: u64) -> Vec<Value> {
    let words =
        |seed: u64| (0..75).map(move |word| format!("{:x}", mix(seed * 1000 + word) & 0xfff_ffff)).collect::<Vec<_>>();
    let message = |number| {
        let text = Value::Str(words(number).join(" "));
        Value::Dict(vec![("role".into(), Value::Str("user".into())), ("content".into(), text)])
    };
    (0..count).map(message).collect()
}

fn mix(seed: u64) -> u64 {
    let hash = blake3::hash(&seed.to_le_bytes());
    u64::from_le_bytes(hash.as_bytes()[..8].try_into().unwrap())
}

#[test]
fn a_list_of_many_numbers_comes_back() {
    let numbers = Value::List((0..200_000).map(Value::Int).collect());
    let blob = Blob::encode(&numbers).unwrap();
    assert!(blob.parts().unwrap().iter().all(|part| part.children().len() <= 64));
    assert_eq!(back(&blob), numbers);
}

#[test]
fn a_blob_of_format_1_can_still_be_read() {
    let plain = [0xa1, b'x'];
    let blob = Blob::from_stored(*blake3::hash(&plain).as_bytes(), [&[1, RAW], plain.as_slice()].concat());
    assert_eq!(blob.value().unwrap(), Value::Str("x".into()));
    let squeezed = zstd::bulk::compress(&plain, 1).unwrap();
    let blob = Blob::from_stored(*blake3::hash(&plain).as_bytes(), [&[1, ZSTD], squeezed.as_slice()].concat());
    assert_eq!(blob.value().unwrap(), Value::Str("x".into()));
}

#[test]
fn a_missing_part_is_damage() {
    let blob = Blob::encode(&Value::List(messages(100))).unwrap();
    let mut parts = stored(&blob);
    let gone = *parts.keys().find(|address| **address != blob.address()).unwrap();
    parts.remove(&gone);
    let error = Blob::from_parts(blob.address(), parts).value().unwrap_err();
    assert!(error.to_string().contains("missing"), "{error}");
}

#[test]
fn a_table_that_does_not_fit_is_damage() {
    let leaf = Part::new(vec![], vec![0xc0]);
    let child = |gap, length| Child { gap, address: *leaf.address(), length };
    for (children, literal) in [(vec![child(9, 1)], vec![0x91]), (vec![child(1, 2)], vec![0x91])] {
        let root = Part::new(children, literal);
        let parts = [&root, &leaf].map(|part| (*part.address(), Packer::new().pack(part)));
        assert!(Blob::from_parts(*root.address(), HashMap::from(parts)).value().is_err());
    }
    let whole = Part::new(vec![child(1, 1)], vec![0x91]);
    let parts = [&whole, &leaf].map(|part| (*part.address(), Packer::new().pack(part)));
    let value = Blob::from_parts(*whole.address(), HashMap::from(parts)).value().unwrap();
    assert_eq!(value, Value::List(vec![Value::None]));
}

#[test]
fn parts_that_multiply_are_cut_off() {
    let mut parts = vec![Part::new(vec![], vec![0xc0; 1 << 20])];
    let mut length = 1 << 20;
    for _ in 0..2 {
        let address = *parts.last().unwrap().address();
        parts.push(Part::new(vec![Child { gap: 0, address, length }; 64], vec![]));
        length *= 64;
    }
    let root = *parts.last().unwrap().address();
    let parts = parts.iter().map(|part| (*part.address(), Packer::new().pack(part))).collect();
    assert!(Blob::from_parts(root, parts).value().unwrap_err().to_string().contains("more than"));
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
        Value::ByteArray(vec![1]),
        Value::Deque(Some(2), vec![Value::Int(1)]),
        Value::Deque(None, vec![]),
        Value::OrderedDict(vec![(text(), Value::None)]),
        Value::Object(text(), Box::new(Value::OrderedDict(vec![]))),
    ];
    for kind in kinds {
        assert_eq!(back(&Blob::encode(&kind).unwrap()), kind);
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
    let Value::Float(read) = back(&Blob::encode(&Value::Float(odd)).unwrap()) else { panic!("kind") };
    assert_eq!(read.to_bits(), odd.to_bits());
}

#[test]
fn long_repetitive_content_is_compressed() {
    let blob = Blob::encode(&Value::Str("hagane ".repeat(1000))).unwrap();
    assert!(blob.size().unwrap() < 500, "{}", blob.size().unwrap());
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
fn a_small_blob_that_would_fill_the_memory_is_refused() {
    let plain = [&[0xdd, 0x03, 0, 0, 0], vec![0xc0; 3 << 24].as_slice()].concat();
    let part = Part::new(vec![], plain);
    let packed = Packer::new().pack(&part);
    assert!(packed.len() < 10_000, "{}", packed.len());
    let error = Blob::from_stored(*part.address(), packed).value().unwrap_err();
    assert!(error.to_string().contains("more than 8388608 values"), "{error}");
}

/// Parts that each name the one before twice, over a long chain: visits double with every one of them.
fn doubling(levels: usize, chain: usize) -> (Address, HashMap<Address, Vec<u8>>) {
    let (mut parts, mut packer) = (HashMap::new(), Packer::new());
    let mut last = Part::new(vec![], vec![0xc0]);
    let mut length = 1;
    for level in 0..chain + levels {
        parts.insert(*last.address(), packer.pack(&last));
        let times = if level < chain { 1 } else { 2 };
        last = Part::new(vec![part::Child { gap: 0, address: *last.address(), length }; times], vec![]);
        length *= times;
    }
    parts.insert(*last.address(), packer.pack(&last));
    (*last.address(), parts)
}

#[test]
fn a_part_is_opened_once_however_often_it_is_named() {
    let (root, parts) = doubling(12, 200);
    let opened = std::cell::Cell::new(0);
    let find = |address: &Address| {
        opened.set(opened.get() + 1);
        parts.get(address)
    };
    assert_eq!(part::join(&root, find).unwrap(), vec![0xc0; 1 << 12]);
    assert_eq!(opened.get(), parts.len());
}

#[test]
fn what_few_parts_would_unpack_to_is_bounded() {
    let (root, parts) = doubling(30, 0);
    let error = part::join(&root, |address| parts.get(address)).unwrap_err();
    assert!(error.to_string().contains("it unpacks to more than a snapshot takes"), "{error}");
}

#[test]
fn what_could_not_be_read_for_its_number_of_values_is_not_stored() {
    let list = |count: usize| Value::List(vec![Value::None; count]);
    assert!(matches!(Blob::encode(&list(codec::MAX_VALUES)), Err(SnapshotError::TooMany(_))));
    let most = Blob::encode(&list(codec::MAX_VALUES - 1)).unwrap();
    assert!(most.value().is_ok());
}

#[test]
fn a_bomb_is_cut_off() {
    let bomb = zstd::bulk::compress(&vec![0; MAX_BLOB + 2], 1).unwrap();
    let error = Blob::from_stored([0; 32], [&[FORMAT, ZSTD, 0], bomb.as_slice()].concat()).value().unwrap_err();
    assert!(error.to_string().contains("more than"), "{error}");
}
