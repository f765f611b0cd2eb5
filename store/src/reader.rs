//! Reading a blob of any size, a piece at a time.

use std::fs::{File, Metadata};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::PathBuf;

use gofarm_proto::Digest;

use crate::disk::DiskStore;
use crate::error::{Result, StoreError};
use crate::harmless;

/// A blob that is being read. Eviction does not take it away from its reader.
#[derive(Debug)]
pub struct BlobReader {
    store: DiskStore,
    digest: Digest,
    path: PathBuf,
    file: File,
    position: u64,
    /// As it was before it was read.
    opened: Metadata,
    // Only for one that is read from its beginning: the hash of a part says nothing.
    hasher: Option<Box<blake3::Hasher>>,
}

impl DiskStore {
    /// Opens the blob for reading from this offset on, after a [`check`](DiskStore::check).
    ///
    /// # Errors
    ///
    /// As [`check`](DiskStore::check).
    pub fn reader(&self, digest: &Digest, offset: u64) -> Result<BlobReader> {
        let path = self.check(digest)?;
        let mut file = match harmless::open(&path) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                return Err(StoreError::Missing { digest: *digest });
            }
            Err(e) => return Err(self.failed("read", &path)(e)),
        };
        let opened = file.metadata().map_err(self.failed("read", &path))?;
        file.seek(SeekFrom::Start(offset))
            .map_err(self.failed("read", &path))?;
        Ok(BlobReader {
            store: self.clone(),
            digest: *digest,
            path,
            file,
            opened,
            position: offset,
            hasher: (offset == 0).then(Box::default),
        })
    }
}

impl BlobReader {
    /// The next bytes, `most` of them unless the blob ends before. Nothing at its end.
    ///
    /// A blob that is read from its beginning is compared with its digest before its last piece is handed out.
    ///
    /// # Errors
    ///
    /// [`StoreError::Corrupt`] when the bytes turned out wrong: what was handed out is worthless, and the blob has
    /// been set aside. [`StoreError::Missing`] when a good one has been put in its place meanwhile.
    pub fn piece(&mut self, most: usize) -> Result<Vec<u8>> {
        let left = self.digest.size.saturating_sub(self.position);
        let wanted = (most as u64).min(left);
        let mut piece = Vec::with_capacity(usize::try_from(wanted).unwrap_or(0));
        (&self.file)
            .take(wanted)
            .read_to_end(&mut piece)
            .map_err(self.store.failed("read", &self.path))?;
        self.position += piece.len() as u64;
        let short = (piece.len() as u64) < wanted;
        let mut sound = !short;
        if let Some(hasher) = &mut self.hasher {
            hasher.update(&piece);
            if self.position == self.digest.size {
                sound &= hasher.finalize() == self.digest.hash;
                if sound {
                    self.store.saw(&self.digest, &self.opened);
                }
            }
        }
        if sound {
            return Ok(piece);
        }
        self.store.reject(&self.digest, &self.path, &self.opened)?;
        Err(StoreError::Missing {
            digest: self.digest,
        })
    }
}
