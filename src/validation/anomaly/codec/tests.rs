use super::super::finding::Settings;
use super::*;
use crate::validation::Observed;
use proptest::prelude::*;
use std::sync::LazyLock;

fn taught(rounds: u32) -> Detector {
    let mut detector = Detector::new();
    for round in 0..rounds {
        let text =
            format!("Report {round}: {}", "the bill is long and the body is heavy. ".repeat(6 + round as usize % 5));
        let entries = vec![
            ("mass".to_owned(), Observed::Number(f64::from(round * 7 % 13) / 3.0)),
            ("rows".to_owned(), Observed::Array(vec![Observed::Null; round as usize % 4])),
            ("text".to_owned(), Observed::String(text)),
        ];
        detector.observe(&Observed::Object(entries), &Settings::default());
    }
    detector
}

/// The body of a good baseline.
static GOOD: LazyLock<Vec<u8>> = LazyLock::new(|| taught(30).encode()[HEAD..].to_vec());

/// The bytes with a change in their body and a checksum that fits it.
fn forged(change: impl FnOnce(&mut Vec<u8>)) -> Result<Detector, DecodeError> {
    let mut body = GOOD.clone();
    change(&mut body);
    Detector::decode(&seal(&body))
}

#[test]
fn what_was_encoded_comes_back() {
    for rounds in [0, 1, 150] {
        let detector = taught(rounds);
        let copy = Detector::decode(&detector.encode()).unwrap();
        assert_eq!(copy, detector);
        assert_eq!(copy.encode(), detector.encode());
    }
}

#[test]
fn a_full_baseline_comes_back_too() {
    let mut detector = taught(30);
    for number in 0..5_000_i32 {
        let output = Observed::Object(vec![("mass".to_owned(), Observed::Number(f64::from(number % 97)))]);
        detector.observe(&output, &Settings::default());
    }
    assert_eq!(detector.fields["mass"].numbers.len(), 4_096);
    assert_eq!(Detector::decode(&detector.encode()).unwrap(), detector);
}

#[test]
fn bytes_that_are_no_baseline_are_named() {
    let good = taught(30).encode();
    assert_eq!(Detector::decode(b""), Err(DecodeError::Foreign(0)));
    assert_eq!(Detector::decode(b"PNG....."), Err(DecodeError::Foreign(8)));
    let mut newer = good.clone();
    newer[4] = 9;
    assert_eq!(Detector::decode(&newer), Err(DecodeError::Newer { found: 9 }));
    let mut flipped = good.clone();
    *flipped.last_mut().unwrap() ^= 1;
    assert!(matches!(Detector::decode(&flipped), Err(DecodeError::Damaged(_))));
    for length in 4..good.len() {
        assert!(matches!(Detector::decode(&good[..length]), Err(DecodeError::Damaged(_))), "{length}");
    }
}

#[test]
fn a_fitting_checksum_does_not_make_content_believed() {
    let refused =
        |found: Result<Detector, DecodeError>| assert!(matches!(found, Err(DecodeError::Damaged(_))), "{found:?}");
    refused(forged(|body| body.push(0)));
    refused(forged(|body| body[0..4].copy_from_slice(&u32::MAX.to_le_bytes())));
    refused(forged(|body| body[8..10].copy_from_slice(&u16::MAX.to_le_bytes())));
    refused(forged(|body| body.truncate(body.len() / 2)));
    let mass = taught(30).fields["mass"].numbers.arrivals().nth(1).unwrap().to_le_bytes();
    refused(forged(|body| {
        let place = body.windows(8).position(|window| window == mass).unwrap();
        body[place..place + 8].copy_from_slice(&f64::NAN.to_le_bytes());
    }));
    refused(forged(|body| {
        let place = body.windows(4).position(|window| window == b"rows").unwrap();
        body[place..place + 4].copy_from_slice(b"aaaa");
    }));
    refused(forged(|body| {
        let place = body.windows(4).position(|window| window == b"rows").unwrap();
        body[place] = 0xff;
    }));
}

proptest! {
    #[test]
    fn hostile_bytes_are_an_error_or_a_whole_baseline(body in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = Detector::decode(&body);
        if let Ok(detector) = Detector::decode(&seal(&body)) {
            prop_assert_eq!(detector.encode(), seal(&body));
        }
    }

    #[test]
    fn a_changed_byte_never_panics(place in 0..3_000usize, byte in any::<u8>()) {
        let found = forged(|body| { let place = place % body.len(); body[place] = byte; });
        if let Ok(detector) = found {
            let _ = detector.judge(&Observed::Object(vec![("mass".into(), Observed::Number(4.0))]), &Settings::default());
            prop_assert_eq!(Detector::decode(&detector.encode()).unwrap(), detector);
        }
    }
}
