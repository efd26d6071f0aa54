//! More series than a metric may have: what is shown does not depend on who answers, and no counter falls.

use std::collections::BTreeMap;

use super::super::totals;
use super::*;
use crate::metrics::cells::Kind;

/// A process whose metrics may have `limit` series.
fn limited(directory: &Path, limit: usize) -> Registry {
    let shared = Directory::open(directory).unwrap();
    Registry::on(limit, Some(shared as Arc<dyn Shelf>))
}

fn hits(registry: &Registry) -> BTreeMap<String, f64> {
    let text = shown(registry);
    let lines = text.lines().filter_map(|line| line.strip_prefix("hits_total{path=\"")?.split_once("\"} "));
    lines.map(|(path, value)| (path.to_owned(), value.parse().unwrap())).collect()
}

fn settled(directory: &Path) -> usize {
    let totals = totals::read(directory).unwrap().unwrap().unwrap();
    let series = totals.records().filter(|record| matches!(record, Ok(read::Record::Series { .. })));
    series.count()
}

#[test]
fn whoever_answers_shows_the_same_series_and_the_living_share_no_limit() {
    let directory = tempfile::tempdir().unwrap();
    let (one, other) = (limited(directory.path(), 3), limited(directory.path(), 3));
    for step in 0..3 {
        count(&one, "hits_total", &format!("a{step}"), 1.0);
        count(&other, "hits_total", &format!("b{step}"), 100.0);
    }
    assert_eq!(hits(&one), hits(&other));
    assert_eq!(hits(&one).len(), 6);
    // Beyond its own limit each has one of its own, and those are one.
    count(&one, "hits_total", "a3", 1.0);
    count(&other, "hits_total", "b3", 100.0);
    assert_eq!(hits(&one), hits(&other));
    assert_eq!(hits(&one)["_overflow"], 101.0);
}

#[test]
fn no_counter_falls_when_the_dead_have_had_more_series_than_a_metric_may_have() {
    let directory = tempfile::tempdir().unwrap();
    let (one, other) = (limited(directory.path(), 3), limited(directory.path(), 3));
    count(&one, "hits_total", "shared", 1.0);
    count(&other, "hits_total", "shared", 10.0);
    let mut last = BTreeMap::new();
    let mut drops = 0.0;
    for part in 0..6 {
        {
            let dead = limited(directory.path(), 3);
            for path in [&format!("{part}/0"), &format!("{part}/1"), "shared"] {
                count(&dead, "hits_total", path, 1000.0);
            }
        }
        if part == 3 {
            count(&one, "hits_total", "late", 7.0);
        }
        for reader in [&one, &other, &one] {
            let now = hits(reader);
            for (path, value) in &last {
                assert!(now.get(path).is_none_or(|now| now >= value), "{path} fell from {value} in {now:?}");
            }
            let total: f64 = now.values().sum();
            assert_eq!(total, f64::from(part + 1) * 3000.0 + 11.0 + if part < 3 { 0.0 } else { 7.0 });
            last = now;
            let text = shown(reader);
            let line = text
                .lines()
                .find_map(|line| line.strip_prefix("hagane_metrics_overflow_total{metric=\"hits_total\"} "));
            let now: f64 = line.map_or(0.0, |count| count.parse().unwrap());
            assert!(now >= drops, "{now} dropped after {drops}");
            drops = now;
        }
    }
    assert!(drops > 0.0);
    assert_eq!(last.len(), 4, "{last:?}");
    assert!(!last.contains_key("late"));
    // Three, the overflow, and the counter that says so: the dead do not pile up.
    assert_eq!(settled(directory.path()), 5);
    assert_eq!(hits(&other), last);
    assert_eq!(hits(&limited(directory.path(), 99)), last);
}

#[test]
fn totals_too_long_for_a_file_take_no_more_series_and_keep_every_count() {
    let directory = tempfile::tempdir().unwrap();
    let own = limited(directory.path(), usize::MAX);
    let bounds: Vec<f64> = (0..format::MOST_BOUNDS).map(|bound| bound as f64).collect();
    let layout = Layout { kind: Kind::Histogram, combine: Combine::Sum, bounds: &bounds };
    let width = bounds.len() + 4;
    // Nearly as many as there is room for in one file, twice.
    let of_one = format::MOST_WORDS / (width + 10) - 4;
    for part in 0..2 {
        let file = Directory::open(directory.path()).unwrap();
        let family = file.family("seconds", "", false, layout).unwrap();
        for number in 0..of_one {
            let words = file.series(family, &format!("path=\"{part}/{number}\""), width).unwrap();
            words[width - 1].store(1, Ordering::Relaxed);
        }
    }
    let shown = || {
        let families = own.snapshot().unwrap();
        let seconds = families.iter().find(|family| family.name == "seconds").unwrap();
        let counts = seconds.series.iter().map(|series| match &series.value {
            Value::Histogram(value) => value.cumulative.last().copied().unwrap(),
            Value::Number(..) => 0,
        });
        (seconds.series.len(), counts.sum::<u64>())
    };
    assert_eq!(shown(), (2 * of_one, 2 * of_one as u64));
    assert_eq!(files(directory.path()).len(), 1);
    assert_eq!(shown(), (1, 2 * of_one as u64));
}
