//! Staying below the size bound.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use gofarm_proto::{ActionKey, Digest, v1};
use gofarm_store::{DiskStore, StoreError};

use crate::fixture::{Fixture, bounded, result, used_ago};

const HOUR: Duration = Duration::from_secs(3600);

/// Blobs of one block each, the first used longest ago, all of them hours ago.
fn old_blobs(fixture: &Fixture, count: u32) -> Vec<Digest> {
    let store = &fixture.store;
    let blobs: Vec<_> = (0..count)
        .map(|n| store.put_bytes(&n.to_le_bytes()).unwrap())
        .collect();
    for (n, blob) in (0..).zip(&blobs) {
        fixture.used_ago(blob, HOUR * (count + 1 - n));
    }
    blobs
}

fn held<'a>(fixture: &Fixture, blobs: impl IntoIterator<Item = &'a Digest>) -> Vec<bool> {
    let contains = |blob| fixture.store.contains(blob);
    blobs.into_iter().map(contains).collect()
}

#[test]
fn the_least_recently_used_go_first_and_only_as_many_as_must() {
    let fixture = Fixture::bounded(10);
    let blobs = old_blobs(&fixture, 12);
    // The oldest of all is used again.
    fixture.store.check(&blobs[0]).unwrap();
    let report = fixture.store.evict().unwrap();
    assert!(report.walked && !report.skipped);
    assert_eq!((report.blobs, report.actions), (3, 0));
    assert_eq!(
        (report.bytes_before, report.bytes_after),
        (12 * 4096, 9 * 4096)
    );
    assert_eq!(report.held_above_bound, 0);
    let expected: Vec<_> = (0..12).map(|n| n == 0 || n > 3).collect();
    assert_eq!(held(&fixture, &blobs), expected);
}

/// Every call that hands a blob out counts as use.
#[test]
fn reading_linking_storing_and_asking_keep_a_blob() {
    let fixture = Fixture::bounded(5);
    let blobs = old_blobs(&fixture, 20);
    fixture.store.read(&blobs[0]).unwrap();
    let dest = fixture.outside("dest");
    fixture.store.link(&blobs[1], &dest).unwrap();
    fixture.store.put_bytes(&2u32.to_le_bytes()).unwrap();
    fixture.store.missing(&blobs[3..4]).unwrap();
    assert!(fixture.store.contains(&blobs[4]), "looking is not using");
    fixture.store.evict().unwrap();
    assert_eq!(held(&fixture, &blobs[..5]), [true, true, true, true, false]);
}

#[test]
fn a_store_below_its_bound_is_not_walked_twice() {
    let fixture = Fixture::bounded(100);
    old_blobs(&fixture, 10);
    assert!(fixture.store.evict().unwrap().walked);
    fixture.store.put_bytes(b"one more").unwrap();
    let report = fixture.store.evict().unwrap();
    assert!(!report.walked);
    assert_eq!(report.bytes_before, 11 * 4096);
    // Another process continues from what this one has counted.
    let other = DiskStore::open(fixture.store.root(), bounded(100)).unwrap();
    let report = other.evict().unwrap();
    assert!(!report.walked);
    for n in 0..100u32 {
        other
            .put_bytes(&[n.to_le_bytes(), [1; 4]].concat())
            .unwrap();
    }
    let report = fixture.store.evict().unwrap();
    assert!(report.walked, "what another process adds is counted");
    assert_eq!(report.bytes_before, 111 * 4096);
}

#[test]
fn a_damaged_tally_is_counted_anew() {
    let fixture = Fixture::bounded(100);
    old_blobs(&fixture, 10);
    for text in ["", "x", "12", "99999999999999999999 1", "1 99999999999999"] {
        fs::write(fixture.store.root().join("tally"), text).unwrap();
        let report = fixture.store.evict().unwrap();
        assert!(report.walked, "{text:?}");
        assert_eq!(report.bytes_after, 10 * 4096, "{text:?}");
    }
}

#[test]
fn what_a_session_has_used_stays_and_the_report_says_so() {
    let fixture = Fixture::bounded(4);
    let blobs = old_blobs(&fixture, 12);
    let session = fixture.store.pin().unwrap();
    assert_eq!(fixture.store.missing(&blobs[..6]).unwrap(), []);
    let report = fixture.store.evict().unwrap();
    assert_eq!(report.blobs, 6);
    assert_eq!(report.held_above_bound, 2 * 4096);
    assert!(held(&fixture, &blobs[..6]).iter().all(|held| *held));
    drop(session);
    let report = fixture.store.evict().unwrap();
    assert_eq!(report.blobs, 3);
    assert_eq!(report.held_above_bound, 0);
}

/// Marking as used is coarse: what was used shortly before the session began is not marked again in it.
#[test]
fn what_was_used_just_before_a_session_stays_in_it() {
    let fixture = Fixture::bounded(1);
    let blob = fixture.store.put_bytes(b"just used").unwrap();
    fixture.used_ago(&blob, Duration::from_secs(50));
    old_blobs(&fixture, 3);
    let _session = fixture.store.pin().unwrap();
    fixture.store.check(&blob).unwrap();
    assert_eq!(fixture.store.evict().unwrap().blobs, 3);
    assert!(fixture.store.contains(&blob));
}

#[test]
fn action_results_age_like_blobs() {
    let fixture = Fixture::bounded(6);
    let keys: Vec<_> = (0..8).map(|n| ActionKey([n; 32])).collect();
    for key in &keys {
        fixture
            .store
            .record_action(key, &result(&[]), &v1::Provenance::default())
            .unwrap();
    }
    for path in fixture.files("actions") {
        used_ago(&path, 5 * HOUR);
    }
    fixture.store.action(&keys[3]).unwrap().unwrap();
    let report = fixture.store.evict().unwrap();
    assert_eq!((report.blobs, report.actions), (0, 3));
    assert!(fixture.store.action(&keys[3]).unwrap().is_some());
}

#[test]
fn an_evicted_blob_stays_whole_where_it_is_linked() {
    let fixture = Fixture::bounded(0);
    let blob = fixture.store.put_bytes(b"linked").unwrap();
    let dest = fixture.outside("dest");
    fixture.store.link(&blob, &dest).unwrap();
    fixture.used_ago(&blob, HOUR);
    fixture.store.evict().unwrap();
    let error = fixture.store.check(&blob).unwrap_err();
    assert!(matches!(error, StoreError::Missing { .. }));
    assert_eq!(fs::read(&dest).unwrap(), b"linked");
}

#[test]
fn one_evicts_and_the_others_skip() {
    let fixture = Fixture::bounded(1);
    old_blobs(&fixture, 3);
    let lock = fs::File::create(fixture.store.root().join("evict.lock")).unwrap();
    lock.lock().unwrap();
    let report = fixture.store.evict().unwrap();
    assert!(report.skipped);
    assert_eq!(fixture.store.usage().unwrap().blobs, 3);
    drop(lock);
    assert!(!fixture.store.evict().unwrap().skipped);
    assert_eq!(fixture.store.usage().unwrap().blobs, 0);
}

#[test]
fn the_quarantine_stays_small() {
    let fixture = Fixture::bounded(1);
    let quarantine = fixture.store.root().join("quarantine");
    for n in 0..130 {
        fs::write(quarantine.join(n.to_string()), b"damaged").unwrap();
    }
    fs::create_dir(quarantine.join("a folder")).unwrap();
    fixture.store.evict().unwrap();
    assert_eq!(fixture.store.usage().unwrap().quarantined, 100);
}

/// What a dead process left is removed, folders that nobody may write among it. The folder of a living process
/// stays, however old.
#[test]
fn only_folders_of_dead_processes_are_swept() {
    let fixture = Fixture::bounded(1);
    let dead = fixture.store.root().join("tmp/1-2-3");
    let deep = dead.join("scratch/exec/mod");
    fs::create_dir_all(&deep).unwrap();
    fs::write(deep.join("file"), b"").unwrap();
    fs::write(dead.join("lock"), b"").unwrap();
    for folder in [&deep, &dead.join("scratch/exec")] {
        fs::set_permissions(folder, fs::Permissions::from_mode(0o555)).unwrap();
    }
    let report = fixture.store.evict().unwrap();
    assert_eq!(report.temporaries, 1);
    assert!(!dead.exists());
    assert!(fixture.store.scratch_dir().is_dir());
    fixture.store.put_bytes(b"still works").unwrap();
}

#[test]
fn folders_of_the_recently_dead_are_left_for_their_orphans() {
    let folder = tempfile::tempdir().unwrap();
    let mut options = bounded(1);
    options.stale_after = HOUR;
    let store = DiskStore::open(folder.path(), options).unwrap();
    let dead = folder.path().join("tmp/1-2-3");
    fs::create_dir(&dead).unwrap();
    assert_eq!(store.evict().unwrap().temporaries, 0);
    assert!(dead.exists());
}
