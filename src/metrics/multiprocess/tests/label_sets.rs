//! One label set is one series, in whatever order and with whatever empty labels the processes have it.

use super::*;

/// Label names and values, and how much is counted there.
type Counted<'a> = (&'a [&'a str], &'a [&'a str], f64);

fn count_with(registry: &Registry, (names, values, amount): Counted<'_>) {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let family = registry.counter("x_total", "", Some(&names)).unwrap();
    family.series(LabelSet::Values(values)).unwrap().cell.increment(amount).unwrap();
}

fn lines(registry: &Registry) -> Vec<String> {
    let text = shown(registry);
    text.lines().filter(|line| line.starts_with("x_total")).map(str::to_owned).collect()
}

#[test]
fn label_sets_are_one_series_in_any_order_and_with_any_empty_labels() {
    let cases: [(Counted<'_>, Counted<'_>, &str); 4] = [
        ((&["a", "b"], &["1", "2"], 3.0), (&["b", "a"], &["2", "1"], 5.0), r#"x_total{a="1",b="2"} 8"#),
        ((&["a"], &["1"], 3.0), (&["a", "b"], &["1", ""], 5.0), r#"x_total{a="1"} 8"#),
        ((&["b", "a"], &["", "1"], 3.0), (&["c", "a"], &["", "1"], 5.0), r#"x_total{a="1"} 8"#),
        ((&[], &[], 3.0), (&["a"], &[""], 5.0), "x_total 8"),
    ];
    for (one, other, line) in cases {
        let directory = tempfile::tempdir().unwrap();
        let (_shared, own) = process(directory.path());
        count_with(&own, one);
        {
            let (_shared, dead) = process(directory.path());
            count_with(&dead, other);
        }
        // From its file, and then from the totals.
        for _ in 0..2 {
            assert_eq!(lines(&own), [line]);
        }
        assert_eq!(lines(&process(directory.path()).1), [line]);
    }
}

#[test]
fn files_of_a_program_of_before_with_labels_in_its_own_order_are_counted_in() {
    let directory = tempfile::tempdir().unwrap();
    let (_shared, own) = process(directory.path());
    count_with(&own, (&["a", "b"], &["1", "2"], 1.0));
    for (number, labels) in [r#"b="2",a="1""#, r#"c="",b="2",a="1""#].into_iter().enumerate() {
        let shared = Directory::open(directory.path()).unwrap();
        let layout = <crate::metrics::Counter as crate::metrics::Cell>::layout(&());
        let family = shared.family("x_total", "", number == 0, layout).unwrap();
        shared.series(family, labels, 1).unwrap()[0].store(10_f64.to_bits(), Ordering::Relaxed);
    }
    for _ in 0..2 {
        assert_eq!(lines(&own), [r#"x_total{a="1",b="2"} 21"#]);
    }
}

#[test]
fn a_description_comes_from_whoever_has_one() {
    let directory = tempfile::tempdir().unwrap();
    let (_shared, own) = process(directory.path());
    own.counter("x_total", "", None).unwrap();
    own.counter("x_total", "", None).unwrap().series(LabelSet::Partial(&[])).unwrap();
    let (_other, other) = process(directory.path());
    other.counter("x_total", "What x is.", None).unwrap().series(LabelSet::Partial(&[])).unwrap();
    assert_shows(&own, &["# HELP x_total What x is."]);
}
