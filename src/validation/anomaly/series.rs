//! The numbers of one field over accepted outputs: a ring in order of arrival, and the same numbers sorted.

use std::collections::VecDeque;

/// How many of the latest numbers a field remembers.
pub(super) const RING: usize = 4_096;

/// From this many steps on, a field that nearly always moves the same way counts as running.
const RUNNING_STEPS: usize = 19;

/// The latest finite numbers of one field. Everything but `is_running` depends on which numbers came, not on their order.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Series {
    arrivals: VecDeque<f64>,
    sorted: Vec<f64>,
    rises: usize,
    falls: usize,
}

impl Series {
    /// The series of finite numbers in order of arrival.
    pub(super) fn of(arrivals: Vec<f64>) -> Self {
        let mut sorted = arrivals.clone();
        sorted.sort_by(f64::total_cmp);
        let rises = arrivals.windows(2).filter(|pair| pair[1] > pair[0]).count();
        let falls = arrivals.windows(2).filter(|pair| pair[1] < pair[0]).count();
        Self { arrivals: arrivals.into(), sorted, rises, falls }
    }

    /// Takes a number in and lets go of the oldest when the ring is full; NaN and infinities are not kept.
    pub(super) fn push(&mut self, number: f64, capacity: usize) {
        if !number.is_finite() {
            return;
        }
        while self.arrivals.len() >= capacity.max(1) {
            self.forget_oldest();
        }
        if let Some(&last) = self.arrivals.back() {
            self.rises += usize::from(number > last);
            self.falls += usize::from(number < last);
        }
        self.arrivals.push_back(number);
        let place = self.sorted.partition_point(|&known| known < number);
        self.sorted.insert(place, number);
    }

    fn forget_oldest(&mut self) {
        let Some(oldest) = self.arrivals.pop_front() else { return };
        if let Some(&next) = self.arrivals.front() {
            self.rises -= usize::from(next > oldest);
            self.falls -= usize::from(next < oldest);
        }
        let place = self.sorted.partition_point(|&known| known < oldest);
        self.sorted.remove(place);
    }

    pub(super) fn len(&self) -> usize {
        self.sorted.len()
    }

    /// The numbers, least first.
    pub(super) fn sorted(&self) -> &[f64] {
        &self.sorted
    }

    /// The numbers, oldest first.
    pub(super) fn arrivals(&self) -> impl ExactSizeIterator<Item = f64> + '_ {
        self.arrivals.iter().copied()
    }

    /// Whether this is a counter or a clock: nine steps of ten go the same way. Ranks say nothing about such a field,
    /// because its next number is always the most extreme one.
    pub(super) fn is_running(&self) -> bool {
        let steps = self.rises + self.falls;
        steps >= RUNNING_STEPS && self.rises.max(self.falls) * 10 >= steps * 9
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn filled(numbers: &[f64], capacity: usize) -> Series {
        let mut series = Series::default();
        numbers.iter().for_each(|&number| series.push(number, capacity));
        series
    }

    #[test]
    fn a_counter_is_running_and_noise_is_not() {
        let counter: Vec<f64> = (0..30).map(f64::from).collect();
        let noise: Vec<f64> = (0..30).map(|step| f64::from(step * 7 % 11)).collect();
        assert!(filled(&counter, RING).is_running());
        assert!(filled(&counter.iter().rev().copied().collect::<Vec<_>>(), RING).is_running());
        assert!(!filled(&noise, RING).is_running());
        assert!(!filled(&counter[..19], RING).is_running());
        assert!(!filled(&[5.0; 30], RING).is_running());
    }

    proptest! {
        #[test]
        fn the_ring_holds_the_latest_finite_numbers(numbers in prop::collection::vec(any::<f64>(), 0..80), capacity in 1..40usize) {
            let series = filled(&numbers, capacity);
            let finite: Vec<f64> = numbers.into_iter().filter(|number| number.is_finite()).collect();
            let latest = &finite[finite.len().saturating_sub(capacity)..];
            prop_assert_eq!(series.arrivals().collect::<Vec<_>>(), latest);
            let mut sorted = latest.to_vec();
            sorted.sort_by(f64::total_cmp);
            prop_assert_eq!(series.sorted(), sorted);
            prop_assert_eq!(Series::of(latest.to_vec()), series);
        }
    }
}
