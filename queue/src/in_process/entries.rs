//! What is in the queue: each key once in each pool, so that who builds in one pool does not wait for the workers of another.

use std::collections::HashMap;

use gofarm_engine::core::{RunId, pool_of};
use gofarm_proto::ActionKey;

use super::state::{Entry, Place};
use crate::{FencingToken, Owner};

/// By key and pool. Nearly all keys are in one pool.
#[derive(Debug, Default)]
pub(super) struct Entries {
    by_key: HashMap<ActionKey, Vec<Entry>>,
    len: usize,
}

impl Entries {
    pub fn len(&self) -> usize {
        self.len
    }

    #[cfg(test)]
    pub fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }

    /// In no order.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Entry> {
        self.by_key.values_mut().flatten()
    }

    pub fn insert(&mut self, entry: Entry) {
        self.len += 1;
        let entries = self.by_key.entry(entry.task.key);
        entries.or_insert_with(|| Vec::with_capacity(1)).push(entry);
    }

    /// The one in the pool that a part belongs to.
    pub fn of(&self, key: &ActionKey, part: &str) -> Option<&Entry> {
        self.find(key, |entry| is_in(entry, part))
    }

    pub fn of_mut(&mut self, key: &ActionKey, part: &str) -> Option<&mut Entry> {
        self.find_mut(key, |entry| is_in(entry, part))
    }

    /// The one that is under this lease.
    pub fn leased(&self, key: &ActionKey, token: FencingToken) -> Option<&Entry> {
        self.find(key, |entry| entry.place.lease(token).is_some())
    }

    pub fn leased_mut(&mut self, key: &ActionKey, token: FencingToken) -> Option<&mut Entry> {
        self.find_mut(key, |entry| entry.place.lease(token).is_some())
    }

    /// Whether anybody has a lease of this key.
    pub fn is_leased(&self, key: &ActionKey) -> bool {
        let leased = |entry: &Entry| matches!(entry.place, Place::Leased(_));
        self.find(key, leased).is_some()
    }

    /// The one that an owner last enqueued with this run.
    pub fn enqueued_mut(
        &mut self,
        key: &ActionKey,
        owner: &Owner,
        run: RunId,
    ) -> Option<&mut Entry> {
        self.find_mut(key, |entry| {
            let mut owners = entry.owners.iter();
            owners.any(|interest| interest.owner == *owner && interest.run == run)
        })
    }

    pub fn remove(&mut self, key: &ActionKey, part: &str) -> Option<Entry> {
        let entries = self.by_key.get_mut(key)?;
        let place = entries.iter().position(|entry| is_in(entry, part))?;
        let entry = entries.swap_remove(place);
        if entries.is_empty() {
            self.by_key.remove(key);
        }
        self.len -= 1;
        Some(entry)
    }

    fn find(&self, key: &ActionKey, which: impl Fn(&Entry) -> bool) -> Option<&Entry> {
        self.by_key.get(key)?.iter().find(|entry| which(entry))
    }

    fn find_mut(&mut self, key: &ActionKey, which: impl Fn(&Entry) -> bool) -> Option<&mut Entry> {
        let entries = self.by_key.get_mut(key)?.iter_mut();
        entries.into_iter().find(|entry| which(entry))
    }
}

fn is_in(entry: &Entry, part: &str) -> bool {
    pool_of(&entry.task.pool) == pool_of(part)
}
