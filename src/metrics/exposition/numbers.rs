//! Numbers as the text formats write them.

use std::fmt::Write;

/// A sample's value.
pub(super) fn push_number(out: &mut String, value: f64) {
    // Writing into a String cannot fail.
    let _ = match value {
        _ if value.is_nan() => write!(out, "NaN"),
        f64::INFINITY => write!(out, "+Inf"),
        f64::NEG_INFINITY => write!(out, "-Inf"),
        _ if value.fract() == 0.0 && value.abs() < 1e15 => {
            push_integer(out, value as i64);
            Ok(())
        }
        _ => write!(out, "{value:?}"),
    };
}

/// A bucket's bound: `1.0`, not `1`. Prometheus 3 rewrites the one into the other, so that queries survive its upgrade.
pub(super) fn push_bound(out: &mut String, bound: f64) {
    if bound == f64::INFINITY {
        out.push_str("+Inf");
    } else {
        let _ = write!(out, "{bound:?}");
    }
}

/// A bucket's bound by itself.
pub(in crate::metrics) fn bound_text(bound: f64) -> String {
    let mut out = String::new();
    push_bound(&mut out, bound);
    out
}

/// Most samples are small whole numbers, and this is most of an encoder's work.
pub(super) fn push_integer(out: &mut String, value: i64) {
    if let digit @ 0..=9 = value {
        out.push((b'0' + digit as u8) as char);
        return;
    }
    let mut digits = [0; 20];
    let (mut at, mut rest) = (digits.len(), value.unsigned_abs());
    while rest > 0 {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    if value < 0 {
        out.push('-');
    }
    // Digits are text.
    out.push_str(std::str::from_utf8(&digits[at..]).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_that_are_none_have_their_own_words() {
        let mut out = String::new();
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e300, 0.1, -0.0, 1e15, 10.0, -205.0] {
            push_number(&mut out, value);
            out.push(' ');
        }
        assert_eq!(out, "NaN +Inf -Inf 1e300 0.1 0 1000000000000000.0 10 -205 ");
    }

    proptest! {
        #[test]
        fn a_whole_number_is_written_as_everyone_does(value in any::<i64>()) {
            let mut out = String::new();
            push_integer(&mut out, value);
            prop_assert_eq!(out, value.to_string());
        }

        #[test]
        fn every_number_is_read_back_exactly(value in any::<f64>().prop_filter("is a number", |value| !value.is_nan())) {
            let mut out = String::new();
            push_number(&mut out, value);
            prop_assert_eq!(out.parse::<f64>().unwrap(), value);
        }
    }
}
