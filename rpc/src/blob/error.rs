//! What can go wrong with blobs on their way.

use std::io;
use std::path::PathBuf;

use gofarm_proto::Digest;
use gofarm_store::{ErrorClass, StoreError};

use crate::address::FarmAddresses;
use crate::error::RpcError;

/// Why blobs did not come over.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// The farm.
    #[error(transparent)]
    Rpc(#[from] RpcError),
    /// The local store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A source no longer has the bytes that it was to be uploaded for.
    #[error(
        "cannot upload {name}: its content is no longer that of digest {digest}; it was changed since it was read, so plan the build again"
    )]
    Changed {
        /// The file, or how many bytes in memory.
        name: String,
        /// What it was to be.
        digest: Digest,
    },
    /// A source cannot be read.
    #[error("cannot upload {}: {source}; make the file readable and try again", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The farm did not store a blob.
    #[error("the farm {address} did not store {name} (blob {digest}): {reason}")]
    Refused {
        /// The farm.
        address: FarmAddresses,
        /// The file, or how many bytes in memory.
        name: String,
        /// The blob.
        digest: Digest,
        /// What the farm says.
        reason: String,
    },
}

impl BlobError {
    /// Whose matter this is.
    pub fn class(&self) -> ErrorClass {
        match self {
            BlobError::Rpc(error) => error.class(),
            BlobError::Store(error) => error.class(),
            BlobError::Changed { .. } | BlobError::Unreadable { .. } => ErrorClass::User,
            BlobError::Refused { .. } => ErrorClass::Environment,
        }
    }

    /// Whether the farm was away, as far as anybody can tell: what to fall back to an embedded build on.
    pub fn is_unreachable(&self) -> bool {
        matches!(self, BlobError::Rpc(error) if error.is_transient())
    }
}
