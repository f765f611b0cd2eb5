//! Brings what an action reads into the store: its definition and its sources.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
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
    state: Mutex<State>,
    /// Rung when a blob is no longer coming.
    settled: Condvar,
    uploaded: AtomicU64,
    stop: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    /// Blobs that have been seen in the store.
    present: HashSet<Digest>,
    /// Blobs that a thread is looking for or uploading.
    coming: HashSet<Digest>,
}

/// What a thread does about a blob that another is uploading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meanwhile {
    /// Waits: the blob is needed now.
    Wait,
    /// Goes on with others.
    GoOn,
}

/// A blob that this thread alone uploads. Given back, whatever comes of it, when this is dropped.
struct Claim<'a> {
    blobs: &'a Blobs,
    digest: Digest,
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        self.blobs.state().coming.remove(&self.digest);
        self.blobs.settled.notify_all();
    }
}

impl Uploader {
    /// For these blobs.
    pub fn new(store: DiskStore, supply: Arc<Supply>) -> Uploader {
        Uploader {
            blobs: Arc::new(Blobs {
                store,
                supply,
                state: Mutex::default(),
                settled: Condvar::new(),
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
        self.blobs.upload(definition, Meanwhile::Wait)
    }

    /// Uploads a blob again that was found missing; false when it is none of this build's sources.
    pub fn again(&mut self, digest: &Digest) -> Result<bool, UploadError> {
        self.blobs.state().present.remove(digest);
        if self.blobs.supply.action(digest).is_some() {
            self.blobs.upload(digest, Meanwhile::Wait)?;
            return Ok(true);
        }
        self.blobs.source(digest, Meanwhile::Wait)
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
            if self.stop.load(Ordering::Relaxed)
                || self.upload(definition, Meanwhile::GoOn).is_err()
            {
                return;
            }
        }
    }

    fn upload(&self, definition: &Digest, meanwhile: Meanwhile) -> Result<(), UploadError> {
        let Some((bytes, sources)) = self.supply.action(definition) else {
            return Ok(());
        };
        for digest in sources {
            if self.stop.load(Ordering::Relaxed) {
                return Ok(());
            }
            self.source(digest, meanwhile)?;
        }
        if let Some(claim) = self.claim_missing(definition, meanwhile) {
            self.store.put_bytes(bytes)?;
            self.arrived(claim);
        }
        Ok(())
    }

    fn source(&self, digest: &Digest, meanwhile: Meanwhile) -> Result<bool, UploadError> {
        let Some(path) = self.supply.file(digest) else {
            return Ok(false);
        };
        if let Some(claim) = self.claim_missing(digest, meanwhile) {
            let put = self.store.put_file(path)?;
            if put != *digest {
                return Err(UploadError::Changed {
                    path: path.to_owned(),
                });
            }
            self.arrived(claim);
        }
        Ok(true)
    }

    /// The right to upload a blob that is not in the store. Both threads begin with the same action, and its tools are large.
    fn claim_missing(&self, digest: &Digest, meanwhile: Meanwhile) -> Option<Claim<'_>> {
        let mut state = self.state();
        loop {
            if state.present.contains(digest) {
                return None;
            }
            if state.coming.insert(*digest) {
                break;
            }
            if meanwhile == Meanwhile::GoOn {
                return None;
            }
            state = self
                .settled
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        drop(state);
        let claim = Claim {
            blobs: self,
            digest: *digest,
        };
        if !self.store.contains(digest) {
            return Some(claim);
        }
        self.state().present.insert(*digest);
        None
    }

    fn arrived(&self, claim: Claim<'_>) {
        if self.state().present.insert(claim.digest) {
            self.uploaded
                .fetch_add(claim.digest.size, Ordering::Relaxed);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
