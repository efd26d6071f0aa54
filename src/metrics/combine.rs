//! How the gauges of several processes become one.

use std::str::FromStr;
use std::time::SystemTime;

use super::error::MetricError;
use super::words::saturating_sum;

/// Which of the values of several processes is shown. `live` ones forget a process when it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Combine {
    /// The sum over the processes that live: what is in progress, what is queued.
    #[default]
    LiveSum,
    /// The sum, also over those that ended.
    Sum,
    /// The least value that a process left.
    Min,
    /// The greatest value that a process left.
    Max,
    /// The least value of those that live.
    LiveMin,
    /// The greatest value of those that live.
    LiveMax,
    /// What was written last.
    MostRecent,
    /// What was written last by one that lives.
    LiveMostRecent,
}

/// Every way there is, by its name; the place is its number in a file.
pub const COMBINATIONS: [(&str, Combine); 8] = [
    ("livesum", Combine::LiveSum),
    ("sum", Combine::Sum),
    ("min", Combine::Min),
    ("max", Combine::Max),
    ("livemin", Combine::LiveMin),
    ("livemax", Combine::LiveMax),
    ("mostrecent", Combine::MostRecent),
    ("livemostrecent", Combine::LiveMostRecent),
];

impl Combine {
    /// Whether a process that ended no longer counts.
    pub(super) fn forgets_the_dead(self) -> bool {
        matches!(self, Self::LiveSum | Self::LiveMin | Self::LiveMax | Self::LiveMostRecent)
    }

    /// Whether it matters that (and when) a value was written: a gauge nobody set is no least value.
    pub(super) fn needs_stamp(self) -> bool {
        !matches!(self, Self::LiveSum | Self::Sum)
    }

    /// When it is written, in nanoseconds since the epoch; only "ever" where the time does not matter.
    pub(super) fn stamp(self) -> u64 {
        if !matches!(self, Self::MostRecent | Self::LiveMostRecent) {
            return 1;
        }
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX).max(1)
    }

    /// Its number in a file.
    pub(super) fn number(self) -> u8 {
        let place = COMBINATIONS.iter().position(|(_, combine)| *combine == self);
        place.and_then(|place| u8::try_from(place).ok()).unwrap_or(0)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        COMBINATIONS[usize::from(self.number())].0
    }

    /// `ours` after another process's gauge (value, stamp) is counted in.
    pub(super) fn fold(self, ours: [u64; 2], theirs: [u64; 2]) -> [u64; 2] {
        let ([value, stamp], [other, other_stamp]) = (ours, theirs);
        let (number, other_number) = (f64::from_bits(value), f64::from_bits(other));
        let both = |number: f64| [number.to_bits(), stamp.max(other_stamp)];
        match self {
            Self::Sum | Self::LiveSum => both(saturating_sum(number, other_number)),
            _ if other_stamp == 0 => ours,
            _ if stamp == 0 => theirs,
            Self::Min | Self::LiveMin => both(number.min(other_number)),
            Self::Max | Self::LiveMax => both(number.max(other_number)),
            Self::MostRecent | Self::LiveMostRecent if other_stamp > stamp => theirs,
            Self::MostRecent | Self::LiveMostRecent => ours,
        }
    }
}

impl FromStr for Combine {
    type Err = MetricError;

    fn from_str(name: &str) -> Result<Self, MetricError> {
        let found = COMBINATIONS.iter().find(|(known, _)| *known == name);
        found.map(|(_, combine)| *combine).ok_or_else(|| MetricError::Combination { given: name.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gauge(value: f64, stamp: u64) -> [u64; 2] {
        [value.to_bits(), stamp]
    }

    #[test]
    fn each_way_shows_what_its_name_says() {
        let seen = |combine: Combine| {
            let values = [gauge(3.0, 20), gauge(0.0, 0), gauge(1.0, 30), gauge(2.0, 10)];
            f64::from_bits(values.into_iter().reduce(|ours, theirs| combine.fold(ours, theirs)).unwrap()[0])
        };
        let expected = [6.0, 6.0, 1.0, 3.0, 1.0, 3.0, 1.0, 1.0];
        assert_eq!(COMBINATIONS.map(|(_, combine)| seen(combine)), expected);
    }

    #[test]
    fn names_and_numbers_come_back() {
        for (place, (name, combine)) in COMBINATIONS.into_iter().enumerate() {
            assert_eq!((name.parse::<Combine>().unwrap(), combine.name()), (combine, name));
            assert_eq!(usize::from(combine.number()), place);
            assert_eq!(combine.forgets_the_dead(), name.starts_with("live"));
        }
        assert!(matches!("average".parse::<Combine>(), Err(MetricError::Combination { .. })));
    }
}
