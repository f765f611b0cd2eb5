//! Objects whose bytes were compared with their digests.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures::{StreamExt, TryStreamExt, stream};
use gofarm_proto::Digest;
use object_store::{Error, ObjectMeta, ObjectStoreExt};

use super::objects::{Objects, PART, PARTS};
use super::used::Id;
use crate::{DiskStore, Result};

/// Blobs up to this size are read many at once: 8 MiB of memory in all.
const SMALL: u64 = 256 << 10;
const SMALL_AT_ONCE: usize = 32;
/// Of larger ones each has some parts in memory.
const LARGE_AT_ONCE: usize = 2;

/// How many are remembered: some 20 MB. When there are more, all are forgotten, and read again.
const MOST: usize = 100_000;

/// What objects were when they were compared. An object that is written again has another tag or time.
#[derive(Debug, Default)]
pub(super) struct Sound(Mutex<HashMap<Digest, Compared>>);

#[derive(Debug)]
struct Compared {
    meta: ObjectMeta,
    at: Instant,
}

impl Sound {
    fn lock(&self) -> MutexGuard<'_, HashMap<Digest, Compared>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn knows(&self, digest: &Digest, meta: &ObjectMeta, within: Duration) -> bool {
        let known = self.lock();
        known
            .get(digest)
            .is_some_and(|compared| compared.meta == *meta && compared.at.elapsed() < within)
    }

    fn insert(&self, digest: Digest, meta: ObjectMeta, at: Instant) {
        let mut known = self.lock();
        if known.len() >= MOST {
            known.clear();
        }
        known.insert(digest, Compared { meta, at });
    }
}

impl Objects {
    /// Those of the blobs that are not there with the bytes of their digests, in order.
    pub(super) async fn unsound(
        &self,
        digests: Vec<Digest>,
        local: &DiskStore,
    ) -> Result<Vec<Digest>> {
        let (small, large): (Vec<Digest>, Vec<Digest>) =
            digests.iter().partition(|digest| digest.size <= SMALL);
        let mut unsound: HashSet<Digest> = HashSet::new();
        for (some, at_once) in [(small, SMALL_AT_ONCE), (large, LARGE_AT_ONCE)] {
            let some: Vec<Digest> = stream::iter(some)
                .map(|digest| async move { Ok((digest, self.is_sound(digest, local).await?)) })
                .buffer_unordered(at_once)
                .try_filter_map(|(digest, sound)| async move { Ok((!sound).then_some(digest)) })
                .try_collect()
                .await?;
            unsound.extend(some);
        }
        // Whoever asked relies on the others, so none of them may be collected now.
        let sound = digests.iter().filter(|digest| !unsound.contains(*digest));
        self.note_used(sound.map(Id::blob).collect()).await;
        Ok(digests
            .into_iter()
            .filter(|digest| unsound.contains(digest))
            .collect())
    }

    async fn is_sound(&self, digest: Digest, local: &DiskStore) -> Result<bool> {
        let name = self.blob(&digest);
        let meta = match self.store.head(&name).await {
            Ok(meta) => meta,
            Err(Error::NotFound { .. }) => {
                self.recent.remove(&digest);
                return Ok(false);
            }
            Err(error) => return Err(self.failed("look at", &name)(error)),
        };
        let at = Instant::now();
        if self
            .sound
            .knows(&digest, &meta, local.inner.options.verify_after)
        {
            return Ok(true);
        }
        let mut hasher = blake3::Hasher::new();
        if meta.size == digest.size {
            let mut parts = stream::iter((0..digest.size).step_by(PART))
                .map(|start| self.part(&name, &meta, start))
                .buffered(PARTS);
            while let Some(part) = parts.next().await {
                match part {
                    Ok(part) => drop(hasher.update(&part)),
                    // Gone or replaced while it was read: whoever replaced it has compared it, and the next question tells.
                    Err(Error::NotFound { .. } | Error::Precondition { .. }) => {
                        self.recent.remove(&digest);
                        return Ok(false);
                    }
                    Err(error) => return Err(self.failed("read", &name)(error)),
                }
            }
        }
        if meta.size == digest.size && hasher.finalize() == digest.hash {
            self.sound.insert(digest, meta, at);
            return Ok(true);
        }
        match self.damaged(digest, &name, &meta, local).await {
            error if error.is_lost_blob() => Ok(false),
            error => Err(error),
        }
    }
}
