//! The store of a farm: one CAS and action cache for all of its machines.

use std::path::{Path, PathBuf};

use gofarm_proto::{ActionKey, Digest, v1};

use crate::{DiskStore, Recorded, Result, StoreError};

/// The CAS and action cache that all parts of a farm share, as one scheduler process sees it. Cheap to clone.
///
/// Every blob that is read or written goes through a folder of this machine.
#[derive(Debug, Clone)]
pub struct FarmStore {
    local: DiskStore,
}

impl FarmStore {
    /// A farm whose store is this folder.
    pub fn on_disk(local: DiskStore) -> FarmStore {
        FarmStore { local }
    }

    /// The folder of this machine.
    pub fn local(&self) -> &DiskStore {
        &self.local
    }

    /// Those of the blobs that are not in the store, in order, each once.
    pub async fn missing(&self, digests: Vec<Digest>) -> Result<Vec<Digest>> {
        self.blocking(move |local| local.missing(digests.iter()))
            .await
    }

    /// Where the blob lies on this machine, brought there if need be.
    ///
    /// # Errors
    ///
    /// One that [`StoreError::is_lost_blob`] knows when the store lacks it.
    pub async fn fetch(&self, digest: Digest) -> Result<PathBuf> {
        self.blocking(move |local| local.check(&digest)).await
    }

    /// The bytes of a blob, compared with the digest.
    ///
    /// # Errors
    ///
    /// As [`fetch`](Self::fetch).
    pub async fn read(&self, digest: Digest) -> Result<Vec<u8>> {
        self.blocking(move |local| local.read(&digest)).await
    }

    /// Stores bytes.
    pub async fn put_bytes(&self, bytes: Vec<u8>) -> Result<Digest> {
        self.blocking(move |local| local.put_bytes(&bytes)).await
    }

    /// Takes a file of [`scratch_dir`](DiskStore::scratch_dir) into the store and away from where it was.
    pub async fn adopt_file(&self, path: &Path) -> Result<Digest> {
        let path = path.to_owned();
        self.blocking(move |local| local.adopt_file(&path)).await
    }

    /// The recorded result of an action, if there is one. Its blobs may be gone.
    pub async fn action(&self, key: ActionKey) -> Result<Option<v1::ActionResult>> {
        self.blocking(move |local| local.action(&key)).await
    }

    /// Records the result of an action whose outputs are in the store. Idempotent; a differing result for one key is
    /// kept aside.
    pub async fn record_action(
        &self,
        key: ActionKey,
        result: v1::ActionResult,
    ) -> Result<Recorded> {
        self.blocking(move |local| local.record_action(&key, &result))
            .await
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&DiskStore) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let local = self.local.clone();
        match tokio::task::spawn_blocking(move || work(&local)).await {
            Ok(outcome) => outcome,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_) => Err(StoreError::ShuttingDown),
        }
    }
}
