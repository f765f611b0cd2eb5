//! What a process remembers of the blobs that it has hashed.

use std::collections::{HashMap, HashSet};
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use gofarm_proto::Digest;

/// Blobs in one generation of what is remembered: some 20 MB in all. A blob that is forgotten is hashed once more.
const MOST: usize = 100_000;

/// Locks for [`Verification::own_change`]: enough that two blobs rarely share one.
const STRIPES: usize = 64;

/// What a store has verified. Shared by all its clones.
#[derive(Debug)]
pub(crate) struct Verification {
    known: Mutex<Known>,
    /// Blobs that a thread is hashing.
    hashing: Mutex<HashSet<Digest>>,
    /// Rung when one is done.
    hashed: Condvar,
    stripes: [Mutex<()>; STRIPES],
    blobs: AtomicU64,
    bytes: AtomicU64,
}

/// When a blob was hashed, and the file that it was.
#[derive(Debug, Clone, Copy)]
struct Seen {
    stamp: Stamp,
    at: Instant,
}

/// Tells a sealed file from another, and from itself after any change: size, mode and modification time are in the seal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    inode: u64,
    changed: (i64, i64),
}

impl Stamp {
    pub(crate) fn of(metadata: &Metadata) -> Stamp {
        Stamp {
            inode: metadata.ino(),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

/// Two generations: the older one goes when the younger one is full.
#[derive(Debug)]
struct Known {
    most: usize,
    young: HashMap<Digest, Seen>,
    old: HashMap<Digest, Seen>,
}

impl Known {
    fn new(most: usize) -> Known {
        Known {
            most,
            young: HashMap::new(),
            old: HashMap::new(),
        }
    }

    fn get(&self, digest: &Digest) -> Option<&Seen> {
        self.young.get(digest).or_else(|| self.old.get(digest))
    }

    fn insert(&mut self, digest: Digest, seen: Seen) {
        if self.young.len() >= self.most && !self.young.contains_key(&digest) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(digest, seen);
    }

    fn remove(&mut self, digest: &Digest) {
        self.young.remove(digest);
        self.old.remove(digest);
    }

    /// Our own doing has changed the file's times from `before` to `after`.
    fn shift(&mut self, digest: &Digest, before: Stamp, after: Stamp) {
        if let Some(seen) = self.get(digest).copied()
            && seen.stamp == before
            && before.inode == after.inode
        {
            let stamp = after;
            self.insert(*digest, Seen { stamp, ..seen });
        }
    }
}

/// What there is to do before a file can be believed.
pub(crate) enum Doubt<'a> {
    /// Nothing: this very file was hashed.
    None,
    /// To hash it. Nobody else does so while this is held.
    Mine(Turn<'a>),
    /// To look at the file again: another thread was hashing it, and is done.
    Another,
}

/// The right to hash a blob. Given back when this is dropped.
pub(crate) struct Turn<'a> {
    verification: &'a Verification,
    digest: Digest,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.verification.hashing().remove(&self.digest);
        self.verification.hashed.notify_all();
    }
}

impl Verification {
    pub(crate) fn new() -> Verification {
        Verification {
            known: Mutex::new(Known::new(MOST)),
            hashing: Mutex::default(),
            hashed: Condvar::new(),
            stripes: std::array::from_fn(|_| Mutex::new(())),
            blobs: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
        }
    }

    // Whatever panicked meanwhile, each change of these is one step.
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hashing(&self) -> MutexGuard<'_, HashSet<Digest>> {
        self.hashing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is left to do before this file is believed to be the blob, hashed less than `within` ago. Waits while another
    /// thread hashes it.
    pub(crate) fn doubt(
        &self,
        digest: &Digest,
        file: &Metadata,
        within: Duration,
        now: Instant,
    ) -> Doubt<'_> {
        let mut hashing = self.hashing();
        // Looked at with the lock held: whoever has hashed it says so before the turn is given back.
        if self.knows(digest, file, within, now) {
            return Doubt::None;
        }
        if hashing.insert(*digest) {
            return Doubt::Mine(Turn {
                verification: self,
                digest: *digest,
            });
        }
        while hashing.contains(digest) {
            hashing = self
                .hashed
                .wait(hashing)
                .unwrap_or_else(PoisonError::into_inner);
        }
        Doubt::Another
    }

    /// Whether the file is the one that was hashed, less than `within` ago.
    pub(crate) fn knows(
        &self,
        digest: &Digest,
        file: &Metadata,
        within: Duration,
        now: Instant,
    ) -> bool {
        let known = self.known();
        known.get(digest).is_some_and(|seen| {
            seen.stamp == Stamp::of(file) && now.saturating_duration_since(seen.at) < within
        })
    }

    /// The blob has been hashed, and was this file before that.
    pub(crate) fn saw(&self, digest: &Digest, file: &Metadata, at: Instant) {
        let stamp = Stamp::of(file);
        self.known().insert(*digest, Seen { stamp, at });
    }

    /// Runs what changes nothing of the blob's file but times that are not in the seal; `stamp` looks at it before and after.
    pub(crate) fn own_change<T>(
        &self,
        digest: &Digest,
        stamp: impl Fn() -> Option<Stamp>,
        change: impl FnOnce() -> T,
    ) -> T {
        if self.known().get(digest).is_none() {
            return change();
        }
        let stripe = &self.stripes[usize::from(digest.hash[0]) % STRIPES];
        // It guards nothing that a panic could leave half done.
        let _alone = stripe.lock().unwrap_or_else(PoisonError::into_inner);
        let before = stamp();
        let outcome = change();
        if let (Some(before), Some(after)) = (before, stamp()) {
            self.known().shift(digest, before, after);
        }
        outcome
    }

    /// So much was read and hashed.
    pub(crate) fn count(&self, bytes: u64) {
        self.blobs.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// How many blobs, and how many bytes.
    pub(crate) fn counted(&self) -> (u64, u64) {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        (count(&self.blobs), count(&self.bytes))
    }

    /// When the blob was last hashed, as far as that is remembered.
    pub(crate) fn last(&self, digest: &Digest) -> Option<Instant> {
        self.known().get(digest).map(|seen| seen.at)
    }

    pub(crate) fn forget(&self, digest: &Digest) {
        self.known().remove(digest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(inode: u64) -> Seen {
        Seen {
            stamp: Stamp {
                inode,
                changed: (0, 0),
            },
            at: Instant::now(),
        }
    }

    #[test]
    fn what_is_remembered_is_bounded_and_the_latest_stays() {
        let mut known = Known::new(10);
        let digests: Vec<Digest> = (0..100u8).map(|n| Digest::of(&[n])).collect();
        for digest in &digests {
            known.insert(*digest, seen(1));
            assert!(known.young.len() + known.old.len() <= 20);
        }
        assert!(digests[90..].iter().all(|d| known.get(d).is_some()));
        assert!(known.get(&digests[0]).is_none());
    }

    #[test]
    fn a_change_of_ours_counts_only_from_what_was_seen() {
        let stamp = |inode, seconds| Stamp {
            inode,
            changed: (seconds, 0),
        };
        let digest = Digest::of(b"a");
        let mut known = Known::new(10);
        known.insert(digest, seen(1));
        let now = |known: &Known| known.get(&digest).unwrap().stamp;
        known.shift(&digest, stamp(1, 0), stamp(1, 1));
        assert_eq!(now(&known), stamp(1, 1));
        // Somebody has written before ours.
        known.shift(&digest, stamp(1, 2), stamp(1, 3));
        assert_eq!(now(&known), stamp(1, 1));
        // Another file has taken its place.
        known.shift(&digest, stamp(1, 1), stamp(2, 3));
        assert_eq!(now(&known), stamp(1, 1));
    }

    #[test]
    fn of_threads_that_doubt_the_same_files_one_hashes_each() {
        let file = tempfile::tempfile().unwrap().metadata().unwrap();
        let digests: Vec<Digest> = (0..20_000u32)
            .map(|n| Digest::of(&n.to_le_bytes()))
            .collect();
        let (now, forever) = (Instant::now(), Duration::MAX);
        let verification = Verification::new();
        let believe = |digest| {
            loop {
                match verification.doubt(digest, &file, forever, now) {
                    Doubt::None => return,
                    Doubt::Mine(_turn) => {
                        verification.count(1);
                        verification.saw(digest, &file, now);
                    }
                    Doubt::Another => {}
                }
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| digests.iter().for_each(believe));
            }
        });
        assert_eq!(verification.counted().0, 20_000);
    }
}
