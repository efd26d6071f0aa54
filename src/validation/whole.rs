//! Whole numbers of any size, compared exactly: a float tells nothing apart above 2^53.

use std::cmp::Ordering;

/// 2^127, from which on 128 bits do not hold a number.
const TOO_LARGE: f64 = 170_141_183_460_469_231_731_687_303_715_884_105_728.0;

/// One whole number; there is one way only to write each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whole {
    /// One that 128 bits hold.
    Small(i128),
    /// Any other.
    Large {
        /// Whether it is below zero.
        is_negative: bool,
        /// Its size, the most significant byte first and not zero.
        size: Vec<u8>,
    },
}

impl Whole {
    /// The number of this sign and size; the most significant byte comes first.
    #[must_use]
    pub fn new(is_negative: bool, size: &[u8]) -> Self {
        let size = &size[size.iter().take_while(|byte| **byte == 0).count()..];
        let small = (size.len() <= 16).then(|| size.iter().fold(0_u128, |sum, byte| sum << 8 | u128::from(*byte)));
        match small.and_then(|size| i128::try_from(size).ok()) {
            Some(size) => Self::Small(if is_negative { -size } else { size }),
            None => Self::Large { is_negative, size: size.to_vec() },
        }
    }

    /// The nearest float; infinite beyond the range of floats.
    #[must_use]
    pub fn near(&self) -> f64 {
        match self {
            Self::Small(number) => *number as f64,
            Self::Large { is_negative, size } => {
                let (head, rest) = size.split_at(size.len().min(16));
                let bits = head.iter().fold(0, |sum, byte| sum << 8 | u128::from(*byte));
                // Whatever stands in the rest can only decide a tie, and the lowest bit of the head does that as well.
                let bits = bits | u128::from(rest.iter().any(|byte| *byte != 0));
                let scale = i32::try_from(8 * rest.len()).unwrap_or(i32::MAX);
                let size = bits as f64 * 2_f64.powi(scale);
                if *is_negative { -size } else { size }
            }
        }
    }

    /// How it stands to a float; nothing stands to NaN.
    #[must_use]
    pub fn against(&self, number: f64) -> Option<Ordering> {
        if number.is_nan() {
            return None;
        }
        if number.is_infinite() {
            return Some(if number > 0.0 { Ordering::Less } else { Ordering::Greater });
        }
        let whole = number.trunc();
        Some(self.cmp(&Self::of_float(whole)).then_with(|| whole.total_cmp(&number)))
    }

    /// A finite float that is a whole number.
    fn of_float(number: f64) -> Self {
        if number.abs() < TOO_LARGE {
            return Self::Small(number as i128);
        }
        // From 2^127 on the 53 bits of a float stand before zeros only.
        let exponent = (number.to_bits() >> 52 & 0x7ff) as usize - 1075;
        let mantissa = u128::from(number.to_bits() & ((1 << 52) - 1) | 1 << 52) << (exponent % 8);
        Self::new(number < 0.0, &[mantissa.to_be_bytes().as_slice(), &vec![0; exponent / 8]].concat())
    }

    fn sign(&self) -> i128 {
        match self {
            Self::Small(number) => number.signum(),
            Self::Large { is_negative, .. } => {
                if *is_negative {
                    -1
                } else {
                    1
                }
            }
        }
    }
}

impl Ord for Whole {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Small(one), Self::Small(two)) => one.cmp(two),
            (Self::Large { size: one, is_negative }, Self::Large { size: two, .. }) if self.sign() == other.sign() => {
                let sizes = one.len().cmp(&two.len()).then_with(|| one.cmp(two));
                if *is_negative { sizes.reverse() } else { sizes }
            }
            // A large one stands beyond all small ones on its side.
            (Self::Small(_), Self::Large { .. }) => 0.cmp(&other.sign()),
            _ => self.sign().cmp(&0),
        }
    }
}

impl PartialOrd for Whole {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl From<i64> for Whole {
    fn from(number: i64) -> Self {
        Self::Small(number.into())
    }
}

impl std::fmt::Display for Whole {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Small(number) => number.fmt(out),
            Self::Large { size, .. } if self.near().is_infinite() => {
                write!(out, "a whole number of {} bytes", size.len())
            }
            Self::Large { .. } => write!(out, "{:e}", self.near()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn power(bits: usize) -> Whole {
        let mut size = vec![0; bits / 8 + 1];
        size[0] = 1 << (bits % 8);
        Whole::new(false, &size)
    }

    fn negative(number: &Whole) -> Whole {
        match number {
            Whole::Small(number) => Whole::Small(-number),
            Whole::Large { size, .. } => Whole::new(true, size),
        }
    }

    #[test]
    fn sizes_decide_on_both_sides_of_zero() {
        let rising =
            [Whole::from(0), Whole::from(1 << 53), Whole::from((1 << 53) + 1), power(127), power(128), power(5000)];
        for pair in rising.windows(2) {
            assert!(pair[0] < pair[1] && negative(&pair[0]) > negative(&pair[1]), "{pair:?}");
        }
        assert!(negative(&power(200)) < Whole::from(-1) && Whole::from(-1) < power(200));
        assert!(negative(&power(200)) < power(200));
    }

    #[test]
    fn floats_stand_exactly_where_they_are() {
        let largest = f64::MAX.trunc();
        assert_eq!(Whole::from((1 << 53) + 1).against((1_i64 << 53) as f64), Some(Ordering::Greater));
        assert_eq!(Whole::from(3).against(3.5), Some(Ordering::Less));
        assert_eq!(Whole::from(-3).against(-3.5), Some(Ordering::Greater));
        assert_eq!(Whole::from(0).against(-0.0), Some(Ordering::Equal));
        assert_eq!(power(127).against(TOO_LARGE), Some(Ordering::Equal));
        assert_eq!(power(1023).against(2_f64.powi(1023)), Some(Ordering::Equal));
        assert_eq!(power(1024).against(largest), Some(Ordering::Greater));
        assert_eq!(power(1024).against(f64::INFINITY), Some(Ordering::Less));
        assert_eq!(power(1024).against(f64::NAN), None);
    }

    #[test]
    fn the_nearest_float_is_the_nearest() {
        assert_eq!([power(200).near(), power(1024).near()], [2_f64.powi(200), f64::INFINITY]);
        assert_eq!(negative(&power(9999)).near(), f64::NEG_INFINITY);
        // One more than half way between two floats, the one bit far behind.
        let mut size = vec![0; 40];
        (size[0], size[7], size[39]) = (1, 0b1000, 1);
        let behind = Whole::new(false, &size);
        size[39] = 0;
        assert!(behind.near() > Whole::new(false, &size).near());
    }

    #[test]
    fn large_ones_are_shown_short() {
        let shown = [power(100), power(200), power(5000)].map(|number| number.to_string());
        assert_eq!(shown, ["1267650600228229401496703205376", "1.6069380442589903e60", "a whole number of 626 bytes"]);
    }

    proptest! {
        #[test]
        fn whole_floats_come_back(number in any::<f64>().prop_filter("finite", |number| number.is_finite())) {
            let whole = number.trunc();
            prop_assert_eq!(Whole::of_float(whole).near(), whole);
            prop_assert_eq!(Whole::of_float(whole).against(whole), Some(Ordering::Equal));
        }

        #[test]
        fn bytes_and_numbers_agree(one in any::<i128>(), two in any::<i128>()) {
            let whole = |number: i128| Whole::new(number < 0, &number.unsigned_abs().to_be_bytes());
            prop_assert_eq!(whole(one).cmp(&whole(two)), one.cmp(&two));
            prop_assert_eq!(whole(one).near(), one as f64);
        }
    }
}
