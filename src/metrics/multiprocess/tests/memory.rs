//! That counting takes no memory, however long it goes on.

use std::process::{Command, id};

use super::*;

#[test]
fn ten_million_observations_take_no_memory() {
    // In a process of its own: what other tests take at the same time is not to be seen.
    let alone = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "metrics::multiprocess::tests::memory::ten_million_observations_alone", "--ignored"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&alone.stdout).into_owned();
    assert!(alone.status.success() && said.contains("1 passed"), "{said}");
}

#[test]
#[ignore = "run by the test above, in a process of its own"]
fn ten_million_observations_alone() {
    let directory = tempfile::tempdir().unwrap();
    let (_shared, shared) = process(directory.path());
    let alone = Registry::default();
    for registry in [&shared, &alone] {
        let family = registry.histogram("seconds", "", Some(&[]), None).unwrap();
        let series = family.series(LabelSet::Values(&[])).unwrap();
        let observe =
            |from: u32, to: u32| (from..to).for_each(|step| series.cell.observe(f64::from(step % 100)).unwrap());
        observe(0, 10_000);
        let before = resident();
        observe(10_000, 10_000_000);
        assert!(resident() < before + (4 << 20), "{before} -> {}", resident());
        assert_eq!(series.cell.snapshot().count(), 10_000_000);
    }
}

/// Bytes of memory that this process really uses.
fn resident() -> usize {
    let pages = fs::read_to_string(format!("/proc/{}/statm", id())).unwrap();
    pages.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}
