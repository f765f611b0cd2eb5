//! Where things are below the cache folder.

use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use gofarm_proto::{ActionKey, Digest};

/// The cache folder and the names in it.
#[derive(Debug)]
pub(crate) struct Layout {
    root: PathBuf,
}

impl Layout {
    pub(crate) fn new(root: PathBuf) -> Layout {
        Layout { root }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn cas(&self) -> PathBuf {
        self.root.join("cas")
    }

    pub(crate) fn actions(&self) -> PathBuf {
        self.root.join("actions")
    }

    pub(crate) fn quarantine(&self) -> PathBuf {
        self.root.join("quarantine")
    }

    pub(crate) fn findings(&self) -> PathBuf {
        self.root.join("findings")
    }

    pub(crate) fn sessions(&self) -> PathBuf {
        self.root.join("sessions")
    }

    pub(crate) fn temporaries(&self) -> PathBuf {
        self.root.join("tmp")
    }

    pub(crate) fn tally(&self) -> PathBuf {
        self.root.join("tally")
    }

    pub(crate) fn gate(&self) -> PathBuf {
        self.root.join("gate.lock")
    }

    pub(crate) fn evict_lock(&self) -> PathBuf {
        self.root.join("evict.lock")
    }

    pub(crate) fn format(&self) -> PathBuf {
        self.root.join("format")
    }

    pub(crate) fn cachedir_tag(&self) -> PathBuf {
        self.root.join("CACHEDIR.TAG")
    }

    /// The folders that a store needs before anything else. Shards are made when their first file comes.
    pub(crate) fn folders(&self) -> [PathBuf; 7] {
        [
            self.root.clone(),
            self.cas(),
            self.actions(),
            self.quarantine(),
            self.findings(),
            self.sessions(),
            self.temporaries(),
        ]
    }

    pub(crate) fn blob(&self, digest: &Digest) -> PathBuf {
        self.sharded("cas", &digest.hex())
    }

    pub(crate) fn action(&self, key: &ActionKey) -> PathBuf {
        self.sharded("actions", &key.hex())
    }

    /// One of 256 folders by the first two digits: folders stay small enough for every filesystem, and their
    /// number bounded.
    fn sharded(&self, kind: &str, hex: &str) -> PathBuf {
        let mut path = PathBuf::with_capacity(self.root.as_os_str().len() + 80);
        path.push(&self.root);
        path.push(kind);
        path.push(&hex[..2]);
        path.push(hex);
        path
    }
}

/// Nanoseconds since the epoch. A clock before 1970 reads as 0.
pub(crate) fn nanos(time: SystemTime) -> u128 {
    time.duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_nanos()
}

/// A file name that no other process, and no other call of this one, makes: time, process, count.
pub(crate) fn unique_name() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    format!(
        "{}-{}-{}",
        nanos(SystemTime::now()),
        process::id(),
        COUNT.fetch_add(1, Ordering::Relaxed)
    )
}
