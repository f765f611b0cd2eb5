//! Several processes on one cache folder, some of which die.

use std::fs;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use gofarm_proto::{ActionKey, Digest, v1};
use gofarm_store::{DiskStore, Recorded, StoreError};

use crate::child::{Process, plays, say};
use crate::fixture::{Fixture, bounded, result};

fn open(root: &Path, files: u64) -> DiskStore {
    DiskStore::open(root, bounded(files)).unwrap()
}

fn content(n: u32) -> Vec<u8> {
    n.to_le_bytes().repeat(1 + n as usize % 700)
}

fn wait_to_be_killed() -> ! {
    loop {
        sleep(Duration::from_secs(60));
    }
}

#[test]
fn the_same_blobs_put_by_several_processes_at_once() {
    if let Some(root) = plays("putter") {
        let store = open(&root, 1 << 20);
        for n in 0..400 {
            store.put_bytes(&content(n)).unwrap();
        }
        return;
    }
    let fixture = Fixture::new();
    let name = "processes::the_same_blobs_put_by_several_processes_at_once";
    let putters: Vec<_> = (0..4)
        .map(|_| Process::start(name, "putter", fixture.store.root()))
        .collect();
    putters.into_iter().for_each(Process::succeeds);
    for n in 0..400 {
        let digest = Digest::of(&content(n));
        assert!(fixture.store.contains(&digest));
        assert_eq!(fixture.store.read(&digest).unwrap(), content(n));
    }
    assert_eq!(fixture.store.usage().unwrap().blobs, 400);
    assert_eq!(fixture.store.usage().unwrap().quarantined, 0);
}

/// Whenever a process is killed, what it leaves under a name is whole.
#[test]
fn a_process_killed_while_it_puts_leaves_no_torn_blob() {
    if let Some(root) = plays("putter") {
        let store = open(&root, 1 << 20);
        let _session = store.pin().unwrap();
        say("ready");
        for n in 0.. {
            store.put_bytes(&content(n)).unwrap();
            let key = ActionKey(Digest::of(&n.to_le_bytes()).hash);
            let output = Digest::of(&content(n));
            store
                .record_action(&key, &result(&[("o", output)]), &v1::Provenance::default())
                .unwrap();
        }
    }
    let fixture = Fixture::bounded(1 << 20);
    let name = "processes::a_process_killed_while_it_puts_leaves_no_torn_blob";
    for round in 0..5 {
        let mut putter = Process::start(name, "putter", fixture.store.root());
        putter.wait_for("ready");
        sleep(Duration::from_millis(3 + 7 * round));
        putter.kill();
    }
    let blobs = fixture.files("cas");
    assert!(!blobs.is_empty());
    for path in blobs {
        let bytes = fs::read(&path).unwrap();
        let digest = Digest::of(&bytes);
        assert_eq!(fixture.store.path(&digest), path);
        assert!(fixture.store.contains(&digest), "unsealed");
    }
    for n in 0u32.. {
        let key = ActionKey(Digest::of(&n.to_le_bytes()).hash);
        if fixture.store.action(&key).unwrap().is_none() {
            break;
        }
    }
    assert_eq!(fixture.store.found_damage().actions, 0);
    let report = fixture.store.evict().unwrap();
    assert_eq!(report.temporaries, 5, "what they left is swept");
    assert_eq!(fixture.files("sessions").len(), 0);
}

/// A blob that is linked while another process evicts is whole or missing.
#[test]
fn linking_against_eviction_gives_the_whole_blob_or_missing() {
    if let Some(root) = plays("evicter") {
        let store = open(&root, 5);
        say("ready");
        loop {
            store.evict().unwrap();
        }
    }
    let fixture = Fixture::bounded(5);
    let name = "processes::linking_against_eviction_gives_the_whole_blob_or_missing";
    let mut evicter = Process::start(name, "evicter", fixture.store.root());
    evicter.wait_for("ready");
    let (mut linked, mut missing) = (0, 0);
    let end = Instant::now() + Duration::from_secs(4);
    for n in (0..40).cycle() {
        let dest = fixture.outside("dest");
        fixture.store.put_bytes(&content(n)).unwrap();
        // A little older: the evicter is about to take it, or has just done so.
        let n = (n + 34) % 40;
        let digest = Digest::of(&content(n));
        match fixture.store.link(&digest, &dest) {
            Ok(()) => {
                assert_eq!(fs::read(&dest).unwrap(), content(n));
                fs::remove_file(&dest).unwrap();
                linked += 1;
            }
            Err(StoreError::Missing { .. }) => {
                assert!(!dest.exists());
                missing += 1;
            }
            Err(other) => panic!("{other}"),
        }
        if (linked > 100 && missing > 5) || Instant::now() > end {
            break;
        }
    }
    evicter.still_runs();
    assert!(
        linked > 0 && missing > 0,
        "{linked} linked, {missing} missing"
    );
    assert_eq!(fixture.store.usage().unwrap().quarantined, 0);
}

/// The promise of a session holds against an evicter in another process, for blobs old and new.
#[test]
fn a_session_loses_nothing_to_another_process_that_evicts() {
    if let Some(root) = plays("evicter") {
        let store = open(&root, 5);
        say("ready");
        loop {
            store.evict().unwrap();
        }
    }
    let fixture = Fixture::bounded(5);
    let name = "processes::a_session_loses_nothing_to_another_process_that_evicts";
    let mut evicter = Process::start(name, "evicter", fixture.store.root());
    evicter.wait_for("ready");
    for round in 0..15u32 {
        let session = fixture.store.pin().unwrap();
        let used: Vec<_> = (0..20)
            .filter_map(|n| {
                let digest = fixture.store.put_bytes(&content(round * 20 + n)).unwrap();
                // Half of them look long unused, at the moment they are used.
                if n % 2 == 0 && fixture.store.contains(&digest) {
                    let file = fs::File::open(fixture.store.path(&digest)).ok()?;
                    let then = std::time::SystemTime::now() - Duration::from_secs(9999);
                    let times = fs::FileTimes::new().set_accessed(then);
                    file.set_times(times).unwrap();
                }
                fixture.store.check(&digest).ok()
            })
            .collect();
        assert!(used.len() >= 10);
        sleep(Duration::from_millis(5));
        for path in &used {
            assert!(path.exists(), "round {round}: a used blob was evicted");
        }
        drop(session);
        evicter.still_runs();
    }
}

#[test]
fn a_session_of_another_process_protects_until_that_process_is_killed() {
    if let Some(root) = plays("builder") {
        let store = open(&root, 1);
        let _session = store.pin().unwrap();
        let blobs = (0..5).map(|n| Digest::of(&content(n)));
        assert_eq!(store.missing(&blobs.collect::<Vec<_>>()).unwrap(), []);
        fs::write(store.scratch_dir().join("exec-root"), b"").unwrap();
        say("ready");
        wait_to_be_killed();
    }
    let fixture = Fixture::bounded(1);
    for n in 0..10 {
        let digest = fixture.store.put_bytes(&content(n)).unwrap();
        fixture.used_ago(&digest, Duration::from_secs(9999));
    }
    let name = "processes::a_session_of_another_process_protects_until_that_process_is_killed";
    let mut builder = Process::start(name, "builder", fixture.store.root());
    builder.wait_for("ready");
    let report = fixture.store.evict().unwrap();
    assert_eq!((report.blobs, report.temporaries), (5, 0));
    assert!(report.held_above_bound > 0);
    builder.kill();
    let report = fixture.store.evict().unwrap();
    assert_eq!((report.blobs, report.temporaries), (5, 1));
    assert_eq!(fixture.files("sessions").len(), 0);
}

#[test]
fn processes_with_different_results_agree_on_one() {
    const KEY: ActionKey = ActionKey([7; 32]);
    if let Some(root) = plays("recorder") {
        let store = open(&root, 1 << 20);
        let mine = store.put_bytes(&std::process::id().to_le_bytes()).unwrap();
        let mine = result(&[("binary", mine)]);
        let valid = match store
            .record_action(&KEY, &mine, &v1::Provenance::default())
            .unwrap()
        {
            Recorded::NonDeterministic { valid, .. } => *valid,
            _ => mine,
        };
        assert_eq!(store.action(&KEY).unwrap(), Some(valid));
        return;
    }
    let fixture = Fixture::new();
    let name = "processes::processes_with_different_results_agree_on_one";
    let recorders: Vec<_> = (0..4)
        .map(|_| Process::start(name, "recorder", fixture.store.root()))
        .collect();
    recorders.into_iter().for_each(Process::succeeds);
    assert!(fixture.store.action(&KEY).unwrap().is_some());
    assert_eq!(fixture.store.usage().unwrap().findings, 3);
}
