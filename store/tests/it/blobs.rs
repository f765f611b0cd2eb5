//! Storing, reading and linking blobs.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

use gofarm_proto::Digest;
use gofarm_store::{ErrorClass, StoreError};

use crate::fixture::Fixture;

#[test]
fn stored_bytes_are_read_back_and_are_known_by_their_blake3() {
    let fixture = Fixture::new();
    for content in [&b""[..], b"x", &vec![7; 1 << 20]] {
        let digest = fixture.store.put_bytes(content).unwrap();
        assert_eq!(digest, Digest::of(content));
        assert!(fixture.store.contains(&digest));
        assert_eq!(fixture.store.read(&digest).unwrap(), content);
        let hex = digest.hex();
        let expected = fixture.store.root().join("cas").join(&hex[..2]).join(&hex);
        assert_eq!(fixture.store.path(&digest), expected);
        assert_eq!(fixture.store.check(&digest).unwrap(), expected);
    }
}

#[test]
fn a_blob_that_was_never_stored_is_missing() {
    let fixture = Fixture::new();
    let stored = fixture.store.put_bytes(b"stored").unwrap();
    let other = Digest::of(b"other");
    assert!(!fixture.store.contains(&other));
    for error in [
        fixture.store.check(&other).unwrap_err(),
        fixture.store.read(&other).unwrap_err(),
        fixture
            .store
            .link(&other, &fixture.outside("link"))
            .unwrap_err(),
    ] {
        assert!(matches!(error, StoreError::Missing { digest } if digest == other));
        assert_eq!(error.class(), ErrorClass::Environment);
    }
    assert!(!fixture.outside("link").exists());
    let asked = [stored, other, stored];
    assert_eq!(fixture.store.missing(&asked).unwrap(), [other]);
}

#[test]
fn blobs_are_executable_and_read_only() {
    let fixture = Fixture::new();
    let digest = fixture.store.put_bytes(b"#!/bin/sh\n").unwrap();
    let mode = fs::metadata(fixture.store.path(&digest)).unwrap().mode();
    assert_eq!(mode & 0o7777, 0o555);
}

#[test]
fn put_file_leaves_the_file_as_it_is() {
    let fixture = Fixture::new();
    let path = fixture.write_outside("source.go", b"package p\n");
    let before = fs::metadata(&path).unwrap();
    let digest = fixture.store.put_file(&path).unwrap();
    let after = fs::metadata(&path).unwrap();
    assert_eq!(digest, Digest::of(b"package p\n"));
    assert_eq!(
        (before.ino(), before.mode(), before.mtime_nsec()),
        (after.ino(), after.mode(), after.mtime_nsec())
    );
    fs::write(&path, b"package q\n").unwrap();
    assert_eq!(fixture.store.read(&digest).unwrap(), b"package p\n");
}

#[test]
fn adopt_file_moves_the_file() {
    let fixture = Fixture::new();
    let path = fixture.write_outside("pkg.a", b"archive");
    let inode = fs::metadata(&path).unwrap().ino();
    let digest = fixture.store.adopt_file(&path).unwrap();
    assert!(!path.exists());
    assert!(fixture.store.contains(&digest));
    let stored = fs::metadata(fixture.store.path(&digest)).unwrap();
    assert_eq!(stored.ino(), inode, "copied instead of moved");

    let again = fixture.write_outside("pkg.a", b"archive");
    assert_eq!(fixture.store.adopt_file(&again).unwrap(), digest);
    assert!(!again.exists());
}

#[test]
fn adopting_a_file_with_a_second_name_stores_a_copy() {
    let fixture = Fixture::new();
    let path = fixture.write_outside("out", b"content");
    let second = fixture.outside("second");
    fs::hard_link(&path, &second).unwrap();
    let digest = fixture.store.adopt_file(&path).unwrap();
    assert!(!path.exists());
    fs::write(&second, b"changed").unwrap();
    assert!(fixture.store.contains(&digest));
    assert_eq!(fixture.store.read(&digest).unwrap(), b"content");
}

#[test]
fn an_adopted_file_that_is_written_later_is_found() {
    let fixture = Fixture::new();
    let path = fixture.write_outside("out", b"content");
    let mut writer = fs::OpenOptions::new().append(true).open(&path).unwrap();
    let digest = fixture.store.adopt_file(&path).unwrap();
    std::io::Write::write_all(&mut writer, b"late").unwrap();
    let error = fixture.store.check(&digest).unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
}

#[test]
fn only_regular_files_are_stored() {
    let fixture = Fixture::new();
    let target = fixture.write_outside("target", b"content");
    let link = fixture.outside("link");
    symlink(&target, &link).unwrap();
    let folder = fixture.folder.path();
    for error in [
        fixture.store.put_file(folder).unwrap_err(),
        fixture.store.adopt_file(folder).unwrap_err(),
        fixture.store.adopt_file(&link).unwrap_err(),
    ] {
        assert!(matches!(error, StoreError::NotAFile { .. }), "{error}");
        assert_eq!(error.class(), ErrorClass::User);
    }
    let digest = fixture.store.put_file(&link).unwrap();
    assert_eq!(fixture.store.read(&digest).unwrap(), b"content");
    let absent = fixture.store.put_file(&fixture.outside("absent"));
    assert!(
        absent.unwrap_err().to_string().contains("absent"),
        "the error names the file"
    );
}

#[test]
fn a_link_is_the_blob_itself() {
    let fixture = Fixture::new();
    let digest = fixture.store.put_bytes(b"content").unwrap();
    let dest = fixture.outside("dest");
    fixture.store.link(&digest, &dest).unwrap();
    let inode = |path| fs::metadata(path).unwrap().ino();
    assert_eq!(inode(dest.clone()), inode(fixture.store.path(&digest)));
    assert!(fixture.store.contains(&digest), "linking broke the seal");
    fs::remove_file(&dest).unwrap();
    assert!(fixture.store.contains(&digest), "unlinking broke the seal");
}

#[test]
fn a_link_replaces_nothing() {
    let fixture = Fixture::new();
    let digest = fixture.store.put_bytes(b"content").unwrap();
    let dest = fixture.write_outside("dest", b"mine");
    let error = fixture.store.link(&digest, &dest).unwrap_err();
    assert!(matches!(error, StoreError::Exists { .. }), "{error}");
    assert_eq!(error.class(), ErrorClass::Bug);
    assert_eq!(fs::read(&dest).unwrap(), b"mine");
}

#[test]
fn a_link_into_a_missing_folder_names_the_folder_not_the_blob() {
    let fixture = Fixture::new();
    let digest = fixture.store.put_bytes(b"content").unwrap();
    let dest = fixture.outside("no/such/dest");
    let error = fixture.store.link(&digest, &dest).unwrap_err();
    assert!(matches!(&error, StoreError::Io { path, .. } if *path == dest));
}

/// ext4 stops at 65,000 links to one file, btrfs in one folder earlier. Where the filesystem has no such bound within
/// reach, all of these are links.
#[test]
fn a_blob_with_too_many_links_is_copied() {
    let fixture = Fixture::new();
    let digest = fixture.store.put_bytes(b"popular").unwrap();
    let folder = fixture.outside("links");
    fs::create_dir(&folder).unwrap();
    let blob = fixture.store.path(&digest);
    let reached = (0..70_000).find(|n| fs::hard_link(&blob, folder.join(n.to_string())).is_err());
    let dest = fixture.outside("dest");
    fixture.store.link(&digest, &dest).unwrap();
    assert_eq!(fs::read(&dest).unwrap(), b"popular");
    let metadata = fs::metadata(&dest).unwrap();
    assert_eq!(metadata.permissions().mode() & 0o777, 0o555);
    assert_eq!(metadata.nlink() == 1, reached.is_some());
    assert_eq!(
        fs::read_dir(fixture.folder.path()).unwrap().count(),
        3,
        "cache, links and dest: nothing else is left"
    );
}

#[test]
fn a_digest_with_a_wrong_size_is_missing_and_harms_nothing() {
    let fixture = Fixture::new();
    let digest = fixture.store.put_bytes(b"content").unwrap();
    let wrong = Digest { size: 3, ..digest };
    assert!(!fixture.store.contains(&wrong));
    let error = fixture.store.check(&wrong).unwrap_err();
    assert!(matches!(error, StoreError::Missing { .. }), "{error}");
    assert_eq!(fixture.store.read(&digest).unwrap(), b"content");
    assert_eq!(fixture.store.found_damage().blobs, 0);
}

#[test]
fn nothing_temporary_is_left_behind() {
    let fixture = Fixture::new();
    let path = fixture.write_outside("file", b"one");
    fixture.store.put_bytes(b"one").unwrap();
    fixture.store.put_file(&path).unwrap();
    fixture.store.adopt_file(&path).unwrap();
    fixture.store.put_file(fixture.folder.path()).unwrap_err();
    let left: Vec<_> = fixture.files("tmp");
    assert_eq!(left.len(), 1, "only the lock of this process: {left:?}");
    let scratch = fixture.store.scratch_dir();
    fs::write(scratch.join("exec-root"), b"").unwrap();
    let Fixture { store, folder } = fixture;
    drop(store);
    assert!(!scratch.exists());
    let tmp = folder.path().join("cache/tmp");
    assert_eq!(fs::read_dir(tmp).unwrap().count(), 0);
}

#[test]
fn a_draft_becomes_a_blob_of_what_is_left_of_it_or_nothing() {
    let fixture = Fixture::new();
    let draft = fixture.store.draft().unwrap();
    draft.write_at(b"one two", 0).unwrap();
    draft.write_at(b"2 three", 4).unwrap();
    let mut read = [0; 5];
    draft.read_at(&mut read, 6).unwrap();
    assert_eq!(&read, b"three");
    draft.read_at(&mut read, 7).unwrap_err();
    let digest = draft.finish(5).unwrap();
    assert_eq!(digest, Digest::of(b"one 2"));
    assert_eq!(fixture.store.read(&digest).unwrap(), b"one 2");
    let mode = fs::metadata(fixture.store.path(&digest)).unwrap().mode();
    assert_eq!(mode & 0o7777, 0o555);
    // The same once more, and one that is let go.
    let again = fixture.store.draft().unwrap();
    again.write_at(b"one 2", 0).unwrap();
    assert_eq!(again.finish(5).unwrap(), digest);
    fixture.store.draft().unwrap().write_at(b"x", 9).unwrap();
    assert_eq!(
        fixture.store.draft().unwrap().finish(0).unwrap(),
        Digest::of(b"")
    );
}
