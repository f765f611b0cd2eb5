//! One transfer of a blob at a time, however many want it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gofarm_proto::Digest;
use tokio::sync::OwnedMutexGuard;

type Lock = Arc<tokio::sync::Mutex<()>>;

/// A lock for each blob that somebody is fetching.
#[derive(Debug, Default)]
pub(super) struct Fetching {
    locks: Mutex<HashMap<Digest, Lock>>,
}

/// The right to fetch a blob.
pub(super) struct Turn<'a> {
    fetching: &'a Fetching,
    digest: Digest,
    guard: Option<OwnedMutexGuard<()>>,
}

impl Fetching {
    /// Waits for whoever is fetching the blob.
    pub(super) async fn turn(&self, digest: Digest) -> Turn<'_> {
        let lock = Arc::clone(self.locks().entry(digest).or_default());
        // Made before the wait, so that a waiter that gives up takes its lock with it.
        let mut turn = Turn {
            fetching: self,
            digest,
            guard: None,
        };
        turn.guard = Some(lock.lock_owned().await);
        turn
    }

    fn locks(&self) -> MutexGuard<'_, HashMap<Digest, Lock>> {
        self.locks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.guard = None;
        let mut locks = self.fetching.locks();
        // Only the map has it: nobody holds it or waits for it, and nobody can come to while the map is locked.
        if locks
            .get(&self.digest)
            .is_some_and(|lock| Arc::strong_count(lock) == 1)
        {
            locks.remove(&self.digest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_at_a_time_and_nothing_is_left() {
        let fetching = Fetching::default();
        let digest = Digest::of(b"a");
        let first = fetching.turn(digest).await;
        {
            let mut second = std::pin::pin!(fetching.turn(digest));
            assert!(futures::poll!(&mut second).is_pending());
            drop(fetching.turn(Digest::of(b"b")).await);
            drop(first);
            drop(second.await);
        }
        assert!(fetching.locks().is_empty());
    }
}
