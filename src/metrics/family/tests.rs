use std::thread;

use super::*;
use crate::metrics::cells::Counter;

fn family(labels: Option<&[&str]>, limit: usize) -> Family<Counter> {
    let names: Option<Vec<String>> = labels.map(|names| names.iter().map(|name| (*name).to_owned()).collect());
    Family::new("m", "", names.as_deref(), (), limit).unwrap()
}

fn rendered(family: &Family<Counter>) -> Vec<&str> {
    family.iter().map(Series::rendered).collect()
}

#[test]
fn the_same_labels_are_the_same_series_however_they_are_given() {
    let family = family(Some(&["a", "b"]), 10);
    family.series(LabelSet::Values(&["1", "2"])).unwrap().cell.increment(1.0).unwrap();
    family.series(LabelSet::Named(&[("b", "2"), ("a", "1")])).unwrap().cell.increment(1.0).unwrap();
    family.series(LabelSet::Partial(&[("a", "1")])).unwrap();
    assert_eq!(rendered(&family), [r#"a="1",b="2""#, r#"a="1""#]);
    assert_eq!(family.iter().next().unwrap().cell.get(), 2.0);
}

#[test]
fn labels_that_are_not_the_metrics_own_are_refused() {
    let family = family(Some(&["a", "b"]), 10);
    let refused: [LabelSet<'_>; 4] = [
        LabelSet::Values(&["1"]),
        LabelSet::Named(&[("a", "1")]),
        LabelSet::Partial(&[("c", "1")]),
        LabelSet::Named(&[("a", "1"), ("b", "2"), ("c", "3")]),
    ];
    for given in refused {
        assert!(matches!(family.series(given), Err(MetricError::Labels { .. })));
    }
    assert_eq!(rendered(&family).len(), 0);
}

#[test]
fn labels_are_written_by_name_whatever_their_order_in_the_program() {
    let family = family(Some(&["b", "a", "c"]), 10);
    family.series(LabelSet::Values(&["1", "2", ""])).unwrap();
    assert_eq!(rendered(&family), [r#"a="2",b="1""#]);
    let (names, values): (Vec<_>, Vec<_>) = family.iter().next().unwrap().labels().iter().cloned().unzip();
    assert_eq!((names.join(","), values.join(",")), ("b,a,c".to_owned(), "1,2,".to_owned()));
}

#[test]
fn an_open_family_keeps_every_label_set_apart() {
    let family = family(None, 10);
    family.series(LabelSet::Partial(&[])).unwrap();
    family.series(LabelSet::Partial(&[("b", "1"), ("a", "2")])).unwrap();
    family.series(LabelSet::Partial(&[("a", "2"), ("b", "1"), ("c", "")])).unwrap();
    assert_eq!(rendered(&family), ["", r#"a="2",b="1""#]);
    assert!(matches!(family.series(LabelSet::Partial(&[("a-b", "1")])), Err(MetricError::LabelName { .. })));
}

#[test]
fn finding_creates_nothing() {
    let family = family(Some(&["a"]), 10);
    assert!(family.find(LabelSet::Values(&["1"])).unwrap().is_none());
    assert_eq!(rendered(&family).len(), 0);
}

#[test]
fn beyond_the_limit_label_sets_share_one_series_and_are_counted() {
    let family = family(Some(&["a"]), 2);
    for value in ["1", "2", "3", "4", "1"] {
        family.series(LabelSet::Values(&[value])).unwrap().cell.increment(1.0).unwrap();
    }
    assert_eq!(rendered(&family), [r#"a="1""#, r#"a="2""#, r#"a="_overflow""#]);
    assert_eq!(family.iter().map(|series| series.cell.get()).collect::<Vec<_>>(), [2.0, 1.0, 2.0]);
    assert_eq!(family.dropped(), 2);
}

#[test]
fn a_label_that_is_called_like_the_overflow_is_that_series_before_and_after() {
    let names = ["a".to_owned()];
    for (names, label) in [(Some(&names[..]), "a"), (None, "overflow")] {
        for first in [true, false] {
            let family = Family::<Counter>::new("m", "", names, (), 2).unwrap();
            let use_it = |value: &str| {
                family.series(LabelSet::Partial(&[(label, value)])).unwrap().cell.increment(1.0).unwrap();
            };
            let order = if first { [OVERFLOW, "1", "2", "3"] } else { ["1", "2", "3", OVERFLOW] };
            order.into_iter().for_each(use_it);
            let overflow = format!("{label}=\"{OVERFLOW}\"");
            assert_eq!(rendered(&family).iter().filter(|labels| **labels == overflow).count(), 1);
            assert_eq!(family.iter().map(|series| series.cell.get()).sum::<f64>(), 4.0);
        }
    }
}

#[test]
fn eight_threads_that_create_the_same_series_create_each_once() {
    let family = family(Some(&["a"]), 1000);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for value in 0..200 {
                    let value = value.to_string();
                    let series = family.series(LabelSet::Values(&[&value])).unwrap();
                    series.cell.increment(1.0).unwrap();
                }
            });
        }
    });
    assert_eq!(family.iter().count(), 200);
    assert!(family.iter().all(|series| series.cell.get() == 8.0));
}
