//! Two replicas of one farm, on a folder or on S3.

use std::path::PathBuf;

use gofarm_store::{DiskStore, DiskStoreOptions, FarmStore};
use gofarm_testkit::S3Server;
use tempfile::TempDir;

use crate::replica::Replica;

/// Two replicas, and what they stand on.
pub struct Two {
    pub a: FarmStore,
    pub b: FarmStore,
    folders: std::sync::Mutex<Vec<TempDir>>,
    root: PathBuf,
    s3: Option<S3Server>,
}

impl Two {
    pub fn on_a_folder() -> Two {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().to_owned();
        Two {
            a: on_disk(&root),
            b: on_disk(&root),
            folders: vec![folder].into(),
            root,
            s3: None,
        }
    }

    pub fn on_s3() -> Two {
        let s3 = S3Server::start();
        let (a, b) = (Replica::of(&s3), Replica::of(&s3));
        Two {
            a: a.store,
            b: b.store,
            folders: vec![a._folder, b._folder].into(),
            root: s3.object("some/prefix"),
            s3: Some(s3),
        }
    }

    /// One more, that knows nothing yet.
    pub fn another(&self) -> FarmStore {
        match &self.s3 {
            Some(s3) => {
                let replica = Replica::of(s3);
                self.folders.lock().unwrap().push(replica._folder);
                replica.store
            }
            None => on_disk(&self.root),
        }
    }

    /// The folder with all that is stored.
    pub fn root(&self) -> PathBuf {
        self.root.clone()
    }
}

fn on_disk(root: &std::path::Path) -> FarmStore {
    let disk = DiskStore::open(root, DiskStoreOptions::default()).unwrap();
    FarmStore::on_disk(disk)
}
