//! Blobs that were in the object store a moment ago.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use gofarm_proto::Digest;

/// A digest is believed for this long, and up to twice as long. Short, since another replica may find meanwhile that
/// the blob is lost: until then this one would take results for complete that are not.
const TURN: Duration = Duration::from_secs(30);

/// Digests in one generation: some 10 MB in all.
const MOST: usize = 100_000;

/// Two generations of digests: the older one goes when the younger one is full or old.
#[derive(Debug)]
pub(super) struct Recent {
    generations: Mutex<Generations>,
}

#[derive(Debug)]
struct Generations {
    young: HashSet<Digest>,
    old: HashSet<Digest>,
    turned: Instant,
}

impl Recent {
    pub(super) fn new(now: Instant) -> Recent {
        Recent {
            generations: Mutex::new(Generations {
                young: HashSet::new(),
                old: HashSet::new(),
                turned: now,
            }),
        }
    }

    /// Whether the blob was seen lately.
    pub(super) fn contains(&self, digest: &Digest, now: Instant) -> bool {
        let generations = self.turned(now);
        generations.young.contains(digest) || generations.old.contains(digest)
    }

    /// The blob was seen.
    pub(super) fn insert(&self, digest: Digest, now: Instant) {
        let mut generations = self.turned(now);
        if generations.young.len() >= MOST {
            generations.turn(now);
        }
        generations.young.insert(digest);
    }

    /// The blob is not there after all.
    pub(super) fn remove(&self, digest: &Digest) {
        let mut generations = self.lock();
        generations.young.remove(digest);
        generations.old.remove(digest);
    }

    fn turned(&self, now: Instant) -> MutexGuard<'_, Generations> {
        let mut generations = self.lock();
        let age = now.saturating_duration_since(generations.turned);
        if age >= TURN {
            generations.turn(now);
        }
        if age >= 2 * TURN {
            generations.old.clear();
        }
        generations
    }

    fn lock(&self) -> MutexGuard<'_, Generations> {
        self.generations
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Generations {
    fn turn(&mut self, now: Instant) {
        self.old = std::mem::take(&mut self.young);
        self.turned = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_forgotten_within_two_turns() {
        let start = Instant::now();
        let (a, b) = (Digest::of(b"a"), Digest::of(b"b"));
        let recent = Recent::new(start);
        recent.insert(a, start);
        assert!(recent.contains(&a, start + TURN / 2));
        assert!(recent.contains(&a, start + TURN));
        recent.insert(b, start + TURN);
        assert!(!recent.contains(&a, start + 2 * TURN));
        assert!(recent.contains(&b, start + 2 * TURN));
        assert!(!recent.contains(&b, start + 10 * TURN));
    }

    #[test]
    fn what_a_read_found_missing_is_forgotten_at_once() {
        let now = Instant::now();
        let a = Digest::of(b"a");
        let recent = Recent::new(now);
        recent.insert(a, now);
        recent.remove(&a);
        assert!(!recent.contains(&a, now));
    }
}
