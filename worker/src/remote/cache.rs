//! The worker's own copy of blobs: a folder that survives restarts and stays below its bound.

use std::path::Path;
use std::time::{Duration, Instant};

use gofarm_proto::Digest;
use gofarm_store::{DiskStore, DiskStoreOptions, StoreError};

/// How often the cache is brought below its bound. Costs microseconds when it is.
const TIDY: Duration = Duration::from_secs(10);

/// The local store of a worker. Cheap to clone.
#[derive(Debug, Clone)]
pub struct LocalCache {
    store: DiskStore,
}

impl LocalCache {
    /// A cache in this store.
    pub fn new(store: DiskStore) -> LocalCache {
        LocalCache { store }
    }

    /// The store.
    pub fn store(&self) -> &DiskStore {
        &self.store
    }

    /// Those of the blobs that are not here or damaged, each once. All others are verified, and marked as used. Blocks.
    pub(super) fn lacking(&self, mut digests: Vec<Digest>) -> Result<Vec<Digest>, StoreError> {
        digests.sort_unstable();
        digests.dedup();
        let verified = self.store.verify(&digests, Instant::now())?;
        let lacking = verified.lost.into_iter().map(|(digest, error)| {
            if let StoreError::Corrupt { .. } = error {
                tracing::warn!(%digest, %error, "a blob of the local cache was damaged; it is fetched again");
            }
            digest
        });
        Ok(lacking.collect())
    }

    /// Frees a quarter of what the cache holds, sparing what running tasks use; how many bytes that was. Blocks.
    pub(super) fn free_some(&self) -> Result<u64, StoreError> {
        let usage = self.store.usage()?;
        let bytes = usage.blob_bytes + usage.action_bytes;
        let options = DiskStoreOptions {
            max_bytes: (bytes / 4 * 3).max(1),
            ..DiskStoreOptions::default()
        };
        // The same folder with a smaller bound: whoever else has it open does not mind.
        let report = DiskStore::open(self.store.root(), options)?.evict()?;
        Ok(report.bytes_before.saturating_sub(report.bytes_after))
    }

    /// Ends when the folder is no more what it was when it was opened: all that this worker does fails from then on.
    pub(super) async fn taken_away(&self) -> StoreError {
        loop {
            match self.store.in_place() {
                Ok(()) => {}
                Err(error @ StoreError::TakenAway { .. }) => return error,
                Err(error) => {
                    tracing::warn!(%error, "whether the local cache is whole cannot be seen")
                }
            }
            tokio::time::sleep(TIDY).await;
        }
    }

    /// Keeps the cache below its bound, for as long as the worker lives.
    pub(super) async fn tidy_on(&self) {
        loop {
            tokio::time::sleep(TIDY).await;
            let store = self.store.clone();
            match tokio::task::spawn_blocking(move || store.evict()).await {
                Ok(Ok(report)) if report.blobs > 0 => {
                    tracing::info!(
                        blobs = report.blobs,
                        before = report.bytes_before,
                        after = report.bytes_after,
                        "evicted what was not used for long from the local cache"
                    );
                }
                Ok(Ok(_)) => {}
                Ok(Err(error)) => tracing::warn!(%error, "cannot keep the local cache in bounds"),
                Err(error) => {
                    tracing::error!(%error, "keeping the local cache in bounds broke off")
                }
            }
        }
    }
}

/// The store of a worker with these options, of which the bound is lowered to nine tenths of what the disk has for it, so
/// that a disk smaller than the bound is no full disk. Opens the store and looks at all of it.
///
/// # Errors
///
/// As [`DiskStore::open`]; and when the filesystem cannot be asked.
pub fn bounded(folder: &Path, options: DiskStoreOptions) -> Result<DiskStore, StoreError> {
    let wanted = options.max_bytes;
    let store = DiskStore::open(folder, options.clone())?;
    let usage = store.usage()?;
    let filesystem = nix::sys::statvfs::statvfs(folder).map_err(|error| StoreError::Io {
        verb: "ask for the free space of",
        path: folder.to_owned(),
        source: error.into(),
    })?;
    #[allow(
        clippy::unnecessary_cast,
        reason = "these types differ between platforms"
    )]
    let free = filesystem.blocks_available() as u64 * filesystem.fragment_size() as u64;
    let possible = (free + usage.blob_bytes + usage.action_bytes) / 10 * 9;
    if possible >= wanted {
        return Ok(store);
    }
    tracing::warn!(wanted, possible, folder = %folder.display(), "the disk is smaller than the local cache may be");
    drop(store);
    let options = DiskStoreOptions {
        max_bytes: possible,
        ..options
    };
    DiskStore::open(folder, options)
}
