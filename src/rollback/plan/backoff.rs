//! How long to wait before trying again.
//!
//! Exponential backoff with full jitter, after Marc Brooker, "Exponential Backoff And Jitter" (AWS Architecture Blog,
//! 2015): a uniform draw between nothing and the exponential bound spreads clients best.

/// Seconds to wait before retry number `retry` (from 1): `draw` (0 to 1) of `base * 2^(retry - 1)`, at most `cap`, and
/// no less than what the service asked for, which itself is cut at `cap`.
#[must_use]
pub fn backoff(retry: u32, base: f64, cap: f64, draw: f64, asked: Option<f64>) -> f64 {
    let positive = |seconds: f64| if seconds.is_finite() { seconds.max(0.0) } else { 0.0 };
    let cap = positive(cap);
    let doublings = i32::try_from(retry.saturating_sub(1)).unwrap_or(i32::MAX).min(1000);
    let bound = (positive(base) * 2_f64.powi(doublings)).min(cap);
    let jittered = bound * positive(draw).min(1.0);
    asked.map_or(jittered, |asked| jittered.max(positive(asked).min(cap)))
}

#[cfg(test)]
mod tests {
    use super::backoff;
    use proptest::prelude::*;

    #[test]
    fn the_bound_doubles_until_the_cap() {
        let bounds: Vec<f64> = (1..=5).map(|retry| backoff(retry, 0.5, 3.0, 1.0, None)).collect();
        assert_eq!(bounds, [0.5, 1.0, 2.0, 3.0, 3.0]);
        assert_eq!(backoff(u32::MAX, 0.5, 3.0, 1.0, None), 3.0);
    }

    #[test]
    fn the_service_is_asked_for_no_longer_than_the_cap_and_no_shorter_than_it_said() {
        assert_eq!(backoff(1, 0.5, 30.0, 0.0, Some(7.0)), 7.0);
        assert_eq!(backoff(1, 0.5, 30.0, 0.0, Some(3600.0)), 30.0);
        assert_eq!(backoff(1, 0.5, 30.0, 1.0, Some(f64::NAN)), 0.5);
    }

    proptest! {
        #[test]
        fn it_is_always_a_time_within_the_cap(
            retry in any::<u32>(), base in any::<f64>(), draw in any::<f64>(), asked in any::<Option<f64>>(),
        ) {
            let seconds = backoff(retry, base, 30.0, draw, asked);
            prop_assert!((0.0..=30.0).contains(&seconds), "{seconds}");
        }
    }
}
