//! The index of source files.

use std::fs::{self, File, FileTimes, Metadata};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime};

use gofarm_store::{FileIndex, FileRecord};
use tempfile::TempDir;

use crate::child::{Process, plays, say};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A moment at which every file written so far has settled.
fn later() -> SystemTime {
    SystemTime::now() + Duration::from_secs(10)
}

fn load(folder: &Path) -> FileIndex {
    FileIndex::load(&folder.join("file-index"), SystemTime::now()).unwrap()
}

fn write(folder: &TempDir, name: &str, content: &[u8]) -> (PathBuf, Metadata) {
    let path = folder.path().join(name);
    fs::write(&path, content).unwrap();
    let metadata = fs::metadata(&path).unwrap();
    (path, metadata)
}

#[test]
fn a_file_that_did_not_change_is_known_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let (path, metadata) = write(&folder, "x.go", b"package x\n");
    let record = FileRecord::of(b"package x\n", [9; 32]);
    let index = load(folder.path());
    assert_eq!(index.lookup(&path, &metadata), None);
    assert!(index.insert(&path, &metadata, later(), &record));
    assert_eq!(index.lookup(&path, &metadata), Some(record));
    index.save().unwrap();
    let index = load(folder.path());
    assert_eq!(index.len(), 1);
    assert_eq!(index.lookup(&path, &metadata), Some(record));
    let elsewhere = folder.path().join("y.go");
    assert_eq!(index.lookup(&elsewhere, &metadata), None);
}

/// Each change that a file can undergo without its size telling it.
#[test]
fn a_file_that_changed_is_not_known() {
    type Change = fn(&Path);
    let changes: [(&str, Change); 4] = [
        ("written in place", |p| {
            fs::write(p, b"package y\n").unwrap()
        }),
        ("written, with its old time put back", |p| {
            let modified = fs::metadata(p).unwrap().modified().unwrap();
            fs::write(p, b"package y\n").unwrap();
            let times = FileTimes::new().set_modified(modified);
            File::options()
                .write(true)
                .open(p)
                .unwrap()
                .set_times(times)
                .unwrap();
        }),
        ("replaced", |p| {
            let new = p.with_extension("new");
            fs::write(&new, b"package y\n").unwrap();
            fs::rename(new, p).unwrap();
        }),
        ("longer", |p| fs::write(p, b"package xyz\n").unwrap()),
    ];
    for (name, change) in changes {
        let folder = tempfile::tempdir().unwrap();
        let (path, metadata) = write(&folder, "x.go", b"package x\n");
        let index = load(folder.path());
        let record = FileRecord::of(b"package x\n", [0; 32]);
        index.insert(&path, &metadata, later(), &record);
        // The clock of the filesystem moves in steps of up to 10 ms.
        sleep(Duration::from_millis(20));
        change(&path);
        let now = fs::metadata(&path).unwrap();
        assert_eq!(index.lookup(&path, &now), None, "{name}");
    }
}

/// A file hashed right after it was written may change once more within the same tick of the clock.
#[test]
fn a_file_hashed_right_after_a_change_is_hashed_again() {
    let folder = tempfile::tempdir().unwrap();
    let (path, metadata) = write(&folder, "x.go", b"package x\n");
    let record = FileRecord::of(b"package x\n", [0; 32]);
    let index = load(folder.path());
    assert!(!index.insert(&path, &metadata, SystemTime::now(), &record));
    assert_eq!(index.lookup(&path, &metadata), None);
    // Also when it was known before.
    assert!(index.insert(&path, &metadata, later(), &record));
    assert!(!index.insert(&path, &metadata, SystemTime::now(), &record));
    assert_eq!(index.lookup(&path, &metadata), None);
    // Also when its time lies in the future.
    let future = SystemTime::now() + DAY;
    let file = File::options().write(true).open(&path).unwrap();
    file.set_times(FileTimes::new().set_modified(future))
        .unwrap();
    let metadata = fs::metadata(&path).unwrap();
    assert!(!index.insert(&path, &metadata, later(), &record));
}

#[test]
fn a_record_of_other_content_than_the_file_has_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (path, metadata) = write(&folder, "x.go", b"package x\n");
    let record = FileRecord::of(b"package longer\n", [0; 32]);
    assert!(!load(folder.path()).insert(&path, &metadata, later(), &record));
}

#[test]
fn a_damaged_index_is_discarded_counted_and_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let (path, metadata) = write(&folder, "x.go", b"package x\n");
    let record = FileRecord::of(b"package x\n", [0; 32]);
    let index = load(folder.path());
    index.insert(&path, &metadata, later(), &record);
    index.save().unwrap();
    let file = folder.path().join("file-index");
    let whole = fs::read(&file).unwrap();
    let mut flipped = whole.clone();
    flipped[50] ^= 4;
    for damaged in [
        &whole[..0],
        &whole[..20],
        &whole[..whole.len() - 1],
        &flipped,
    ] {
        fs::write(&file, damaged).unwrap();
        let index = load(folder.path());
        assert_eq!((index.len(), index.discarded()), (0, 1));
        index.insert(&path, &metadata, later(), &record);
        index.save().unwrap();
        let index = load(folder.path());
        assert_eq!((index.len(), index.discarded()), (1, 0));
    }
}

#[test]
fn saving_merges_what_others_have_saved() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (load(folder.path()), load(folder.path()));
    let record = FileRecord::of(b"p", [0; 32]);
    let changed = FileRecord::of(b"p", [1; 32]);
    let files: Vec<_> = ["a", "b", "c"].map(|n| write(&folder, n, b"p")).into();
    one.insert(&files[0].0, &files[0].1, later(), &record);
    one.insert(&files[1].0, &files[1].1, later(), &record);
    one.save().unwrap();
    two.insert(&files[1].0, &files[1].1, later(), &changed);
    two.insert(&files[2].0, &files[2].1, later(), &changed);
    two.save().unwrap();
    for index in [&two, &load(folder.path())] {
        let found = files.iter().map(|(p, m)| index.lookup(p, m).unwrap());
        assert_eq!(found.collect::<Vec<_>>(), [record, changed, changed]);
    }
    // The first sees it at its next save.
    one.insert(&files[0].0, &files[0].1, later(), &record);
    one.save().unwrap();
    assert_eq!(one.lookup(&files[2].0, &files[2].1), Some(changed));
}

#[test]
fn nothing_learned_is_nothing_written() {
    let folder = tempfile::tempdir().unwrap();
    let (path, metadata) = write(&folder, "x.go", b"p");
    load(folder.path()).save().unwrap();
    let file = folder.path().join("file-index");
    assert!(!file.exists());
    let index = load(folder.path());
    index.insert(&path, &metadata, later(), &FileRecord::of(b"p", [0; 32]));
    index.save().unwrap();
    let index = load(folder.path());
    index.lookup(&path, &metadata).unwrap();
    fs::remove_file(&file).unwrap();
    index.save().unwrap();
    assert!(
        !file.exists(),
        "a lookup on the same day is nothing to save"
    );
}

#[test]
fn files_not_asked_for_are_forgotten_and_others_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file-index");
    let record = FileRecord::of(b"p", [0; 32]);
    let files: Vec<_> = ["a", "b"].map(|n| write(&folder, n, b"p")).into();
    let index = load(folder.path());
    for (path, metadata) in &files {
        index.insert(path, metadata, later(), &record);
    }
    index.save().unwrap();
    for day in [40, 80] {
        let index = FileIndex::load(&file, SystemTime::now() + day * DAY).unwrap();
        index.lookup(&files[0].0, &files[0].1).unwrap();
        index.save().unwrap();
    }
    let index = load(folder.path());
    assert!(index.lookup(&files[0].0, &files[0].1).is_some());
    assert!(index.lookup(&files[1].0, &files[1].1).is_none());
}

/// Read or killed at any moment while it saves: the file is the old one or the new one.
#[test]
fn a_process_that_saves_or_is_killed_at_it_leaves_a_whole_index() {
    if let Some(folder) = plays("saver") {
        let index = load(&folder);
        let path = folder.join("x.go");
        let metadata = fs::metadata(&path).unwrap();
        say("ready");
        for n in 0u64.. {
            let mut header = [0; 32];
            header[..8].copy_from_slice(&n.to_le_bytes());
            for copy in 0..200 {
                let name = path.with_extension(copy.to_string());
                index.insert(&name, &metadata, later(), &FileRecord::of(b"p", header));
            }
            index.save().unwrap();
        }
    }
    let folder = tempfile::tempdir().unwrap();
    write(&folder, "x.go", b"p");
    let name = "file_index::a_process_that_saves_or_is_killed_at_it_leaves_a_whole_index";
    for round in 0..5 {
        let mut saver = Process::start(name, "saver", folder.path());
        saver.wait_for("ready");
        let end = Instant::now() + Duration::from_millis(30 + 7 * round);
        while Instant::now() < end {
            assert_eq!(load(folder.path()).discarded(), 0, "while it saves");
        }
        saver.kill();
        let index = load(folder.path());
        assert_eq!((index.len(), index.discarded()), (200, 0), "round {round}");
    }
}

#[test]
fn processes_that_save_at_once_lose_nothing() {
    if let Some(folder) = plays("saver") {
        let index = load(&folder);
        let metadata = fs::metadata(folder.join("x.go")).unwrap();
        for n in 0..40 {
            let path = folder.join(format!("{}-{n}", std::process::id()));
            index.insert(&path, &metadata, later(), &FileRecord::of(b"p", [0; 32]));
            index.save().unwrap();
        }
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    write(&folder, "x.go", b"p");
    let name = "file_index::processes_that_save_at_once_lose_nothing";
    let savers: Vec<_> = (0..3)
        .map(|_| Process::start(name, "saver", folder.path()))
        .collect();
    savers.into_iter().for_each(Process::succeeds);
    assert_eq!(load(folder.path()).len(), 120);
}
