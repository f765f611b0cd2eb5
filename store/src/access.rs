//! How blobs are looked at and read.

use std::fs::{self, Metadata};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use gofarm_proto::Digest;

use crate::disk::DiskStore;
use crate::error::{Result, StoreError};
use crate::harmless;
use crate::quarantine::Damaged;
use crate::seal::{is_sealed, needs_touch, seal, touch};

/// How often a blob may be replaced under our eyes before we call it missing.
pub(crate) const TRIES: usize = 8;

impl DiskStore {
    /// Whether the blob is here and sealed. One `stat`; marks nothing as used, so that without a
    /// [`check`](DiskStore::check) it may be evicted the next moment.
    pub fn contains(&self, digest: &Digest) -> bool {
        fs::symlink_metadata(self.path(digest)).is_ok_and(|m| is_sealed(&m, digest.size))
    }

    /// Makes sure that the blob may be used, marks it as used, and says where it is. One `stat` for a sealed
    /// blob used in the last minute. An unsealed one is compared with its digest: if its bytes are right, a
    /// sealed copy takes its place.
    ///
    /// # Errors
    ///
    /// [`StoreError::Missing`], and [`StoreError::Corrupt`] when the bytes were wrong (set aside now).
    pub fn check(&self, digest: &Digest) -> Result<PathBuf> {
        self.look(digest).map(|(path, _)| path)
    }

    /// [`check`](DiskStore::check), with what the file was then.
    pub(crate) fn look(&self, digest: &Digest) -> Result<(PathBuf, Metadata)> {
        let path = self.path(digest);
        let mut touched = false;
        for _ in 0..TRIES {
            let metadata = match fs::symlink_metadata(&path) {
                Ok(metadata) => metadata,
                Err(e) if e.kind() == io::ErrorKind::NotFound => break,
                Err(e) => return Err(self.failed("look at", &path)(e)),
            };
            if !is_sealed(&metadata, digest.size) {
                self.seal_again(digest, &path, &metadata)?;
            } else if touched || !needs_touch(&metadata, SystemTime::now()) {
                return Ok((path, metadata));
            } else {
                touched = self.own_change(digest, || self.mark_used(&path, &metadata))?;
            }
        }
        Err(StoreError::Missing { digest: *digest })
    }

    /// Reads the blob and compares it with its digest: for bytes that leave the store.
    ///
    /// # Errors
    ///
    /// As [`check`](DiskStore::check).
    pub fn read(&self, digest: &Digest) -> Result<Vec<u8>> {
        let path = self.check(digest)?;
        let mut bytes = Vec::with_capacity(usize::try_from(digest.size).unwrap_or(0));
        let mut file = match harmless::open(&path) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                return Err(StoreError::Missing { digest: *digest });
            }
            Err(e) => return Err(self.failed("read", &path)(e)),
        };
        let metadata = file.metadata().map_err(self.failed("read", &path))?;
        file.read_to_end(&mut bytes)
            .map_err(self.failed("read", &path))?;
        if Digest::of(&bytes) == *digest {
            self.saw(digest, &metadata);
            return Ok(bytes);
        }
        self.reject(digest, &path, &metadata)?;
        Err(StoreError::Missing { digest: *digest })
    }

    /// Those of the blobs that are not to be had, in the order given. The others are marked as used; damaged
    /// ones are set aside and count as missing.
    ///
    /// # Errors
    ///
    /// Only what [`StoreError::is_lost_blob`] does not cover.
    pub fn missing<'a>(
        &self,
        digests: impl IntoIterator<Item = &'a Digest>,
    ) -> Result<Vec<Digest>> {
        let mut missing = Vec::new();
        for digest in digests {
            match self.check(digest) {
                Ok(_) => {}
                Err(e) if e.is_lost_blob() => missing.push(*digest),
                Err(e) => return Err(e),
            }
        }
        Ok(missing)
    }

    /// Marks blobs as used, without a look at what they are: whoever reads them looks.
    #[cfg(feature = "farm")]
    pub(crate) fn use_blobs(&self, digests: &[Digest]) -> Result<()> {
        for digest in digests {
            let path = self.path(digest);
            match fs::symlink_metadata(&path) {
                Ok(metadata) => {
                    self.mark_used(&path, &metadata)?;
                }
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                Err(e) => return Err(self.failed("look at", &path)(e)),
            }
        }
        Ok(())
    }

    /// Sets the access time if it is old. False when the file has gone.
    ///
    /// Inside the gate: eviction looks at the access time and removes in one exclusive section, so a file
    /// that was marked here is not removed on the strength of the old time.
    pub(crate) fn mark_used(&self, path: &Path, metadata: &Metadata) -> Result<bool> {
        if !needs_touch(metadata, SystemTime::now()) {
            return Ok(true);
        }
        self.inner.gate.shared(
            || match harmless::open(path).and_then(|file| touch(&file)) {
                Ok(()) => Ok(true),
                Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
                Err(e) => Err(self.failed("mark as used", path)(e)),
            },
        )
    }

    /// Reads an unsealed blob, and puts a sealed copy in its place if its bytes are right. After that the blob
    /// is to be looked at again.
    ///
    /// A copy, since whoever broke the seal may still have the file open: between reading it and sealing it
    /// would be room for one more write.
    fn seal_again(&self, digest: &Digest, path: &Path, metadata: &Metadata) -> Result<()> {
        if !metadata.is_file() {
            return self.reject(digest, path, metadata);
        }
        let mut file = match harmless::open(path) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(e) => return Err(self.failed("verify", path)(e)),
        };
        let seen = file.metadata().map_err(self.failed("verify", path))?;
        if is_sealed(&seen, digest.size) {
            // Another process has just put a sealed copy there.
            return Ok(());
        }
        let mut copy = self.inner.own.file()?;
        let found = self.copy(&mut file, path, &mut copy)?;
        if found.hash != digest.hash {
            return self.reject(digest, path, &seen);
        }
        if found.size != digest.size {
            // The bytes belong to the name, so the digest that was asked for is that of no blob at all.
            return Err(StoreError::Missing { digest: *digest });
        }
        seal(&copy.file).map_err(self.failed("seal", copy.path()))?;
        // Its bytes are right whatever is there by now. Inside the gate, or eviction could look at the old file
        // and remove the new one.
        self.inner
            .gate
            .exclusive(|| copy.rename(path).map_err(self.failed("seal", path)))?;
        self.wrote(digest, &copy.file);
        Ok(())
    }

    /// Sets the blob aside and says so. All is well when it is another file by now.
    pub(crate) fn reject(&self, digest: &Digest, path: &Path, metadata: &Metadata) -> Result<()> {
        self.inner.verification.forget(digest);
        match self.set_aside(path, metadata, Damaged::Blob)? {
            Some(aside) => Err(StoreError::Corrupt {
                digest: *digest,
                aside,
            }),
            None => Ok(()),
        }
    }
}
