//! A state that grew or changed in one place shares the rest with the one before.

use super::*;

/// The same state with its messages under a key, as an engine keeps it.
fn conversation(messages: Vec<Value>) -> Blob {
    Blob::encode(&Value::Dict(vec![
        ("title".into(), Value::Str("x".into())),
        ("messages".into(), Value::List(messages)),
    ]))
    .unwrap()
}

/// Bytes of `next` that a store which holds `before` does not have.
fn growth(before: &Blob, next: &Blob) -> usize {
    let known = stored(before);
    stored(next).iter().filter(|(address, _)| !known.contains_key(*address)).map(|(_, bytes)| bytes.len()).sum()
}

#[test]
fn a_long_list_that_grows_shares_all_but_its_end() {
    let all = messages(1700);
    let before = conversation(all[..1699].to_vec());
    let (whole, more) = (before.size().unwrap(), growth(&before, &conversation(all)));
    assert!(whole > 500_000, "{whole}");
    assert!(more < 8_000, "{more}");
}

#[test]
fn an_insertion_in_the_middle_shares_both_sides() {
    let (mut all, new) = (messages(1700), messages(1701).pop().unwrap());
    let before = conversation(all.clone());
    all.insert(800, new);
    let more = growth(&before, &conversation(all));
    assert!(more < 20_000, "{more}");
}

#[test]
fn a_long_dictionary_is_cut_like_a_list() {
    let entries = |changed: usize| {
        let entry = |(number, value): (usize, Value)| {
            let value = if number == changed { Value::Str("changed".into()) } else { value };
            (format!("key {number}"), value)
        };
        Blob::encode(&Value::Dict(messages(1000).into_iter().enumerate().map(entry).collect())).unwrap()
    };
    let more = growth(&entries(usize::MAX), &entries(500));
    assert!(more < 20_000, "{more}");
    assert_eq!(back(&entries(500)), entries(500).value().unwrap());
}

#[test]
fn lists_in_lists_are_cut_too() {
    let nested = |last: i64| {
        let mut rows: Vec<Value> = (0..40).map(|row| Value::List(messages(50 + row))).collect();
        rows.push(Value::Int(last));
        Blob::encode(&Value::List(rows)).unwrap()
    };
    assert!(growth(&nested(1), &nested(2)) < 20_000);
    assert_eq!(back(&nested(1)), nested(1).value().unwrap());
}
