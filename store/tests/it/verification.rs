//! Blobs whose bytes are wrong behind a whole seal are found before they are used.

use std::fs::{self, File, FileTimes};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use gofarm_proto::Digest;
use gofarm_store::{DiskStore, DiskStoreOptions, Scrubbed, StoreError};

use crate::fixture::{Fixture, overwrite, used_ago};

const HOUR: Duration = Duration::from_secs(60 * 60);

/// Other bytes of the same size under the same mode and modification time. Only the time of the last status change shows it.
fn damage(path: &Path) {
    let sealed = fs::metadata(path).unwrap().modified().unwrap();
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    overwrite(path, &bytes);
    let file = File::open(path).unwrap();
    file.set_times(FileTimes::new().set_modified(sealed))
        .unwrap();
}

/// As a disk does it: no time shows it.
fn rot(store: &DiskStore, digest: &Digest) {
    store.own_change(digest, || damage(&store.path(digest)));
}

/// The same folder, as the next process sees it.
fn next_process(fixture: &Fixture) -> DiskStore {
    DiskStore::open(fixture.store.root(), DiskStoreOptions::default()).unwrap()
}

fn is_damaged<T: std::fmt::Debug>(outcome: Result<T, StoreError>) -> bool {
    matches!(outcome, Err(StoreError::Corrupt { .. }))
}

fn those_lost(store: &DiskStore, digests: [&Digest; 2], now: Instant) -> Vec<Digest> {
    let verified = store.verify(digests, now).unwrap();
    verified
        .lost
        .into_iter()
        .map(|(digest, _)| digest)
        .collect()
}

fn hashed(store: &DiskStore) -> u64 {
    store.verified_bytes().blobs
}

#[test]
fn a_flipped_bit_behind_the_seal_is_found_by_the_process_that_wrote_it_and_by_the_next() {
    for by_the_next in [false, true] {
        let fixture = Fixture::new();
        let digest = fixture.store.put_bytes(b"content").unwrap();
        let store = match by_the_next {
            false => fixture.store.clone(),
            true => next_process(&fixture),
        };
        store.verified(&digest, Instant::now()).unwrap();
        assert_eq!(hashed(&store), u64::from(by_the_next));
        damage(&store.path(&digest));
        assert!(store.contains(&digest), "one stat cannot see it");
        assert!(is_damaged(store.verified(&digest, Instant::now())));
        assert_eq!(store.found_damage().blobs, 1);
        store.put_bytes(b"content").unwrap();
        store.verified(&digest, Instant::now()).unwrap();
    }
}

#[test]
fn what_no_time_shows_is_found_when_the_time_is_up() {
    let fixture = Fixture::new();
    let store = &fixture.store;
    let now = Instant::now();
    let (a, b) = (
        store.put_bytes(b"aaa").unwrap(),
        store.put_bytes(b"bbb").unwrap(),
    );
    rot(store, &a);
    let lost = those_lost(store, [&a, &b], now + HOUR / 2);
    assert_eq!(
        (lost, hashed(store)),
        (vec![], 0),
        "it is believed for an hour"
    );
    let lost = those_lost(store, [&a, &b], now + 2 * HOUR);
    assert_eq!((lost, hashed(store)), (vec![a], 2));
    store.verify([&b], now + 2 * HOUR + HOUR / 2).unwrap();
    assert_eq!(hashed(store), 2, "its hour began anew");
}

#[test]
fn links_and_access_times_of_this_process_cost_no_hash_and_hide_nothing() {
    let fixture = Fixture::new();
    let store = &fixture.store;
    let digest = store.put_bytes(b"content").unwrap();
    let dest = fixture.outside("dest");
    for _ in 0..3 {
        store.link(&digest, &dest).unwrap();
        store
            .own_change(&digest, || fs::remove_file(&dest))
            .unwrap();
        store.verified(&digest, Instant::now()).unwrap();
    }
    store.own_change(&digest, || used_ago(&store.path(&digest), HOUR));
    store.check(&digest).unwrap();
    store.verified(&digest, Instant::now()).unwrap();
    assert_eq!(hashed(store), 0);
    damage(&store.path(&digest));
    store.link(&digest, &dest).unwrap();
    store
        .own_change(&digest, || fs::remove_file(&dest))
        .unwrap();
    assert!(is_damaged(store.verified(&digest, Instant::now())));
}

#[test]
fn a_link_of_somebody_else_costs_one_hash() {
    let fixture = Fixture::new();
    let store = &fixture.store;
    let digest = store.put_bytes(b"content").unwrap();
    fs::hard_link(store.path(&digest), fixture.outside("dest")).unwrap();
    for _ in 0..3 {
        store.verified(&digest, Instant::now()).unwrap();
    }
    assert_eq!(hashed(store), 1);
}

#[test]
fn a_blob_that_many_want_is_hashed_once() {
    let fixture = Fixture::new();
    let content: Vec<Vec<u8>> = (0..4u8).map(|n| vec![n; 2 << 20]).collect();
    let digests: Vec<Digest> = content
        .iter()
        .map(|bytes| fixture.store.put_bytes(bytes).unwrap())
        .collect();
    let store = next_process(&fixture);
    let together = Barrier::new(8);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                together.wait();
                let verified = store.verify(&digests, Instant::now()).unwrap();
                assert!(verified.lost.is_empty());
            });
        }
    });
    assert_eq!(hashed(&store), 4);
    assert_eq!(store.verified_bytes().bytes, 8 << 20);
}

#[test]
fn of_many_large_blobs_those_that_are_lost_are_named_in_order() {
    let fixture = Fixture::new();
    let digests: Vec<Digest> = (0..10u8)
        .map(|n| fixture.store.put_bytes(&vec![n; 1 << 20]).unwrap())
        .collect();
    let store = next_process(&fixture);
    damage(&store.path(&digests[7]));
    fs::remove_file(store.path(&digests[5])).unwrap();
    damage(&store.path(&digests[2]));
    let verified = store.verify(&digests, Instant::now()).unwrap();
    let (lost, reading) = (verified.lost, verified.reading);
    let lost: Vec<Digest> = lost.into_iter().map(|(digest, _)| digest).collect();
    assert_eq!(lost, [digests[2], digests[5], digests[7]]);
    assert_eq!(store.changed(&reading, Instant::now()).unwrap(), []);
}

/// What an action that runs as root, or the user, may do to a blob through a link while another reads it.
#[test]
fn a_change_while_it_is_read_is_seen_afterwards() {
    type Change = fn(&Path);
    let changes: [(&str, Change, bool, u64); 8] = [
        ("nothing", |_| {}, false, 0),
        (
            "another link",
            |p| fs::hard_link(p, p.with_extension("l")).unwrap(),
            false,
            1,
        ),
        (
            "made writable",
            |p| fs::set_permissions(p, fs::Permissions::from_mode(0o777)).unwrap(),
            false,
            1,
        ),
        ("written, time put back", damage, true, 1),
        (
            "written, time put back, left writable",
            |p| {
                damage(p);
                fs::set_permissions(p, fs::Permissions::from_mode(0o777)).unwrap();
            },
            true,
            1,
        ),
        ("written", |p| overwrite(p, b"CONTENT"), true, 0),
        ("removed", |p| fs::remove_file(p).unwrap(), true, 0),
        (
            "another file with the same bytes",
            |p| {
                let beside = p.with_extension("new");
                fs::copy(p, &beside).unwrap();
                let sealed = fs::metadata(p).unwrap().modified().unwrap();
                let times = FileTimes::new().set_modified(sealed);
                File::open(&beside).unwrap().set_times(times).unwrap();
                fs::rename(&beside, p).unwrap();
            },
            true,
            0,
        ),
    ];
    for (name, change, changes, hashes) in changes {
        let fixture = Fixture::new();
        let store = &fixture.store;
        let digest = store.put_bytes(b"content").unwrap();
        let reading = store.verify([&digest], Instant::now()).unwrap().reading;
        change(&store.path(&digest));
        let changed = store.changed(&reading, Instant::now()).unwrap();
        let expected = if changes { vec![digest] } else { vec![] };
        assert_eq!((changed, hashed(store)), (expected, hashes), "{name}");
    }
}

/// Its bytes are at hand whenever a blob is stored, so a damaged one under its name is replaced, not believed.
#[test]
fn storing_over_damage_behind_the_seal_repairs_it() {
    let fixture = Fixture::new();
    let store = &fixture.store;
    let digest = store.put_bytes(b"content").unwrap();
    for way in ["bytes", "file", "adopted", "incoming"] {
        damage(&store.path(&digest));
        match way {
            "bytes" => drop(store.put_bytes(b"content").unwrap()),
            "incoming" => {
                let mut incoming = store.incoming(digest).unwrap();
                incoming.write(b"content").unwrap();
                incoming.finish().unwrap();
            }
            _ => {
                let path = fixture.write_outside("file", b"content");
                match way {
                    "file" => store.put_file(&path).unwrap(),
                    _ => store.adopt_file(&path).unwrap(),
                };
            }
        }
        assert_eq!(store.read(&digest).unwrap(), b"content", "{way}");
    }
    assert_eq!(store.found_damage().blobs, 4);
}

#[test]
fn a_scrub_finds_what_no_time_shows_and_uses_nothing() {
    let fixture = Fixture::new();
    let store = &fixture.store;
    let now = Instant::now();
    let digests: Vec<Digest> = (0..5u8)
        .map(|n| store.put_bytes(&[n; 9]).unwrap())
        .collect();
    assert_eq!(
        store.due_for_scrub(HOUR, now).unwrap(),
        [],
        "all were just written"
    );
    rot(store, &digests[3]);
    for digest in &digests {
        store.own_change(digest, || used_ago(&store.path(digest), 3 * HOUR));
    }
    let used = |digest: &Digest| {
        fs::metadata(store.path(digest))
            .unwrap()
            .accessed()
            .unwrap()
    };
    let before: Vec<_> = digests.iter().map(used).collect();
    // The last was looked at half an hour later than the others.
    let later = now + HOUR / 2;
    assert_eq!(store.scrub(&digests[4], later).unwrap(), Scrubbed::Sound);
    let due = store.due_for_scrub(HOUR, now + HOUR + HOUR / 4).unwrap();
    assert_eq!(due.len(), 4);
    assert!(!due.contains(&digests[4]));
    let later = now + 2 * HOUR;
    let due = store.due_for_scrub(HOUR, later).unwrap();
    assert_eq!(due.last(), Some(&digests[4]), "the longest ago comes first");
    for digest in due {
        match store.scrub(&digest, later).unwrap() {
            Scrubbed::Sound => assert_ne!(digest, digests[3]),
            Scrubbed::Damaged(aside) => {
                assert_eq!(digest, digests[3]);
                assert!(aside.exists());
            }
            Scrubbed::Gone => panic!("{digest}"),
        }
    }
    assert_eq!(store.scrub(&digests[3], later).unwrap(), Scrubbed::Gone);
    assert_eq!(store.due_for_scrub(HOUR, later).unwrap(), []);
    for (index, digest) in digests.iter().enumerate().filter(|(index, _)| *index != 3) {
        assert_eq!(used(digest), before[index], "a scrub is no use");
    }
    let unknown = next_process(&fixture).due_for_scrub(HOUR, now).unwrap();
    assert_eq!(unknown.len(), 4, "another process has seen none of them");
}
