//! A store in a temporary folder, and what tests do to its files.

use std::fs::{self, File, FileTimes};
use std::path::Path;
use std::time::{Duration, SystemTime};

use gofarm_proto::{Digest, v1};
use gofarm_store::{DiskStore, DiskStoreOptions};
use tempfile::TempDir;

pub struct Fixture {
    pub store: DiskStore,
    pub folder: TempDir,
}

impl Fixture {
    pub fn new() -> Fixture {
        Fixture::with(DiskStoreOptions::default())
    }

    /// A store that may hold this many files of up to 4 KiB.
    pub fn bounded(files: u64) -> Fixture {
        Fixture::with(bounded(files))
    }

    fn with(options: DiskStoreOptions) -> Fixture {
        let folder = tempfile::tempdir().unwrap();
        let store = DiskStore::open(&folder.path().join("cache"), options).unwrap();
        Fixture { store, folder }
    }

    /// A path in the fixture's folder, outside of the store.
    pub fn outside(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    pub fn write_outside(&self, name: &str, content: &[u8]) -> std::path::PathBuf {
        let path = self.outside(name);
        fs::write(&path, content).unwrap();
        path
    }

    /// As if the blob had last been used that long ago.
    pub fn used_ago(&self, digest: &Digest, ago: Duration) {
        used_ago(&self.store.path(digest), ago);
    }

    /// Every file below a folder of the store.
    pub fn files(&self, folder: &str) -> Vec<std::path::PathBuf> {
        let mut found = Vec::new();
        let mut folders = vec![self.store.root().join(folder)];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let entry = entry.unwrap();
                if entry.file_type().unwrap().is_dir() {
                    folders.push(entry.path());
                } else {
                    found.push(entry.path());
                }
            }
        }
        found
    }
}

pub fn bounded(files: u64) -> DiskStoreOptions {
    DiskStoreOptions {
        max_bytes: files * 4096,
        stale_after: Duration::ZERO,
        ..DiskStoreOptions::default()
    }
}

pub fn used_ago(path: &Path, ago: Duration) {
    let then = SystemTime::now() - ago;
    let file = File::open(path).unwrap();
    file.set_times(FileTimes::new().set_accessed(then)).unwrap();
}

/// Writes into a file through whatever name, as a tool that does not care about permissions does.
pub fn overwrite(path: &Path, content: &[u8]) {
    use std::os::unix::fs::PermissionsExt;
    let mode = fs::metadata(path).unwrap().permissions();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(path, content).unwrap();
    fs::set_permissions(path, mode).unwrap();
}

/// A successful result with these outputs.
pub fn result(outputs: &[(&str, Digest)]) -> v1::ActionResult {
    v1::ActionResult {
        outputs: outputs
            .iter()
            .map(|(name, digest)| v1::OutputFile {
                name: (*name).to_owned(),
                digest: Some((*digest).into()),
                executable: false,
            })
            .collect(),
        ..v1::ActionResult::default()
    }
}
