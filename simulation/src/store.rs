//! A store and an action cache that lose things.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use gofarm_engine::core::ActionResult;
use gofarm_proto::{ActionKey, Digest};
use gofarm_queue::BlobPresence;

use crate::random::Random;

#[derive(Debug, Default)]
struct Content {
    blobs: BTreeSet<Digest>,
    actions: BTreeMap<ActionKey, Arc<ActionResult>>,
    /// What was recorded, lost since or not.
    recorded: BTreeSet<ActionKey>,
    /// How often each blob was lost.
    losses: BTreeMap<Digest, u32>,
}

/// Shared by the queue, which asks it for outputs, and the farm.
#[derive(Debug, Default)]
pub struct Store(Mutex<Content>);

impl Store {
    fn content(&self) -> MutexGuard<'_, Content> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a blob.
    pub fn put(&self, digest: Digest) {
        self.content().blobs.insert(digest);
    }

    /// Whether it has a blob.
    pub fn has(&self, digest: &Digest) -> bool {
        self.content().blobs.contains(digest)
    }

    /// How often it has lost a blob.
    pub fn losses(&self, digest: &Digest) -> u32 {
        self.content().losses.get(digest).copied().unwrap_or(0)
    }

    /// Writes a result into the action cache. False if another one is there: the action is not deterministic.
    pub fn record(&self, key: ActionKey, result: Arc<ActionResult>) -> bool {
        let mut content = self.content();
        content.recorded.insert(key);
        let before = content.actions.entry(key).or_insert_with(|| result.clone());
        before.outputs == result.outputs
    }

    /// Whether a result was recorded for it, lost since or not.
    pub fn was_recorded(&self, key: &ActionKey) -> bool {
        self.content().recorded.contains(key)
    }

    /// The recorded result of an action; with `verify` only if all its blobs are there.
    pub fn action(&self, key: &ActionKey, verify: bool) -> Option<Arc<ActionResult>> {
        let content = self.content();
        let result = content.actions.get(key)?;
        let mut outputs = result.outputs.iter();
        let whole = !verify || outputs.all(|output| content.blobs.contains(&output.digest));
        whole.then(|| result.clone())
    }

    /// Loses a blob, if it has one.
    pub fn lose_blob(&self, random: &mut Random) -> Option<Digest> {
        let mut content = self.content();
        let at = random.index(content.blobs.len());
        let digest = content.blobs.iter().nth(at).copied()?;
        content.blobs.remove(&digest);
        *content.losses.entry(digest).or_default() += 1;
        Some(digest)
    }

    /// Loses an entry of the action cache, if it has one.
    pub fn lose_action(&self, random: &mut Random) -> Option<ActionKey> {
        let mut content = self.content();
        let at = random.index(content.actions.len());
        let key = content.actions.keys().nth(at).copied()?;
        content.actions.remove(&key);
        Some(key)
    }
}

#[async_trait]
impl BlobPresence for Store {
    async fn missing(&self, digests: &[Digest]) -> Result<Vec<Digest>, String> {
        let content = self.content();
        let absent = digests.iter().filter(|d| !content.blobs.contains(*d));
        Ok(absent.copied().collect())
    }
}
