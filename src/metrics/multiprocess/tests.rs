use std::fs::File;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::thread;

use super::files::{TOTALS, cells_in};
use super::*;
use crate::metrics::exposition::{Source, Value};
use crate::metrics::{Combine, DEFAULT_SERIES_LIMIT, Format, LabelSet};

/// A process of its own, as far as the directory can tell: it has a file and that file's lock.
fn process(directory: &Path) -> (Arc<Directory>, Registry) {
    let shared = Directory::open(directory).unwrap();
    let registry = Registry::on(DEFAULT_SERIES_LIMIT, Some(Arc::clone(&shared) as Arc<dyn Shelf>));
    (shared, registry)
}

fn count(registry: &Registry, name: &str, value: &str, amount: f64) {
    let family = registry.counter(name, "Hits.", Some(&["path".to_owned()])).unwrap();
    family.series(LabelSet::Values(&[value])).unwrap().cell.increment(amount).unwrap();
}

fn shown(registry: &Registry) -> String {
    String::from_utf8(Format::Text.encode(&registry.snapshot().unwrap(), false)).unwrap()
}

#[track_caller]
fn assert_shows(registry: &Registry, lines: &[&str]) {
    let text = shown(registry);
    for line in lines {
        assert!(text.lines().any(|shown| shown == *line), "{line} is not in\n{text}");
    }
}

fn files(directory: &Path) -> Vec<PathBuf> {
    cells_in(directory).unwrap().into_iter().map(|file| file.path).collect()
}

#[test]
fn the_living_and_the_dead_are_added_up_exactly_and_the_dead_leave_no_file() {
    let directory = tempfile::tempdir().unwrap();
    let (_shared, own) = process(directory.path());
    count(&own, "hits_total", "/a", 1.0);
    {
        let (_shared, dead) = process(directory.path());
        count(&dead, "hits_total", "/a", 10.0);
        count(&dead, "hits_total", "/b\"\n", 5.0);
    }
    let (_other, living) = process(directory.path());
    count(&living, "hits_total", "/a", 100.0);
    for _ in 0..3 {
        assert_shows(&own, &["hits_total{path=\"/a\"} 111", "hits_total{path=\"/b\\\"\\n\"} 5"]);
    }
    assert_shows(&living, &["hits_total{path=\"/a\"} 111", r#"hagane_multiprocess_files{state="live"} 2"#]);
    assert_eq!(files(directory.path()).len(), 2);
    // Many come and go: neither their counts nor their files pile up anywhere.
    for _ in 0..200 {
        let (_shared, brief) = process(directory.path());
        count(&brief, "hits_total", "/a", 1.0);
    }
    for _ in 0..5 {
        shown(&own);
    }
    assert_shows(&own, &["hits_total{path=\"/a\"} 311"]);
    assert_eq!(files(directory.path()).len(), 2);
}

#[test]
fn histograms_of_several_processes_are_one() {
    let directory = tempfile::tempdir().unwrap();
    let (_shared, own) = process(directory.path());
    let observe = |registry: &Registry, values: &[f64]| {
        let family = registry.histogram("seconds", "", Some(&[]), Some(&[1.0, 2.0])).unwrap();
        let series = family.series(LabelSet::Values(&[])).unwrap();
        values.iter().for_each(|value| series.cell.observe(*value).unwrap());
    };
    observe(&own, &[0.5]);
    {
        let (_shared, dead) = process(directory.path());
        observe(&dead, &[1.5, 9.0]);
    }
    for _ in 0..2 {
        assert_shows(
            &own,
            &[
                "seconds_bucket{le=\"1.0\"} 1",
                "seconds_bucket{le=\"2.0\"} 2",
                "seconds_bucket{le=\"+Inf\"} 3",
                "seconds_sum 11",
            ],
        );
    }
}

#[test]
fn gauges_combine_as_they_say() {
    let directory = tempfile::tempdir().unwrap();
    let (_shared, own) = process(directory.path());
    let set = |registry: &Registry, value: f64| {
        for (name, combine) in crate::metrics::COMBINATIONS {
            let family = registry.combined_gauge(&format!("g_{name}"), "", Some(&[]), Some(combine)).unwrap();
            family.series(LabelSet::Values(&[])).unwrap().cell.set(value);
        }
    };
    set(&own, 5.0);
    {
        let (_shared, dead) = process(directory.path());
        set(&dead, 2.0);
    }
    // The first scrape folds; the second reads what was folded.
    for _ in 0..2 {
        assert_shows(&own, &["g_livesum 5", "g_sum 7", "g_min 2", "g_max 5", "g_livemin 5", "g_livemax 5"]);
        assert_shows(&own, &["g_mostrecent 2", "g_livemostrecent 5"]);
    }
    let (_other, living) = process(directory.path());
    living.combined_gauge("g_min", "", Some(&[]), Some(Combine::Min)).unwrap();
    // One that nobody has set yet is no least value.
    assert_shows(&own, &["g_min 2"]);
}

#[test]
fn eight_threads_lose_nothing_while_others_read_and_fold() {
    let directory = tempfile::tempdir().unwrap();
    let (_shared, own) = process(directory.path());
    thread::scope(|scope| {
        for worker in 0..8 {
            let path = directory.path();
            scope.spawn(move || {
                for _ in 0..5 {
                    let (_shared, registry) = process(path);
                    for step in 0..200 {
                        count(&registry, "hits_total", &format!("/{worker}/{}", step % 7), 1.0);
                    }
                }
            });
        }
        for _ in 0..2 {
            scope.spawn(|| {
                let mut last = 0.0;
                for _ in 0..50 {
                    let total = total(&own);
                    assert!(total >= last, "a total went from {last} to {total}");
                    last = total;
                }
            });
        }
    });
    assert_eq!(total(&own), 8000.0);
}

fn total(registry: &Registry) -> f64 {
    let families = registry.snapshot().unwrap();
    let hits = families.iter().filter(|family| family.name == "hits_total").flat_map(|family| &family.series);
    hits.map(|series| if let Value::Number(value, _) = series.value { value } else { 0.0 }).sum()
}

fn file_of_a_dead_process(directory: &Path) -> PathBuf {
    let (shared, dead) = process(directory);
    count(&dead, "hits_total", "/", 7.0);
    let path = directory.join(shared.own.name().unwrap());
    drop((shared, dead));
    path
}

#[test]
fn a_file_that_is_foreign_newer_truncated_or_damaged_counts_nowhere_and_stays() {
    type Spoil = fn(&mut Vec<u8>);
    let ways: [Spoil; 6] = [
        |bytes| bytes[..8].copy_from_slice(b"whatever"),
        |bytes| bytes[8] = 2,
        |bytes| bytes.truncate(100),
        |bytes| bytes[16..24].copy_from_slice(&u64::MAX.to_ne_bytes()),
        |bytes| bytes[64] = 0xFF,
        |bytes| bytes[68] = 9,
    ];
    for (number, spoil) in ways.into_iter().enumerate() {
        let directory = tempfile::tempdir().unwrap();
        let path = file_of_a_dead_process(directory.path());
        let mut bytes = fs::read(&path).unwrap();
        spoil(&mut bytes);
        fs::write(&path, &bytes).unwrap();
        let (_shared, own) = process(directory.path());
        count(&own, "hits_total", "/", 1.0);
        for _ in 0..2 {
            assert_shows(&own, &["hits_total{path=\"/\"} 1", r#"hagane_multiprocess_files{state="unreadable"} 1"#]);
        }
        assert_eq!(fs::read(&path).unwrap(), bytes, "way {number}");
    }
}

#[test]
fn a_link_a_pipe_and_an_endless_file_are_not_read() {
    let directory = tempfile::tempdir().unwrap();
    let (_shared, own) = process(directory.path());
    count(&own, "hits_total", "/", 1.0);
    std::os::unix::fs::symlink("/dev/zero", directory.path().join("1-1.cells")).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, directory.path().join("1-2.cells"), 0o600.into()).unwrap();
    File::create(directory.path().join("1-3.cells")).unwrap().set_len(1 << 40).unwrap();
    assert_shows(&own, &["hits_total{path=\"/\"} 1", r#"hagane_multiprocess_files{state="unreadable"} 2"#]);
}

#[test]
fn a_fold_that_was_killed_before_it_removed_what_it_counted_counts_nothing_twice() {
    let directory = tempfile::tempdir().unwrap();
    let path = file_of_a_dead_process(directory.path());
    let bytes = fs::read(&path).unwrap();
    let (_shared, own) = process(directory.path());
    count(&own, "hits_total", "/", 1.0);
    assert_shows(&own, &["hits_total{path=\"/\"} 8"]);
    assert!(!path.exists());
    fs::write(&path, bytes).unwrap();
    fs::write(directory.path().join(files::NEW_TOTALS), b"half of a fi").unwrap();
    for _ in 0..2 {
        file_of_a_dead_process(directory.path());
    }
    for _ in 0..3 {
        assert_shows(&own, &["hits_total{path=\"/\"} 22"]);
    }
    assert!(!path.exists());
}

#[test]
fn totals_name_no_file_that_is_gone() {
    let directory = tempfile::tempdir().unwrap();
    let (_shared, own) = process(directory.path());
    for _ in 0..5 {
        file_of_a_dead_process(directory.path());
        own.snapshot().unwrap();
    }
    let totals = totals::read(directory.path()).unwrap().unwrap();
    assert_eq!(totals::folded(totals.as_ref()).len(), 1);
}

#[test]
fn damaged_totals_are_left_alone_and_new_dead_are_still_read() {
    let directory = tempfile::tempdir().unwrap();
    let (_shared, own) = process(directory.path());
    fs::write(directory.path().join(TOTALS), b"hagane\0mwhatever").unwrap();
    file_of_a_dead_process(directory.path());
    for _ in 0..2 {
        assert_shows(&own, &["hits_total{path=\"/\"} 7", r#"hagane_multiprocess_files{state="unreadable"} 1"#]);
    }
    assert_eq!(fs::read(directory.path().join(TOTALS)).unwrap(), b"hagane\0mwhatever");
}

#[test]
fn crafted_totals_remove_no_file_of_anybody_else() {
    let outside = tempfile::tempdir().unwrap();
    let directory = outside.path().join("metrics");
    let (_shared, own) = process(&directory);
    let victim = outside.path().join("1-1.cells");
    for name in ["../1-1.cells", victim.to_str().unwrap(), "totals.lock", ".."] {
        fs::write(&victim, "precious").unwrap();
        let mut words = format::head(0, 1).to_vec();
        words.extend(format::folded(name));
        words[format::USED] = words.len() as u64;
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
        fs::write(directory.join(TOTALS), bytes).unwrap();
        file_of_a_dead_process(&directory);
        count(&own, "hits_total", "/", 1.0);
        own.snapshot().unwrap();
        assert_eq!(fs::read(&victim).unwrap(), b"precious", "{name}");
    }
}

#[test]
fn a_directory_that_others_may_write_to_is_refused() {
    for mode in [0o720, 0o702, 0o1777] {
        let directory = tempfile::tempdir().unwrap();
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(mode)).unwrap();
        let refused = Directory::open(directory.path()).err().unwrap();
        assert!(refused.to_string().contains("may write there; take that right away (chmod go-w)"), "{refused}");
        assert_eq!(files(directory.path()), Vec::<PathBuf>::new());
    }
}

#[test]
fn a_directory_that_is_gone_emptied_or_made_anew_makes_no_total() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("metrics");
    let (_shared, own) = process(&path);
    count(&own, "hits_total", "/", 1.0);
    let unreadable = |own: &Registry| match own.snapshot() {
        Err(MetricError::Unreadable { source, .. }) => source.kind(),
        other => panic!("{other:?}"),
    };
    fs::remove_dir_all(&path).unwrap();
    assert_eq!(unreadable(&own), io::ErrorKind::NotFound);
    let (_shared, other) = process(&path);
    assert_eq!(unreadable(&own), io::ErrorKind::NotFound);
    assert!(other.snapshot().is_ok());
    fs::remove_file(&files(&path)[0]).unwrap();
    assert_eq!(unreadable(&other), io::ErrorKind::NotFound);
}

#[test]
fn a_directory_that_is_none_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "").unwrap();
    let Err(error) = Directory::open(&file) else { panic!("a file is no directory") };
    assert!(matches!(error, MetricError::Directory { .. }));
    assert!(error.to_string().contains("file: "), "{error}");
}

#[test]
fn a_file_that_can_grow_no_more_leaves_its_process_with_its_own_memory() {
    let directory = tempfile::tempdir().unwrap();
    let (_shared, own) = process(directory.path());
    let family = own.counter("big_total", "", Some(&["path".to_owned()])).unwrap();
    // The longest labels there may be, until the file is as long as it may be; and then some.
    let long = "x".repeat(format::MOST_TEXT - 20);
    let most = format::MOST_WORDS * 8 / format::MOST_TEXT + 2;
    for number in 0..most {
        family.series(LabelSet::Values(&[&format!("{number:06}{long}")])).unwrap().cell.increment(1.0).unwrap();
    }
    let families = own.snapshot().unwrap();
    let big = families.iter().find(|family| family.name == "big_total").unwrap();
    assert_eq!(big.series.len(), most);
    assert!(fs::metadata(&files(directory.path())[0]).unwrap().len() <= (format::MOST_WORDS * 8) as u64);
}

mod contradictions;
mod label_sets;
mod limits;
mod memory;
