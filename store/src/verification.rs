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

use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use gofarm_proto::Digest;

use crate::access::TRIES;
use crate::disk::DiskStore;
use crate::error::{Result, StoreError};
use crate::harmless;
use crate::ingest::hash;
use crate::known::{Doubt, Stamp};
use crate::seal::{is_sealed, is_unwritten};

/// Below this many bytes a second thread costs more than it saves.
const WORTH_A_THREAD: u64 = 4 << 20;

/// More threads than this wait for memory.
const THREADS: usize = 4;

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

impl DiskStore {
    /// What verifying has cost this process.
    pub fn verified_bytes(&self) -> VerifiedBytes {
        let (blobs, bytes) = self.inner.verification.counted();
        VerifiedBytes { blobs, bytes }
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
            if !self.has_its_bytes(digest, *inode, now)? {
                changed.push(*digest);
            }
        }
        Ok(changed)
    }

    /// Whether the blob's file is this one, has not been written to as far as its times tell, and has the right bytes.
    fn has_its_bytes(&self, digest: &Digest, inode: u64, now: Instant) -> Result<bool> {
        let path = self.path(digest);
        let verification = &self.inner.verification;
        loop {
            let file = match fs::symlink_metadata(&path) {
                Ok(file) => file,
                Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(false),
                Err(e) => return Err(self.failed("look at", &path)(e)),
            };
            if !is_unwritten(&file, digest.size) || file.ino() != inode {
                return Ok(false);
            }
            let _turn = match verification.doubt(digest, &file, Duration::MAX, now) {
                Doubt::None => return Ok(true),
                Doubt::Mine(turn) => turn,
                Doubt::Another => continue,
            };
            let hashed = self.hashed(digest, &path, now)?;
            return Ok(hashed.is_some_and(|(file, found)| file.ino() == inode && found == *digest));
        }
    }

    /// Does something that changes the number of links or the access time of the blob's file, and nothing else of it: what
    /// that does to the time of its last status change does not cast doubt on the blob.
    ///
    /// Between the two looks at the file, some microseconds, somebody else's write would be taken for ours.
    pub fn own_change<T>(&self, digest: &Digest, change: impl FnOnce() -> T) -> T {
        let path = self.path(digest);
        let stamp = || {
            let file = fs::symlink_metadata(&path).ok()?;
            is_sealed(&file, digest.size).then(|| Stamp::of(&file))
        };
        self.inner.verification.own_change(digest, stamp, change)
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
            let _turn = match self.inner.verification.doubt(digest, &file, within, now) {
                Doubt::None => return Ok(file),
                Doubt::Mine(turn) => turn,
                Doubt::Another => continue,
            };
            if let Some(file) = self.compare(digest, &path, now)? {
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
        verification.count(found.size);
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
    match harmless::open_with(path, rustix::fs::OFlags::NOATIME) {
        Err(e) if e.kind() == io::ErrorKind::PermissionDenied => harmless::open(path),
        opened => opened,
    }
}
