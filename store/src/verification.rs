//! Which blobs this process knows to be what their names say.
//!
//! The seal shows in one `stat` that nobody has written to a blob in the ordinary way. It shows neither a write whose author
//! put the modification time back, nor what a disk did to the bytes. Before an action reads a blob it is therefore *verified*:
//! hashed once by each process that uses it. That holds as long as the file is the same one and the time of its last status
//! change is the same, which no program can set, for [`verify_after`](crate::DiskStoreOptions::verify_after) at most.
//!
//! Links and access times that this process makes or sets change that time as well; [`DiskStore::own_change`] tells them from
//! the changes of others. Those of other processes only cost another hash.
//!
//! What this process has written was hashed on its way, which counts: to read it again at once would read the same pages of
//! memory. What the disk makes of them is seen when the time is up.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use gofarm_proto::Digest;

use crate::access::TRIES;
use crate::disk::DiskStore;
use crate::error::{Result, StoreError};
use crate::ingest::hash;
use crate::seal::{is_sealed, is_unwritten};

/// Blobs in one generation of what is remembered: some 20 MB in all. A blob that is forgotten is hashed once more.
const MOST: usize = 100_000;

/// Below this many bytes a second thread costs more than it saves.
const WORTH_A_THREAD: u64 = 4 << 20;

/// More threads than this wait for memory.
const THREADS: usize = 4;

/// Locks for [`DiskStore::own_change`]: enough that two blobs rarely share one.
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

/// What verifying has cost a process since it opened the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct VerifiedBytes {
    /// Blobs that were read and hashed for nothing but that.
    pub blobs: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Blobs that were verified, as they were then: what an action is about to read.
#[derive(Debug, Clone, Default)]
pub struct Reading {
    /// With the inode that was hashed.
    blobs: Vec<(Digest, u64)>,
}

/// What came of verifying several blobs.
#[derive(Debug, Default)]
pub struct Verified {
    /// Those that are not to be had, in the order given, each with what [`StoreError::is_lost_blob`] says of it.
    pub lost: Vec<(Digest, StoreError)>,
    /// The others.
    pub reading: Reading,
}

/// When a blob was hashed, and the file that it was.
#[derive(Debug, Clone, Copy)]
struct Seen {
    stamp: Stamp,
    at: Instant,
}

/// Tells a sealed file from another, and from itself after any change: size, mode and modification time are in the seal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    changed: (i64, i64),
}

impl Stamp {
    fn of(metadata: &Metadata) -> Stamp {
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

/// The right to hash a blob. Given back when this is dropped.
struct Turn<'a> {
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

    /// Nobody else hashes this blob meanwhile. Nothing when somebody did just now: it is to be looked at again.
    fn turn(&self, digest: &Digest) -> Option<Turn<'_>> {
        let mut hashing = self.hashing();
        if hashing.insert(*digest) {
            return Some(Turn {
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
        None
    }

    /// Whether the file is the one that was hashed, less than `within` ago.
    fn knows(&self, digest: &Digest, file: &Metadata, within: Duration, now: Instant) -> bool {
        let known = self.known();
        known.get(digest).is_some_and(|seen| {
            seen.stamp == Stamp::of(file) && now.saturating_duration_since(seen.at) < within
        })
    }

    /// The blob has been hashed, and was this file before that.
    fn saw(&self, digest: &Digest, file: &Metadata, at: Instant) {
        let stamp = Stamp::of(file);
        self.known().insert(*digest, Seen { stamp, at });
    }

    /// When the blob was last hashed, as far as that is remembered.
    pub(crate) fn last(&self, digest: &Digest) -> Option<Instant> {
        self.known().get(digest).map(|seen| seen.at)
    }

    pub(crate) fn forget(&self, digest: &Digest) {
        self.known().remove(digest);
    }
}

impl DiskStore {
    /// What verifying has cost this process.
    pub fn verified_bytes(&self) -> VerifiedBytes {
        let verification = &self.inner.verification;
        VerifiedBytes {
            blobs: verification.blobs.load(Ordering::Relaxed),
            bytes: verification.bytes.load(Ordering::Relaxed),
        }
    }

    /// As [`check`](DiskStore::check), and makes sure that the blob has the bytes of its digest: hashes it unless this process
    /// has done so, at most [`verify_after`](crate::DiskStoreOptions::verify_after) before `now`, and the file has not changed
    /// since. Of several threads one hashes and the others wait.
    ///
    /// # Errors
    ///
    /// As [`check`](DiskStore::check).
    pub fn verified(&self, digest: &Digest, now: Instant) -> Result<PathBuf> {
        let within = self.inner.options.verify_after;
        self.verified_within(digest, within, now)?;
        Ok(self.path(digest))
    }

    /// [Verifies](DiskStore::verified) blobs, several at a time where they are large. Each may be named once only. All are
    /// marked as used; damaged ones are set aside.
    ///
    /// # Errors
    ///
    /// Only what [`StoreError::is_lost_blob`] does not cover.
    pub fn verify<'a>(
        &self,
        digests: impl IntoIterator<Item = &'a Digest>,
        now: Instant,
    ) -> Result<Verified> {
        let within = self.inner.options.verify_after;
        let mut found: Vec<(Digest, Result<Metadata>)> = Vec::new();
        let mut unknown = Vec::new();
        for digest in digests {
            let looked = self.look(digest).map(|(_, file)| file);
            if let Ok(file) = &looked
                && !self.inner.verification.knows(digest, file, within, now)
            {
                unknown.push((found.len(), *digest));
            }
            found.push((*digest, looked));
        }
        for (place, hashed) in self.hash_all(unknown, within, now) {
            found[place].1 = hashed;
        }
        let mut verified = Verified::default();
        for (digest, outcome) in found {
            match outcome {
                Ok(file) => verified.reading.blobs.push((digest, file.ino())),
                Err(error) if error.is_lost_blob() => verified.lost.push((digest, error)),
                Err(error) => return Err(error),
            }
        }
        Ok(verified)
    }

    /// Those of the blobs whose files may have had other bytes at some time since they were verified: another file is there, or
    /// this one was written to. A file of which only the permissions or the time of the last status change are others is
    /// hashed: damage does not heal.
    ///
    /// What this cannot see is a write that is undone in time, bytes and modification time, too.
    ///
    /// # Errors
    ///
    /// Only what [`StoreError::is_lost_blob`] does not cover.
    pub fn changed(&self, reading: &Reading, now: Instant) -> Result<Vec<Digest>> {
        let mut changed = Vec::new();
        for (digest, inode) in &reading.blobs {
            let path = self.path(digest);
            let unchanged = match fs::symlink_metadata(&path) {
                Ok(file) if !is_unwritten(&file, digest.size) || file.ino() != *inode => false,
                Ok(file) => {
                    let verification = &self.inner.verification;
                    verification.knows(digest, &file, Duration::MAX, now)
                        || self.has_its_bytes(digest, &path, *inode, now)?
                }
                Err(e) if e.kind() == io::ErrorKind::NotFound => false,
                Err(e) => return Err(self.failed("look at", &path)(e)),
            };
            if !unchanged {
                changed.push(*digest);
            }
        }
        Ok(changed)
    }

    /// Whether this file of the blob, which nobody seems to have written to, has the right bytes.
    fn has_its_bytes(
        &self,
        digest: &Digest,
        path: &Path,
        inode: u64,
        now: Instant,
    ) -> Result<bool> {
        match self.hashed(digest, path, now)? {
            Some((file, found)) => Ok(file.ino() == inode && found == *digest),
            None => Ok(false),
        }
    }

    /// Does something that changes the number of links or the access time of the blob's file, and nothing else of it: what
    /// that does to the time of its last status change does not cast doubt on the blob.
    ///
    /// Between the two looks at the file, some microseconds, somebody else's write would be taken for ours.
    pub fn own_change<T>(&self, digest: &Digest, change: impl FnOnce() -> T) -> T {
        let verification = &self.inner.verification;
        if verification.known().get(digest).is_none() {
            return change();
        }
        let stripe = &verification.stripes[usize::from(digest.hash[0]) % STRIPES];
        // It guards nothing that a panic could leave half done.
        let _alone = stripe.lock().unwrap_or_else(PoisonError::into_inner);
        let path = self.path(digest);
        let stamp = || {
            let file = fs::symlink_metadata(&path).ok();
            file.filter(|file| is_sealed(file, digest.size))
                .map(|file| Stamp::of(&file))
        };
        let before = stamp();
        let outcome = change();
        if let (Some(before), Some(after)) = (before, stamp()) {
            verification.known().shift(digest, before, after);
        }
        outcome
    }

    /// The blob has just been read and hashed; the file was this before. One that is not sealed is looked at again anyway.
    pub(crate) fn saw(&self, digest: &Digest, file: &Metadata) {
        if is_sealed(file, digest.size) {
            self.inner.verification.saw(digest, file, Instant::now());
        }
    }

    /// This process has just stored the blob in this file, and hashed it on its way.
    pub(crate) fn wrote(&self, digest: &Digest, file: &File) {
        // Gone, or replaced by another process: then it is looked at when it is used.
        if let (Ok(ours), Ok(stored)) = (file.metadata(), fs::symlink_metadata(self.path(digest)))
            && ours.ino() == stored.ino()
            && is_sealed(&stored, digest.size)
        {
            self.inner.verification.saw(digest, &stored, Instant::now());
        }
    }

    /// The file as it was when it was hashed.
    fn verified_within(&self, digest: &Digest, within: Duration, now: Instant) -> Result<Metadata> {
        for _ in 0..TRIES {
            let (path, file) = self.look(digest)?;
            if self.inner.verification.knows(digest, &file, within, now) {
                return Ok(file);
            }
            if let Some(_turn) = self.inner.verification.turn(digest)
                && let Some(file) = self.compare(digest, &path, now)?
            {
                return Ok(file);
            }
        }
        Err(StoreError::Missing { digest: *digest })
    }

    /// Hashes the blob and remembers it, or sets it aside. Nothing when it is another file by now.
    pub(crate) fn compare(
        &self,
        digest: &Digest,
        path: &Path,
        now: Instant,
    ) -> Result<Option<Metadata>> {
        match self.hashed(digest, path, now)? {
            Some((file, _)) if !is_sealed(&file, digest.size) => Ok(None),
            Some((file, found)) if found == *digest => Ok(Some(file)),
            Some((file, _)) => self.reject(digest, path, &file).map(|()| None),
            None => Ok(None),
        }
    }

    /// Hashes a blob that was not written to, and remembers it if it is sealed and right. What the file was before.
    fn hashed(
        &self,
        digest: &Digest,
        path: &Path,
        now: Instant,
    ) -> Result<Option<(Metadata, Digest)>> {
        let file = match open_unnoticed(path) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(self.failed("verify", path)(e)),
        };
        // Before it is read, so that whoever writes meanwhile leaves another time.
        let before = file.metadata().map_err(self.failed("verify", path))?;
        if !is_unwritten(&before, digest.size) {
            return Ok(None);
        }
        let found = hash(&file).map_err(self.failed("verify", path))?;
        let verification = &self.inner.verification;
        verification.blobs.fetch_add(1, Ordering::Relaxed);
        verification.bytes.fetch_add(found.size, Ordering::Relaxed);
        if found == *digest && is_sealed(&before, digest.size) {
            verification.saw(digest, &before, now);
        }
        Ok(Some((before, found)))
    }

    /// [`verified_within`](DiskStore::verified_within) for several, the largest first, each with its place.
    fn hash_all(
        &self,
        mut blobs: Vec<(usize, Digest)>,
        within: Duration,
        now: Instant,
    ) -> Vec<(usize, Result<Metadata>)> {
        blobs.sort_unstable_by_key(|(_, digest)| std::cmp::Reverse(digest.size));
        let one =
            |(place, digest): &(usize, Digest)| (*place, self.verified_within(digest, within, now));
        let bytes: u64 = blobs.iter().map(|(_, digest)| digest.size).sum();
        let threads = match bytes < WORTH_A_THREAD {
            true => 1,
            false => thread::available_parallelism().map_or(1, usize::from),
        };
        let threads = threads.min(THREADS).min(blobs.len());
        if threads <= 1 {
            return blobs.iter().map(one).collect();
        }
        let next = AtomicUsize::new(0);
        let work = || {
            let mine = std::iter::from_fn(|| blobs.get(next.fetch_add(1, Ordering::Relaxed)));
            mine.map(one).collect::<Vec<_>>()
        };
        thread::scope(|scope| {
            let others: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
            let mut all = work();
            for other in others {
                match other.join() {
                    Ok(done) => all.extend(done),
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
            all
        })
    }
}

/// Opens for reading without an effect on the access time, by which eviction goes. Only the owner of a file may.
fn open_unnoticed(path: &Path) -> io::Result<File> {
    let flags = rustix::fs::OFlags::NOATIME.bits() as i32;
    let opened = File::options().read(true).custom_flags(flags).open(path);
    match opened {
        Err(e) if e.kind() == io::ErrorKind::PermissionDenied => File::open(path),
        opened => opened,
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
}
