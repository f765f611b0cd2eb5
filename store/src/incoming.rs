//! A blob that comes piece by piece, under a digest that was told before.

use std::io::Write;
use std::path::PathBuf;

use gofarm_proto::Digest;

use crate::disk::DiskStore;
use crate::error::{Result, StoreError};
use crate::temporary::TemporaryFile;

/// A blob on its way into the store. It is hashed as it comes, so that taking it in costs no second reading.
///
/// Dropped, it leaves nothing behind. After an error it is of no more use.
#[derive(Debug)]
pub struct Incoming {
    store: DiskStore,
    digest: Digest,
    temporary: TemporaryFile,
    // Two kilobytes, and this moves between threads.
    hasher: Box<blake3::Hasher>,
    received: u64,
}

impl DiskStore {
    /// Makes room for the bytes of this blob.
    pub fn incoming(&self, digest: Digest) -> Result<Incoming> {
        Ok(Incoming {
            store: self.clone(),
            digest,
            temporary: self.inner.own.file()?,
            hasher: Box::default(),
            received: 0,
        })
    }
}

impl Incoming {
    /// The blob that this is to become.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// How many bytes have come.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    ///
    /// [`StoreError::WrongBytes`] when there are more than the digest says.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let received = self.received + bytes.len() as u64;
        if received > self.digest.size {
            return Err(self.wrong(received));
        }
        self.temporary
            .file
            .write_all(bytes)
            .map_err(self.store.failed("write", self.temporary.path()))?;
        self.hasher.update(bytes);
        self.received = received;
        Ok(())
    }

    /// Stores the blob, and says where it is. Where it was stored meanwhile, that one stays.
    ///
    /// # Errors
    ///
    /// [`StoreError::WrongBytes`] when what has come is not the blob. It is discarded.
    pub fn finish(self) -> Result<PathBuf> {
        if self.received != self.digest.size || self.hasher.finalize() != self.digest.hash {
            return Err(self.wrong(self.received));
        }
        if !self.store.present(&self.digest)? {
            self.store.finish(self.temporary, &self.digest)?;
        }
        Ok(self.store.path(&self.digest))
    }

    fn wrong(&self, received: u64) -> StoreError {
        StoreError::WrongBytes {
            digest: self.digest,
            received,
        }
    }
}
