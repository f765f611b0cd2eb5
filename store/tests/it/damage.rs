//! Damage is found before damaged bytes are used, and the blob can be stored again.

use std::fs::{self, File, FileTimes};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::time::SystemTime;

use gofarm_proto::{ActionKey, Digest};
use gofarm_store::{DiskStore, DiskStoreOptions, Recorded, StoreError};

use crate::fixture::{Fixture, overwrite, result};

/// Opening it as a file waits for a writer.
fn pipe(path: &std::path::Path) {
    fs::remove_file(path).unwrap();
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    rustix::fs::mkfifoat(rustix::fs::CWD, path, mode).unwrap();
}

/// Each way in which a blob becomes wrong, and every call notices it.
#[test]
fn every_damage_is_set_aside_and_the_blob_can_be_stored_again() {
    type Damage = fn(&std::path::Path);
    let damages: [(&str, Damage); 7] = [
        ("torn by a power cut", |p| {
            // Sealed, but shorter: the bytes never reached the platter.
            let sealed = fs::metadata(p).unwrap().modified().unwrap();
            overwrite(p, b"cont");
            let file = File::open(p).unwrap();
            file.set_times(FileTimes::new().set_modified(sealed))
                .unwrap();
        }),
        ("empty", |p| overwrite(p, b"")),
        ("same size, other bytes", |p| overwrite(p, b"CONTENT")),
        ("longer", |p| overwrite(p, b"content and more")),
        ("a symbolic link", |p| {
            fs::remove_file(p).unwrap();
            symlink("/dev/null", p).unwrap();
        }),
        ("a folder", |p| {
            fs::remove_file(p).unwrap();
            fs::create_dir(p).unwrap();
        }),
        ("a pipe that nobody writes", pipe),
    ];
    for (name, damage) in damages {
        for call in ["check", "read", "link", "missing"] {
            let fixture = Fixture::new();
            let store = &fixture.store;
            let digest = store.put_bytes(b"content").unwrap();
            damage(&store.path(&digest));
            assert!(!store.contains(&digest), "{name}");
            let dest = fixture.outside("dest");
            let error = match call {
                "check" => store.check(&digest).map(|_| ()).unwrap_err(),
                "read" => store.read(&digest).map(|_| ()).unwrap_err(),
                "link" => store.link(&digest, &dest).unwrap_err(),
                _ => {
                    assert_eq!(store.missing(&[digest]).unwrap(), [digest], "{name}");
                    store.check(&digest).map(|_| ()).unwrap_err()
                }
            };
            match &error {
                StoreError::Corrupt { aside, .. } => {
                    assert!(fs::symlink_metadata(aside).is_ok(), "{name}, {call}");
                }
                StoreError::Missing { .. } => assert_eq!(call, "missing", "{name}"),
                other => panic!("{name}, {call}: {other}"),
            }
            assert!(!dest.exists(), "{name}");
            assert_eq!(store.found_damage().blobs, 1, "{name}, {call}");
            assert_eq!(store.usage().unwrap().quarantined, 1, "{name}, {call}");
            let after = store.check(&digest).unwrap_err();
            assert!(matches!(after, StoreError::Missing { .. }), "{name}");
            store.put_bytes(b"content").unwrap();
            assert_eq!(store.read(&digest).unwrap(), b"content", "{name}");
        }
    }
}

#[test]
fn storing_over_a_damaged_blob_repairs_it() {
    let fixture = Fixture::new();
    let digest = fixture.store.put_bytes(b"content").unwrap();
    let path = fixture.write_outside("file", b"content");
    for round in 1..=3 {
        overwrite(&fixture.store.path(&digest), b"CONTENT");
        match round {
            1 => fixture.store.put_bytes(b"content").unwrap(),
            2 => fixture.store.put_file(&path).unwrap(),
            _ => fixture.store.adopt_file(&path).unwrap(),
        };
        assert_eq!(fixture.store.read(&digest).unwrap(), b"content");
        assert_eq!(fixture.store.found_damage().blobs, round);
    }
}

/// A disk that returns other bytes than were written changes no time: only reading finds it.
#[test]
fn silent_damage_is_found_where_bytes_leave_the_store() {
    let fixture = Fixture::new();
    let digest = fixture.store.put_bytes(b"content").unwrap();
    let path = fixture.store.path(&digest);
    let sealed = fs::metadata(&path).unwrap().modified().unwrap();
    overwrite(&path, b"CONTENT");
    let times = FileTimes::new().set_modified(sealed);
    File::open(&path).unwrap().set_times(times).unwrap();
    assert!(fixture.store.contains(&digest), "one stat cannot see it");
    let error = fixture.store.read(&digest).unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
    assert!(!fixture.store.contains(&digest));
}

#[test]
fn a_tool_that_writes_through_a_link_is_found() {
    let fixture = Fixture::new();
    let digest = fixture.store.put_bytes(b"content").unwrap();
    let staged = fixture.outside("staged");
    fixture.store.link(&digest, &staged).unwrap();
    overwrite(&staged, b"CONTENT");
    let error = fixture.store.check(&digest).unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
}

#[test]
fn a_blob_with_right_bytes_and_a_broken_seal_is_sealed_again() {
    let fixture = Fixture::new();
    let digest = fixture.store.put_bytes(b"content").unwrap();
    let path = fixture.store.path(&digest);
    let touched = || {
        let times = FileTimes::new().set_modified(SystemTime::now());
        File::open(&path).unwrap().set_times(times).unwrap();
    };
    let opened = || fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let breaks: [&dyn Fn(); 3] = [&touched, &opened, &|| overwrite(&path, b"content")];
    for break_seal in breaks {
        break_seal();
        assert!(!fixture.store.contains(&digest));
        assert_eq!(fixture.store.check(&digest).unwrap(), path);
        assert!(fixture.store.contains(&digest));
    }
    assert_eq!(fixture.store.found_damage().blobs, 0);
    assert_eq!(fixture.files("cas").len(), 1);
}

/// Whoever broke the seal may hold the file open, and write once more after its bytes were found right.
#[test]
fn a_blob_that_is_sealed_again_is_out_of_reach_of_whoever_opened_it() {
    let fixture = Fixture::new();
    let digest = fixture.store.put_bytes(b"content").unwrap();
    let path = fixture.store.path(&digest);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    let mut writer = fs::OpenOptions::new().append(true).open(&path).unwrap();
    fixture.store.check(&digest).unwrap();
    std::io::Write::write_all(&mut writer, b" more").unwrap();
    assert!(fixture.store.contains(&digest));
    assert_eq!(fixture.store.read(&digest).unwrap(), b"content");
}

#[test]
fn a_pipe_in_the_place_of_a_result_is_set_aside() {
    let fixture = Fixture::new();
    let key = ActionKey([7; 32]);
    let made = Default::default();
    let first = result(&[("object", Digest::of(b"x"))]);
    fixture.store.record_action(&key, &first, &made).unwrap();
    let [entry] = &fixture.files("actions")[..] else {
        panic!("one entry");
    };
    pipe(entry);
    assert_eq!(fixture.store.action(&key).unwrap(), None);
    let again = fixture.store.record_action(&key, &first, &made);
    assert_eq!(again.unwrap(), Recorded::Stored);
}

#[test]
fn a_folder_that_was_taken_away_is_noticed() {
    type Change = fn(&std::path::Path);
    let changes: [(&str, Change); 6] = [
        ("emptied", |root| {
            fs::remove_dir_all(root).unwrap();
            fs::create_dir(root).unwrap();
        }),
        ("removed", |root| fs::remove_dir_all(root).unwrap()),
        ("without one of its folders", |root| {
            fs::remove_dir(root.join("sessions")).unwrap();
        }),
        ("with a file in the place of one", |root| {
            fs::remove_dir(root.join("sessions")).unwrap();
            fs::write(root.join("sessions"), b"").unwrap();
        }),
        ("with a file in its own place", |root| {
            fs::remove_dir_all(root).unwrap();
            fs::write(root, b"").unwrap();
        }),
        ("made anew by another process", |root| {
            fs::remove_dir_all(root).unwrap();
            DiskStore::open(root, DiskStoreOptions::default()).unwrap();
        }),
    ];
    for (how, change) in changes {
        let fixture = Fixture::new();
        fixture.store.in_place().unwrap();
        change(fixture.store.root());
        let error = fixture.store.in_place().unwrap_err();
        assert!(
            matches!(error, StoreError::TakenAway { .. }),
            "{how}: {error}"
        );
    }
}
