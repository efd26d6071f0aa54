//! Programs that changed, sums that leave the range of numbers, and single series that cannot be: each costs itself at
//! most, and nothing piles up.

use proptest::prelude::*;

use super::super::format::FamilyRecord;
use super::super::merge::{Merged, Owner};
use super::super::read::Content;
use super::super::totals::words_of;
use super::*;
use crate::metrics::cells::Kind;

fn observe(registry: &Registry, bounds: &[f64], values: &[f64]) {
    let family = registry.histogram("seconds", "", Some(&[]), Some(bounds)).unwrap();
    let series = family.series(LabelSet::Values(&[])).unwrap();
    values.iter().for_each(|value| series.cell.observe(*value).unwrap());
}

fn left_out(what: &str, count: usize) -> String {
    format!("hagane_multiprocess_left_out{{what=\"{what}\"}} {count}")
}

#[test]
fn totals_of_several_processes_stop_at_the_greatest_number_and_are_read_again() {
    let directory = tempfile::tempdir().unwrap();
    let (_shared, own) = process(directory.path());
    for _ in 0..4 {
        let (_shared, dead) = process(directory.path());
        count(&dead, "hits_total", "/", 1e308);
        count(&dead, "other_total", "/", 1.0);
        observe(&dead, &[1.0], &[1e308, 1e308]);
    }
    for _ in 0..2 {
        let other = process(directory.path());
        observe(&other.1, &[1.0], &[-1e308, -1e308]);
        drop(other);
        let text = shown(&own);
        assert!(text.contains("hits_total{path=\"/\"} 1.7976931348623157e308\n"), "{text}");
        assert!(text.contains("other_total{path=\"/\"} 4\n"), "{text}");
        assert!(!text.contains("NaN") && !text.contains("Inf "), "{text}");
        assert_eq!(files(directory.path()).len(), 1);
    }
}

#[test]
fn buckets_that_changed_keep_every_count_and_sum_and_what_bounds_they_share() {
    let directory = tempfile::tempdir().unwrap();
    for _ in 0..2 {
        let (_shared, before) = process(directory.path());
        observe(&before, &[1.0, 2.0, 10.0], &[0.5, 1.5, 9.0, 99.0]);
    }
    shown(&process(directory.path()).1);
    // Died later than the next program began, as in a rolling update.
    let slow = process(directory.path());
    observe(&slow.1, &[1.0, 2.0, 10.0], &[0.5]);
    {
        let (_shared, after) = process(directory.path());
        observe(&after, &[1.0, 5.0, 10.0], &[4.0]);
    }
    let expected = [
        "seconds_bucket{le=\"1.0\"} 3",
        "seconds_bucket{le=\"5.0\"} 6",
        "seconds_bucket{le=\"10.0\"} 8",
        "seconds_bucket{le=\"+Inf\"} 10",
        "seconds_sum 224.5",
        &left_out("families", 0),
    ];
    assert_shows(&process(directory.path()).1, &expected);
    drop(slow);
    // The next has no such histogram itself: the bounds are those of the youngest that had.
    for _ in 0..3 {
        let (_shared, own) = process(directory.path());
        assert_shows(&own, &expected);
        shown(&own);
        assert_eq!(files(directory.path()).len(), 1);
    }
}

#[test]
fn a_metric_that_became_another_costs_itself_and_the_rest_of_its_file_is_folded() {
    let directory = tempfile::tempdir().unwrap();
    {
        let (_shared, before) = process(directory.path());
        before.histogram("t", "", Some(&[]), Some(&[1.0])).unwrap();
        before.combined_gauge("depth", "", Some(&[]), Some(Combine::Max)).unwrap();
        count(&before, "hits_total", "/", 2.0);
    }
    let after = process(directory.path());
    after.1.counter("t_sum", "", Some(&[])).unwrap();
    after.1.combined_gauge("depth", "", Some(&[]), Some(Combine::Sum)).unwrap();
    count(&after.1, "hits_total", "/", 1.0);
    let expected = ["hits_total{path=\"/\"} 3", "t_sum 0", "depth 0", &left_out("families", 2), &left_out("series", 0)];
    assert_shows(&after.1, &expected);
    assert_shows(&after.1, &expected);
    assert_eq!(files(directory.path()).len(), 1);
    drop(after);
    for _ in 0..3 {
        let (_shared, own) = process(directory.path());
        assert_shows(&own, &expected);
        assert_eq!(shown(&own).matches("\nt_").count(), 1);
        assert_eq!(files(directory.path()).len(), 1);
    }
}

#[test]
fn a_name_that_no_metric_may_have_is_left_out_of_a_file() {
    let mut merged = Merged::new();
    let layout = Layout { kind: Kind::Counter, combine: Combine::default(), bounds: &[] };
    let mut words = format::head(0, 1).to_vec();
    for name in ["process_open_fds", "hagane_multiprocess_files", "hits_total"] {
        let number = u32::try_from(words.len()).unwrap();
        words.extend(format::family(&FamilyRecord { name, help: "", open: false, closed: false, layout }).unwrap());
        words.extend(format::series(number, "", &[1_f64.to_bits()]).unwrap());
    }
    words[format::USED] = words.len() as u64;
    merged.add_file(&content(&words), Owner::Living).unwrap();
    assert_eq!(merged.families.iter().map(|family| family.name.as_str()).collect::<Vec<_>>(), ["hits_total"]);
}

#[test]
fn a_series_that_cannot_be_costs_only_itself() {
    let directory = tempfile::tempdir().unwrap();
    let path = file_of_a_dead_process(directory.path());
    let mut bytes = fs::read(&path).unwrap();
    {
        let (shared, dead) = process(directory.path());
        count(&dead, "hits_total", "/", 7.0);
        count(&dead, "hits_total", "/good", 1.0);
        bytes = fs::read(directory.path().join(shared.own.name().unwrap())).unwrap_or(bytes);
    }
    let at = bytes.windows(8).position(|word| word == 7_f64.to_bits().to_ne_bytes()).unwrap();
    for (number, bad) in [f64::NAN, -1.0].into_iter().enumerate() {
        bytes[at..at + 8].copy_from_slice(&bad.to_bits().to_ne_bytes());
        fs::write(directory.path().join(format!("1-{number}.cells")), &bytes).unwrap();
    }
    let (_shared, own) = process(directory.path());
    // From the files, and then from the totals.
    for _ in 0..2 {
        let expected = ["hits_total{path=\"/\"} 14", "hits_total{path=\"/good\"} 3", &left_out("series", 2)];
        assert_shows(&own, &expected);
    }
    assert_eq!(files(directory.path()).len(), 1);
}

fn content(words: &[u64]) -> Content {
    Content::new(own::bytes_of(words)).unwrap().unwrap()
}

#[derive(Debug, Clone)]
struct Given {
    kind: Kind,
    combine: Combine,
    bounds: usize,
    labels: String,
    cells: Vec<u64>,
}

/// What the cells of this program can hold, whatever it did.
fn given() -> impl Strategy<Value = Given> {
    let total = prop_oneof![Just(f64::MAX), Just(0.0), 0.0..f64::MAX];
    let finite = prop_oneof![Just(f64::MAX), Just(f64::MIN), -1e300..1e300];
    let kind = prop_oneof![Just(Kind::Counter), Just(Kind::Gauge), Just(Kind::Histogram)];
    let gauge = any::<u64>().prop_map(f64::from_bits);
    let counts = proptest::collection::vec(any::<u64>(), 4);
    (kind, 0..8_usize, 1..4_usize, any::<String>(), (total, finite, gauge), any::<u64>(), counts).prop_map(
        |(kind, combine, bounds, value, (total, finite, gauge), stamp, counts)| {
            let cells = match kind {
                Kind::Counter => vec![total.to_bits()],
                Kind::Gauge => vec![gauge.to_bits(), stamp],
                Kind::Histogram => {
                    let extremes = [0, finite.to_bits() ^ f64::NEG_INFINITY.to_bits()];
                    [finite.to_bits()].into_iter().chain(extremes).chain(counts.into_iter().take(bounds + 1)).collect()
                }
            };
            let labels = crate::metrics::labels::render(&[("a", &value)]);
            let combine = crate::metrics::COMBINATIONS[combine].1;
            Given { kind, combine, bounds: if kind == Kind::Histogram { bounds } else { 0 }, labels, cells }
        },
    )
}

fn file(series: &[Given]) -> Vec<u64> {
    let mut words = format::head(0, 1).to_vec();
    for Given { kind, combine, bounds, labels, cells } in series {
        let bounds: Vec<f64> = (1..=*bounds).map(|bound| bound as f64 / (bounds + 1) as f64).collect();
        let layout = Layout { kind: *kind, combine: *combine, bounds: &bounds };
        let name = format!("{kind}_{}", combine.name());
        let number = u32::try_from(words.len()).unwrap();
        words.extend(
            format::family(&FamilyRecord { name: &name, help: "", open: false, closed: false, layout }).unwrap(),
        );
        words.extend(format::series(number, labels, cells).unwrap());
    }
    words[format::USED] = words.len() as u64;
    words
}

proptest! {
    #[test]
    fn whatever_is_merged_and_written_is_read_whole_and_given_back(
        files in proptest::collection::vec(proptest::collection::vec(given(), 1..5), 1..6),
        limit in 1..5_usize,
    ) {
        let mut merged = Merged::new();
        for series in &files {
            merged.add_file(&content(&file(series)), Owner::Living).unwrap();
        }
        merged.keep(limit);
        prop_assert!(merged.left_out().first.is_none(), "{:?}", merged.left_out());
        let words = words_of(&merged, &["1-1.cells"], 3).unwrap();
        let mut again = Merged::new();
        again.add_file(&content(&words), Owner::Totals).unwrap();
        prop_assert_eq!(again.keep(usize::MAX), None);
        prop_assert!(again.left_out().first.is_none(), "{:?}", again.left_out());
        let numbers = |merged: &Merged| -> Vec<(String, Vec<String>, Vec<u64>)> {
            let families = merged.families.iter();
            families.map(|family| (family.name.clone(), family.labels.clone(), family.words.clone())).collect()
        };
        prop_assert_eq!(merged.families.len(), again.families.len());
        for (ours, theirs) in numbers(&merged).into_iter().zip(numbers(&again)) {
            prop_assert_eq!((&ours.0, &ours.1), (&theirs.0, &theirs.1));
            prop_assert_eq!(ours.2.len(), theirs.2.len());
            for (one, other) in ours.2.iter().zip(&theirs.2) {
                let nan = |bits: &u64| f64::from_bits(*bits).is_nan();
                prop_assert!(one == other || f64::from_bits(*one) == f64::from_bits(*other) || (nan(one) && nan(other)));
            }
        }
    }
}
