//! The same expectations of every store, then what only a file can show.

use std::path::Path;

use super::*;
use crate::rollback::Value;
use crate::rollback::snapshot::Packer;

fn open(path: &Path) -> Result<SqliteStore, StoreError> {
    SqliteStore::open(path, Retention::default())
}

fn stores(folder: &Path) -> Vec<Box<dyn Store>> {
    vec![Box::new(MemoryStore::default()), Box::new(open(&folder.join("runs.db")).unwrap())]
}

fn each_store(check: impl Fn(&dyn Store)) {
    let folder = tempfile::tempdir().unwrap();
    stores(folder.path()).iter().for_each(|store| check(store.as_ref()));
}

fn blob(text: &str) -> Blob {
    Blob::encode(&Value::Str(text.into())).unwrap()
}

fn stored(blob: &Blob) -> Vec<u8> {
    Packer::new().pack(&blob.whole().unwrap())
}

fn new_run(run_id: &str) -> NewRun {
    let [thread_id, pipeline, version] = ["t", "p", "v"].map(String::from);
    NewRun { thread_id, run_id: run_id.into(), pipeline, version, at: 1 }
}

fn begin(store: &dyn Store, run_id: &str) -> Result<i64, StoreError> {
    let first = Commit { run_id: run_id.into(), ..commit(0, 1, None) };
    store.begin(&new_run(run_id), first, None).map(|(epoch, _)| epoch)
}

fn commit(epoch: i64, seq: i64, state: Option<&[(&str, &str)]>) -> Commit {
    let state = state.map(|state| state.iter().map(|(key, text)| ((*key).to_owned(), blob(text))).collect());
    let event = Event { seq, kind: "gate".into(), at: 5, body: blob("body") };
    let [thread_id, run_id, label] = ["t", "r", "before b"].map(String::from);
    Commit {
        thread_id,
        run_id,
        epoch,
        status: Status::Running,
        at: 5,
        events: vec![event],
        state,
        label,
        supersede_after: None,
    }
}

#[test]
fn a_committed_state_is_the_head_and_comes_back() {
    each_store(|store| {
        let epoch = begin(store, "r").unwrap();
        store.commit(&commit(epoch, 2, Some(&[("inputs", "x"), ("a", "y")]))).unwrap();
        let head = store.head("t").unwrap();
        let state = store.load(head.checkpoint.unwrap()).unwrap();
        let texts: Vec<_> = state.iter().map(|(key, blob)| (key.as_str(), blob.value().unwrap())).collect();
        assert_eq!(texts, [("inputs", Value::Str("x".into())), ("a", Value::Str("y".into()))]);
        assert_eq!((head.last_seq, head.epoch, head.run.status), (2, epoch, Status::Running));
        assert_eq!(store.events("r").unwrap()[0].kind, "gate");
    });
}

#[test]
fn equal_content_is_stored_once() {
    each_store(|store| {
        let epoch = begin(store, "r").unwrap();
        let first = store.commit(&commit(epoch, 2, Some(&[("a", "x")]))).unwrap();
        let second = store.commit(&commit(epoch, 3, Some(&[("a", "x"), ("b", "x")]))).unwrap();
        assert!(first.bytes > 0);
        assert_eq!(second.bytes, 0);
    });
}

#[test]
fn a_stale_writer_writes_nothing() {
    each_store(|store| {
        let stale = begin(store, "r").unwrap();
        let adopted = store.adopt("t", None).unwrap();
        let error = store.commit(&commit(stale, 2, Some(&[("a", "stale")]))).unwrap_err();
        assert!(matches!(error, StoreError::LeaseLost(_)), "{error}");
        assert_eq!(store.events("r").unwrap().len(), 1);
        assert_eq!(store.head("t").unwrap().checkpoint, None);
        store.commit(&commit(adopted.epoch, 2, None)).unwrap();
    });
}

#[test]
fn a_new_run_on_a_thread_supersedes_the_old_one() {
    each_store(|store| {
        let old = begin(store, "r").unwrap();
        begin(store, "second").unwrap();
        assert!(matches!(store.commit(&commit(old, 2, None)), Err(StoreError::LeaseLost(_))));
        let names: Vec<_> = store.runs(10).unwrap().into_iter().map(|run| run.run_id).collect();
        assert_eq!(names, ["second", "r"]);
        assert_eq!(store.runs(1).unwrap().len(), 1);
    });
}

#[test]
fn what_is_not_there_is_named() {
    each_store(|store| {
        let errors = [
            store.head("nobody").unwrap_err(),
            store.adopt("nobody", None).unwrap_err(),
            store.events("nothing").unwrap_err(),
            store.load(99).unwrap_err(),
        ];
        for error in errors {
            assert!(matches!(error, StoreError::Unknown { .. }), "{error}");
        }
    });
}

#[test]
fn a_run_id_is_used_once() {
    each_store(|store| {
        begin(store, "r").unwrap();
        assert!(matches!(begin(store, "r"), Err(StoreError::Unusable { .. })));
    });
}

#[test]
fn a_run_begins_with_its_first_checkpoint_or_not_at_all() {
    each_store(|store| {
        let (epoch, receipt) = store.begin(&new_run("r"), commit(0, 1, Some(&[("inputs", "x")])), None).unwrap();
        let head = store.head("t").unwrap();
        assert_eq!((head.epoch, head.checkpoint), (epoch, receipt.checkpoint));
        assert!(head.checkpoint.is_some());
    });
}

#[test]
fn a_failed_commit_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder.path().join("runs.db")).unwrap();
    let epoch = begin(&store, "r").unwrap();
    store.commit(&commit(epoch, 2, Some(&[("a", "x")]))).unwrap();
    let before = store.head("t").unwrap();
    // The same sequence number twice breaks the transaction after the status was set.
    let again = Commit { status: Status::Success, ..commit(epoch, 2, Some(&[("a", "y")])) };
    assert!(store.commit(&again).is_err());
    assert_eq!(store.head("t").unwrap(), before);
}

#[test]
fn a_file_that_is_no_database_is_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("runs.db");
    let garbage = b"these are my holiday notes, not a database. ".repeat(100);
    std::fs::write(&path, &garbage).unwrap();
    assert!(matches!(open(&path), Err(StoreError::Corrupt { .. })));
    assert_eq!(std::fs::read(&path).unwrap(), garbage);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_newer_format_is_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("runs.db");
    drop(open(&path).unwrap());
    let raw = rusqlite::Connection::open(&path).unwrap();
    raw.execute("UPDATE hagane_meta SET value = 99", []).unwrap();
    drop(raw);
    let before = std::fs::read(&path).unwrap();
    assert!(matches!(open(&path), Err(StoreError::Newer { found: 99, .. })));
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[test]
fn another_programs_file_is_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notes.db");
    rusqlite::Connection::open(&path).unwrap().execute("CREATE TABLE notes(x)", []).unwrap();
    let error = open(&path).err().unwrap();
    assert!(error.to_string().contains("another program"), "{error}");
}

#[test]
fn a_forged_blob_is_damage() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("runs.db");
    let store = open(&path).unwrap();
    let epoch = begin(&store, "r").unwrap();
    let receipt = store.commit(&commit(epoch, 2, Some(&[("a", "x")]))).unwrap();
    let raw = rusqlite::Connection::open(&path).unwrap();
    raw.execute("UPDATE blobs SET stored = ?1", [stored(&blob("forged"))]).unwrap();
    let state = store.load(receipt.checkpoint.unwrap()).unwrap();
    assert!(state[0].1.value().is_err());
    raw.execute("DELETE FROM blobs", []).unwrap();
    assert!(matches!(store.load(receipt.checkpoint.unwrap()), Err(StoreError::Corrupt { .. })));
    raw.execute("UPDATE runs SET status = 'glorious'", []).unwrap();
    assert!(matches!(store.head("t"), Err(StoreError::Corrupt { .. })));
}

#[test]
fn a_folder_that_does_not_exist_comes_with_a_remedy() {
    let error = open(Path::new("/nonexistent/folder/runs.db")).err().unwrap();
    assert!(error.to_string().contains("create its folder"), "{error}");
}

#[test]
fn a_closed_store_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder.path().join("runs.db")).unwrap();
    store.close();
    store.close();
    assert!(store.runs(1).unwrap_err().to_string().contains("closed"));
}
