//! The worker's own copy of blobs: a folder that survives restarts and stays below its bound.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use gofarm_proto::Digest;
use gofarm_store::{DiskStore, DiskStoreOptions, StoreError};

/// How often the cache is brought below its bound. Costs microseconds when it is.
const TIDY: Duration = Duration::from_secs(10);

/// Read at once while blobs are compared with their digests.
const BUFFER: usize = 256 << 10;

/// The local store, and which of its blobs this process has seen whole. Cheap to clone.
///
/// The store itself notices every ordinary write to a blob, by its seal. What changed a blob while no worker ran, or below
/// the filesystem, is noticed here: each blob is read once by each process that uses it.
#[derive(Debug, Clone)]
pub struct LocalCache {
    store: DiskStore,
    seen: Arc<Mutex<HashSet<Digest>>>,
}

impl LocalCache {
    /// A cache in this store.
    pub fn new(store: DiskStore) -> LocalCache {
        LocalCache {
            store,
            seen: Arc::default(),
        }
    }

    /// The store.
    pub fn store(&self) -> &DiskStore {
        &self.store
    }

    fn seen(&self) -> MutexGuard<'_, HashSet<Digest>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// This process has written these blobs itself.
    pub(super) fn wrote(&self, digests: impl IntoIterator<Item = Digest>) {
        self.seen().extend(digests);
    }

    /// Those of the blobs that are not here or damaged, each once. What is here is marked as used. Blocks.
    pub(super) fn lacking(&self, mut digests: Vec<Digest>) -> Result<Vec<Digest>, StoreError> {
        digests.sort_unstable();
        digests.dedup();
        let unseen: HashSet<Digest> = {
            let seen = self.seen();
            let unseen = digests.iter().filter(|digest| !seen.contains(digest));
            unseen.copied().collect()
        };
        let mut lacking = Vec::new();
        for digest in digests {
            let looked = match unseen.contains(&digest) {
                true => self.compare(&digest),
                false => self.store.check(&digest).map(drop),
            };
            match looked {
                Ok(()) => {}
                Err(error) if error.is_lost_blob() => {
                    if let StoreError::Corrupt { .. } = error {
                        tracing::warn!(%digest, %error, "a blob of the local cache was damaged; it is fetched again");
                    }
                    lacking.push(digest);
                }
                Err(error) => return Err(error),
            }
        }
        self.wrote(
            unseen
                .into_iter()
                .filter(|digest| !lacking.contains(digest)),
        );
        Ok(lacking)
    }

    /// Compares a blob with its digest.
    fn compare(&self, digest: &Digest) -> Result<(), StoreError> {
        let path = self.store.check(digest)?;
        match is_whole(&path, digest) {
            Ok(true) => Ok(()),
            // Reads it again, and sets it aside.
            Ok(false) => self.store.read(digest).map(drop),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(StoreError::Missing { digest: *digest })
            }
            Err(source) => Err(StoreError::Io {
                verb: "read",
                path,
                source,
            }),
        }
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

fn is_whole(path: &Path, digest: &Digest) -> io::Result<bool> {
    let mut file = File::open(path)?;
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; BUFFER];
    let mut size = 0;
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            read => {
                hasher.update(&buffer[..read]);
                size += read as u64;
            }
        }
    }
    Ok(size == digest.size && *hasher.finalize().as_bytes() == digest.hash)
}

/// The bound of a cache of at most `wanted` bytes in this folder: never more than nine tenths of what the disk has for it,
/// so that a disk smaller than the bound is no full disk. Opens the store and looks at all of it.
///
/// # Errors
///
/// As [`DiskStore::open`]; and when the filesystem cannot be asked.
pub fn bounded(folder: &Path, wanted: u64) -> Result<DiskStore, StoreError> {
    let options = |max_bytes| DiskStoreOptions {
        max_bytes,
        ..DiskStoreOptions::default()
    };
    let store = DiskStore::open(folder, options(wanted))?;
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
    DiskStore::open(folder, options(possible))
}
