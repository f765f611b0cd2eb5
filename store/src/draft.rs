//! A blob that is being written and whose digest nobody knows before its end.

use std::io::Seek;
use std::os::unix::fs::FileExt;

use gofarm_proto::Digest;

use crate::disk::DiskStore;
use crate::error::Result;
use crate::ingest::hash;
use crate::temporary::TemporaryFile;

/// A file of the store's own, which becomes a blob or goes. See [`DiskStore::draft`].
#[derive(Debug)]
pub struct Draft {
    store: DiskStore,
    temporary: TemporaryFile,
}

impl DiskStore {
    /// Begins a blob. Nothing is left of it when it is dropped.
    pub fn draft(&self) -> Result<Draft> {
        Ok(Draft {
            store: self.clone(),
            temporary: self.inner.own.file()?,
        })
    }
}

impl Draft {
    /// Writes at an offset, over what is there.
    ///
    /// # Errors
    ///
    /// What the system says; then part of the bytes may be there.
    pub fn write_at(&self, bytes: &[u8], offset: u64) -> Result<()> {
        let file = &self.temporary.file;
        file.write_all_at(bytes, offset)
            .map_err(self.store.failed("write", self.temporary.path()))
    }

    /// Reads back what was written there, all of the buffer.
    pub fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<()> {
        let file = &self.temporary.file;
        file.read_exact_at(buffer, offset)
            .map_err(self.store.failed("read", self.temporary.path()))
    }

    /// Makes a blob of the first `size` bytes.
    pub fn finish(self, size: u64) -> Result<Digest> {
        let Draft {
            store,
            mut temporary,
        } = self;
        let cut = temporary.file.set_len(size);
        cut.map_err(store.failed("write", temporary.path()))?;
        let hashed = temporary.file.rewind().and_then(|()| hash(&temporary.file));
        let digest = hashed.map_err(store.failed("read", temporary.path()))?;
        if !store.present(&digest)? {
            store.finish(temporary, &digest)?;
        }
        Ok(digest)
    }
}
