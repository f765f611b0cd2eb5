//! The store of a farm: one CAS and action cache for all of its machines.

mod actions;
mod address;
mod collect;
mod fetching;
mod fsck;
mod full_at_once;
mod keys;
mod notes;
mod objects;
mod pins;
mod recent;
mod sound;
mod taken_back;
mod used;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use futures::{StreamExt, stream};
use gofarm_proto::{ActionKey, Digest, v1};

use crate::layout::unique_name;
use crate::{BlobReader, DiskStore, EvictReport, FoundDamage, Incoming, Result, StoreError};
use fetching::Fetching;
use objects::Objects;
use pins::Pins;
use taken_back::TakenBack;
use used::Id;

pub use collect::{Amount, Collected, GRACE, Retention};
pub use fsck::{Examined, Fault};
pub use taken_back::{NOTICED_WITHIN, TakeBack, TakenBackReport, TakenBackResult};

/// How often a blob may be evicted from the folder between being brought there and being opened.
const TRIES: usize = 3;

/// How many small blobs go to or come from an object store at once, which answers each after some milliseconds.
const AT_ONCE: usize = 32;

/// The CAS and action cache that all parts of a farm share, as one scheduler process sees it. Cheap to clone.
///
/// Every blob that is read or written goes through a folder of this machine. That folder is the store itself, shared
/// by all replicas, or a cache in front of an object store. With an object store:
///
/// - What it has, not what the folder has, is what the farm has. A blob is in both before it is acknowledged.
/// - Whether it has a blob is asked once and believed for about a minute, or until a read finds otherwise.
/// - What comes from it is compared with its digest. A damaged object is moved below `quarantine/` and is missing
///   from then on, so that its action runs again.
/// - Requests are tried again for up to 20 seconds, and none takes longer than 30. That there is no room is told at once.
/// - Nothing is removed but by [`collect`](Self::collect). A blob that is removed too early, by that or by a lifecycle rule of
///   the bucket, is made again.
#[derive(Debug, Clone)]
pub struct FarmStore {
    local: DiskStore,
    pins: Arc<Pins>,
    fetching: Arc<Fetching>,
    taken_back: Arc<TakenBack>,
    objects: Option<Arc<Objects>>,
}

impl FarmStore {
    /// A farm whose store is this folder.
    pub fn on_disk(local: DiskStore) -> FarmStore {
        FarmStore {
            pins: Arc::new(Pins::begin(&local)),
            fetching: Arc::default(),
            taken_back: Arc::default(),
            objects: None,
            local,
        }
    }

    /// The store at an address:
    ///
    /// - `file:///path`: the folder itself. `local` is not used, unless it is that folder already.
    /// - `s3://bucket/prefix`, with the endpoint, region and keys in the usual `AWS_*` variables; any server that speaks
    ///   S3 with conditional writes.
    /// - `gs://bucket/prefix` with `GOOGLE_*`, and `az://container/prefix` with `AZURE_*`.
    ///
    /// Nothing is asked of an object store yet.
    ///
    /// # Errors
    ///
    /// [`StoreError::Address`] for an address of no known form or with settings missing, and those of
    /// [`DiskStore::open`].
    pub fn open(url: &str, local: DiskStore) -> Result<FarmStore> {
        FarmStore::open_with(url, local, [])
    }

    /// [`open`](Self::open) with settings of the object store (`aws_endpoint`, ...) that go before those of the
    /// environment.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn open_with<'a>(
        url: &str,
        local: DiskStore,
        settings: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<FarmStore> {
        match address::parse(url, settings)? {
            address::Address::Folder(path) if path == local.root() => Ok(FarmStore::on_disk(local)),
            address::Address::Folder(path) => {
                let store = DiskStore::open(&path, local.inner.options.clone())?;
                Ok(FarmStore::on_disk(store))
            }
            address::Address::Objects(objects) => Ok(FarmStore {
                objects: Some(objects),
                ..FarmStore::on_disk(local)
            }),
        }
    }

    /// The folder of this machine.
    pub fn local(&self) -> &DiskStore {
        &self.local
    }

    /// The damage that this process has found.
    pub fn found_damage(&self) -> FoundDamage {
        self.local.found_damage()
    }

    /// Asks whether the store can be used: for the start of a process and for its readiness.
    ///
    /// The other calls do not tell an object store that has nothing from one that answers "not found" to everything,
    /// since the bucket is not there or the keys are wrong.
    ///
    /// # Errors
    ///
    /// What keeps the store from being used, or that another version of gofarm made it.
    pub async fn check(&self) -> Result<()> {
        match &self.objects {
            Some(objects) => objects.check().await,
            None => {
                // Writing is what a folder can refuse after it was opened.
                let incoming = self.incoming(Digest::of(b"")).await?;
                drop(incoming);
                Ok(())
            }
        }
    }

    /// Asks whether the store answers: for a readiness that is asked every second. Cheap on a folder; with an object store one
    /// request, which also finds a bucket that is not there, unlike a question for a blob.
    ///
    /// # Errors
    ///
    /// As [`check`](Self::check).
    pub async fn probe(&self) -> Result<()> {
        match &self.objects {
            Some(objects) => objects.check().await,
            None => {
                let nobodys = Digest::of(unique_name().as_bytes());
                self.missing(vec![nobodys]).await.map(drop)
            }
        }
    }

    /// Whether each question costs a request to somebody else's server.
    pub fn is_remote(&self) -> bool {
        self.objects.is_some()
    }

    /// Whether there is a store at this address. Writes nothing, unlike [`check`](Self::check).
    pub async fn exists(&self) -> Result<bool> {
        match &self.objects {
            Some(objects) => objects.exists().await,
            // It was made when it was opened, if not before.
            None => Ok(true),
        }
    }

    /// Those of the blobs that are not in the store, in order, each once.
    pub async fn missing(&self, digests: Vec<Digest>) -> Result<Vec<Digest>> {
        let mut seen = HashSet::new();
        let digests: Vec<Digest> = digests.into_iter().filter(|d| seen.insert(*d)).collect();
        match &self.objects {
            Some(objects) => objects.missing(digests).await,
            None => {
                self.blocking(move |local| local.missing(digests.iter()))
                    .await
            }
        }
    }

    /// Those of the blobs that are not in the store with the bytes of their digests, in order, each once. What was not
    /// compared lately is read, and set aside when it is damaged. With an object store it is the object that is read, whatever
    /// this machine has.
    pub async fn unsound(&self, digests: Vec<Digest>) -> Result<Vec<Digest>> {
        let mut seen = HashSet::new();
        let digests: Vec<Digest> = digests.into_iter().filter(|d| seen.insert(*d)).collect();
        match &self.objects {
            Some(objects) => objects.unsound(digests, &self.local).await,
            None => {
                let lost = self.blocking(move |local| local.verify(&digests, Instant::now()));
                let lost = lost.await?.lost.into_iter();
                Ok(lost.map(|(digest, _)| digest).collect())
            }
        }
    }

    /// Where the blob lies on this machine, brought there if need be.
    ///
    /// # Errors
    ///
    /// One that [`StoreError::is_lost_blob`] knows when the store lacks it.
    pub async fn fetch(&self, digest: Digest) -> Result<PathBuf> {
        let found = self.blocking(move |local| local.check(&digest)).await;
        if let (Some(objects), Ok(_)) = (&self.objects, &found) {
            // The folder has it, and so the object store is not asked: noted with whatever is noted next.
            objects.used.add([Id::blob(&digest)]);
        }
        match (&self.objects, found) {
            (Some(objects), Err(error)) if error.is_lost_blob() => {
                // Many workers want the same blob at the same moment; one of them brings it.
                let _turn = self.fetching.turn(digest).await;
                match self.blocking(move |local| local.check(&digest)).await {
                    Err(error) if error.is_lost_blob() => objects.fetch(digest, &self.local).await,
                    found => found,
                }
            }
            (_, found) => found,
        }
    }

    /// The bytes of a blob, compared with the digest.
    ///
    /// # Errors
    ///
    /// As [`fetch`](Self::fetch).
    pub async fn read(&self, digest: Digest) -> Result<Vec<u8>> {
        self.fetched(digest, move |local| local.read(&digest)).await
    }

    /// Opens a blob for reading from this offset on, a piece at a time.
    ///
    /// # Errors
    ///
    /// As [`fetch`](Self::fetch).
    pub async fn reader(&self, digest: Digest, offset: u64) -> Result<BlobReader> {
        self.fetched(digest, move |local| local.reader(&digest, offset))
            .await
    }

    /// Makes room for a blob that comes piece by piece, to be given to [`accept`](Self::accept) when it is whole.
    pub async fn incoming(&self, digest: Digest) -> Result<Incoming> {
        self.blocking(move |local| local.incoming(digest)).await
    }

    /// Stores a blob whose bytes have all come.
    ///
    /// # Errors
    ///
    /// [`StoreError::WrongBytes`] when they are not those of the digest.
    pub async fn accept(&self, incoming: Incoming) -> Result<()> {
        let digest = incoming.digest();
        self.blocking(move |_| incoming.finish().map(drop)).await?;
        self.publish(digest).await
    }

    /// Stores bytes.
    pub async fn put_bytes(&self, bytes: Vec<u8>) -> Result<Digest> {
        let digest = self.blocking(move |local| local.put_bytes(&bytes)).await?;
        self.publish(digest).await?;
        Ok(digest)
    }

    /// Stores small blobs, each compared with its digest, and says in their order what became of each. A folder takes them one
    /// after the other: files that are made side by side in one folder wait for each other, and not idly.
    ///
    /// # Errors
    ///
    /// Of the whole: the process is shutting down. Of one: [`StoreError::WrongBytes`] when its bytes are not those of the
    /// digest.
    pub async fn put_blobs(
        &self,
        blobs: Vec<(Digest, impl AsRef<[u8]> + Send + 'static)>,
    ) -> Result<Vec<Result<()>>> {
        let stored: Vec<(Digest, Result<()>)> = self
            .blocking(move |local| {
                let store = |digest, bytes: &[u8]| {
                    let mut incoming = local.incoming(digest)?;
                    incoming.write(bytes)?;
                    incoming.finish().map(drop)
                };
                let blobs = blobs.iter();
                Ok(blobs
                    .map(|(digest, bytes)| (*digest, store(*digest, bytes.as_ref())))
                    .collect())
            })
            .await?;
        let published = stream::iter(stored).map(|(digest, stored)| async move {
            match stored {
                Ok(()) => self.publish(digest).await,
                failed => failed,
            }
        });
        Ok(published.buffered(AT_ONCE).collect().await)
    }

    /// The bytes of small blobs, in their order, each as by [`read`](Self::read).
    ///
    /// # Errors
    ///
    /// The process is shutting down.
    pub async fn read_blobs(&self, digests: Vec<Digest>) -> Result<Vec<Result<Vec<u8>>>> {
        if self.objects.is_none() {
            let read = move |local: &DiskStore| {
                let digests = digests.iter();
                Ok(digests.map(|digest| local.read(digest)).collect())
            };
            return self.blocking(read).await;
        }
        let read = stream::iter(digests).map(|digest| self.read(digest));
        Ok(read.buffered(AT_ONCE).collect().await)
    }

    /// Takes a file of [`scratch_dir`](DiskStore::scratch_dir) into the store and away from where it was.
    pub async fn adopt_file(&self, path: &Path) -> Result<Digest> {
        let path = path.to_owned();
        let digest = self.blocking(move |local| local.adopt_file(&path)).await?;
        self.publish(digest).await?;
        Ok(digest)
    }

    /// The recorded result of an action, if there is one. Its blobs may be gone.
    pub async fn action(&self, key: ActionKey) -> Result<Option<v1::ActionResult>> {
        Ok(self.entry(key).await?.map(|entry| entry.result))
    }

    /// Brings the folder below its size bound if it is above, sparing what was used in the last ten minutes, and notes what of an
    /// object store was used. To be called every minute or so; see [`DiskStore::evict`] for its cost.
    pub async fn evict(&self) -> Result<EvictReport> {
        if let Some(objects) = &self.objects {
            objects.write_used().await?;
        }
        let pins = Arc::clone(&self.pins);
        self.blocking(move |local| {
            pins.turn(local)?;
            local.evict()
        })
        .await
    }

    /// Brings what the folder has just got to the object store.
    async fn publish(&self, digest: Digest) -> Result<()> {
        match &self.objects {
            Some(objects) => objects.put(digest, &self.local).await,
            None => Ok(()),
        }
    }

    /// Uses a blob on this machine, bringing it back when it is evicted, or turns out damaged, before it could be used.
    async fn fetched<T: Send + 'static>(
        &self,
        digest: Digest,
        mut work: impl FnMut(&DiskStore) -> Result<T> + Clone + Send + 'static,
    ) -> Result<T> {
        for _ in 1..TRIES {
            self.fetch(digest).await?;
            let mut work = work.clone();
            match self.blocking(move |local| work(local)).await {
                Err(error) if error.is_lost_blob() && self.objects.is_some() => {}
                outcome => return outcome,
            }
        }
        self.fetch(digest).await?;
        self.blocking(move |local| work(local)).await
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&DiskStore) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let local = self.local.clone();
        blocking(move || work(&local)).await
    }
}

/// Runs what moves bytes where it does not hold up the runtime.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(outcome) => outcome,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(_) => Err(StoreError::ShuttingDown),
    }
}
