//! Blobs that have other bytes than their names say, and look as if nothing had happened.

use std::fs::{self, File, FileTimes, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// All blobs of a store, in the order of their digests.
pub fn blobs(cas: &Path) -> Vec<PathBuf> {
    let folders = fs::read_dir(cas).into_iter().flatten().flatten();
    let mut blobs: Vec<PathBuf> = folders
        .flat_map(|folder| fs::read_dir(folder.path()).into_iter().flatten().flatten())
        .map(|entry| entry.path())
        .collect();
    blobs.sort();
    blobs
}

/// Flips a bit in the middle of a file, by writing to it. Size, mode and modification time stay. False when a program runs
/// that it is, or it is empty.
pub fn flip(path: &Path) -> bool {
    let before = fs::metadata(path).unwrap();
    let Some(bytes) = flipped(path) else {
        return false;
    };
    fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
    let written = fs::write(path, bytes);
    fs::set_permissions(path, before.permissions()).unwrap();
    let times = FileTimes::new().set_modified(before.modified().unwrap());
    File::open(path).unwrap().set_times(times).unwrap();
    written.is_ok()
}

/// As [`flip`], with another file in the place of this one, which may have other names.
pub fn flip_copy(path: &Path) -> bool {
    let before = fs::metadata(path).unwrap();
    let Some(bytes) = flipped(path) else {
        return false;
    };
    fs::remove_file(path).unwrap();
    fs::write(path, bytes).unwrap();
    fs::set_permissions(path, before.permissions()).unwrap();
    let times = FileTimes::new().set_modified(before.modified().unwrap());
    File::open(path).unwrap().set_times(times).unwrap();
    true
}

fn flipped(path: &Path) -> Option<Vec<u8>> {
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    *bytes.get_mut(middle)? ^= 1;
    Some(bytes)
}

/// How many files have been set aside in a cache folder.
pub fn set_aside(cache: &Path) -> usize {
    fs::read_dir(cache.join("quarantine")).unwrap().count()
}

/// Asserts that no action has come out in two ways: what was recorded once was right.
#[track_caller]
pub fn no_findings(cache: &Path) {
    assert_eq!(fs::read_dir(cache.join("findings")).unwrap().count(), 0);
}
