//! What looks and then acts does both in one turn. Here the test holds the turn as another process would, and
//! changes what was looked at.

use std::fs::{self, File};
use std::thread::{ScopedJoinHandle, scope, sleep};
use std::time::Duration;

use gofarm_proto::{ActionKey, Digest, v1};
use gofarm_store::{Recorded, StoreError};

use crate::fixture::{Fixture, overwrite, result};

/// The turn, taken as another process takes it.
fn take_turn(fixture: &Fixture) -> File {
    let gate = File::open(fixture.store.root().join("gate.lock")).unwrap();
    gate.lock().unwrap();
    gate
}

/// Gives the thread time to come to the gate, and checks that it did not get past it.
fn waits<T>(thread: &ScopedJoinHandle<'_, T>) {
    sleep(Duration::from_millis(60));
    assert!(!thread.is_finished());
}

#[test]
fn a_blob_that_goes_while_it_is_marked_as_used_is_missing() {
    let fixture = Fixture::new();
    let digest = fixture.store.put_bytes(b"content").unwrap();
    fixture.used_ago(&digest, Duration::from_secs(9999));
    let turn = take_turn(&fixture);
    scope(|scope| {
        let check = scope.spawn(|| fixture.store.check(&digest));
        waits(&check);
        fs::remove_file(fixture.store.path(&digest)).unwrap();
        drop(turn);
        let error = check.join().unwrap().unwrap_err();
        assert!(matches!(error, StoreError::Missing { .. }), "{error}");
    });
}

#[test]
fn a_blob_that_was_repaired_is_not_set_aside_for_the_damage_it_had() {
    let (fixture, other) = (Fixture::new(), Fixture::new());
    let digest = fixture.store.put_bytes(b"content").unwrap();
    other.store.put_bytes(b"content").unwrap();
    overwrite(&fixture.store.path(&digest), b"CONTENT");
    let turn = take_turn(&fixture);
    scope(|scope| {
        let check = scope.spawn(|| fixture.store.check(&digest));
        waits(&check);
        let good = fixture.outside("good");
        other.store.link(&digest, &good).unwrap();
        fs::rename(good, fixture.store.path(&digest)).unwrap();
        drop(turn);
        check.join().unwrap().unwrap();
    });
    assert_eq!(fixture.store.read(&digest).unwrap(), b"content");
    assert_eq!(fixture.store.found_damage().blobs, 0);
}

#[test]
fn a_result_that_comes_while_another_is_recorded_is_the_first() {
    const KEY: ActionKey = ActionKey([1; 32]);
    let (fixture, other) = (Fixture::new(), Fixture::new());
    let first = result(&[("o", Digest::of(b""))]);
    other
        .store
        .record_action(&KEY, &first, &v1::Provenance::default())
        .unwrap();
    let turn = take_turn(&fixture);
    scope(|scope| {
        let record = scope.spawn(|| {
            fixture
                .store
                .record_action(&KEY, &first, &v1::Provenance::default())
        });
        waits(&record);
        let shard = fixture.store.root().join("actions/01");
        fs::create_dir(&shard).unwrap();
        fs::copy(&other.files("actions")[0], shard.join(KEY.hex())).unwrap();
        drop(turn);
        assert_eq!(record.join().unwrap().unwrap(), Recorded::AlreadyThere);
    });
}

#[test]
fn a_session_begins_before_or_after_a_batch_of_eviction() {
    let fixture = Fixture::new();
    let turn = take_turn(&fixture);
    scope(|scope| {
        let session = scope.spawn(|| fixture.store.pin());
        waits(&session);
        drop(turn);
        session.join().unwrap().unwrap();
    });
}

#[test]
fn eviction_removes_only_in_its_turn_and_looks_again_in_it() {
    let fixture = Fixture::bounded(0);
    let digest = fixture.store.put_bytes(b"content").unwrap();
    fixture.used_ago(&digest, Duration::from_secs(9999));
    let turn = take_turn(&fixture);
    scope(|scope| {
        let evict = scope.spawn(|| fixture.store.evict());
        waits(&evict);
        assert!(fixture.store.contains(&digest));
        drop(turn);
        assert_eq!(evict.join().unwrap().unwrap().blobs, 1);
    });
}
