//! Where what actions have made is read, be it a folder of this machine or a farm.

use gofarm_proto::Digest;
use gofarm_store::DiskStore;

/// Where what actions have made is read.
pub trait Blobs {
    /// The bytes of a blob, compared with its digest.
    fn read(&self, digest: &Digest) -> anyhow::Result<Vec<u8>>;
}

impl Blobs for DiskStore {
    fn read(&self, digest: &Digest) -> anyhow::Result<Vec<u8>> {
        Ok(DiskStore::read(self, digest)?)
    }
}
