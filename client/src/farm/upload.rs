//! Brings what an action reads into the store: its definition and its sources.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use gofarm_proto::Digest;
use gofarm_store::{DiskStore, StoreError};

use crate::farm::supply::Supply;

/// A file was not what it had been when the build was planned.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    /// Somebody saved a file while it was being built.
    #[error("{} changed while the build was running; run the command again", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Uploads the blobs of one build: those of an action before it is queued, and the others meanwhile.
#[derive(Debug)]
pub struct Uploader {
    blobs: Arc<Blobs>,
    ahead: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Blobs {
    store: DiskStore,
    supply: Arc<Supply>,
    /// Blobs that have been seen in the store.
    present: Mutex<HashSet<Digest>>,
    uploaded: AtomicU64,
    stop: AtomicBool,
}

impl Uploader {
    /// For these blobs.
    pub fn new(store: DiskStore, supply: Arc<Supply>) -> Uploader {
        Uploader {
            blobs: Arc::new(Blobs {
                store,
                supply,
                present: Mutex::default(),
                uploaded: AtomicU64::new(0),
                stop: AtomicBool::new(false),
            }),
            ahead: None,
        }
    }

    /// Bytes that were not in the store before.
    pub fn uploaded(&self) -> u64 {
        self.blobs.uploaded.load(Ordering::Relaxed)
    }

    /// Makes sure that the definition and the sources of an action are in the store, and goes on with those of all
    /// others on a thread: where one action has to run, those that read it often have to run too.
    pub fn upload(&mut self, definition: &Digest) -> Result<(), UploadError> {
        if self.ahead.is_none() {
            let blobs = self.blobs.clone();
            self.ahead = Some(std::thread::spawn(move || blobs.upload_ahead()));
        }
        self.blobs.upload(definition)
    }

    /// Uploads a blob again that was found missing; false when it is none of this build's sources.
    pub fn again(&mut self, digest: &Digest) -> Result<bool, UploadError> {
        self.blobs.present().remove(digest);
        if self.blobs.supply.action(digest).is_some() {
            self.blobs.upload(digest)?;
            return Ok(true);
        }
        self.blobs.source(digest)
    }
}

impl Drop for Uploader {
    fn drop(&mut self) {
        self.blobs.stop.store(true, Ordering::Relaxed);
        if let Some(ahead) = self.ahead.take() {
            let _ = ahead.join();
        }
    }
}

impl Blobs {
    fn upload_ahead(&self) {
        for definition in self.supply.definitions() {
            // What goes wrong here goes wrong again, and is told, when the action's turn comes.
            if self.stop.load(Ordering::Relaxed) || self.upload(definition).is_err() {
                return;
            }
        }
    }

    fn upload(&self, definition: &Digest) -> Result<(), UploadError> {
        let Some((bytes, sources)) = self.supply.action(definition) else {
            return Ok(());
        };
        for digest in sources {
            if self.stop.load(Ordering::Relaxed) {
                return Ok(());
            }
            self.source(digest)?;
        }
        if self.is_missing(definition) {
            self.store.put_bytes(bytes)?;
            self.arrived(definition);
        }
        Ok(())
    }

    fn source(&self, digest: &Digest) -> Result<bool, UploadError> {
        let Some(path) = self.supply.file(digest) else {
            return Ok(false);
        };
        if self.is_missing(digest) {
            let put = self.store.put_file(path)?;
            if put != *digest {
                return Err(UploadError::Changed {
                    path: path.to_owned(),
                });
            }
            self.arrived(digest);
        }
        Ok(true)
    }

    /// Two threads may find the same blob missing: putting it twice is the same as once.
    fn is_missing(&self, digest: &Digest) -> bool {
        if self.present().contains(digest) {
            return false;
        }
        let missing = !self.store.contains(digest);
        if !missing {
            self.present().insert(*digest);
        }
        missing
    }

    fn arrived(&self, digest: &Digest) {
        if self.present().insert(*digest) {
            self.uploaded.fetch_add(digest.size, Ordering::Relaxed);
        }
    }

    fn present(&self) -> MutexGuard<'_, HashSet<Digest>> {
        self.present.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
