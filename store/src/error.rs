//! What can go wrong with the store, and whose matter it is.

use std::io;
use std::path::{Path, PathBuf};

use gofarm_proto::{ActionKey, Digest};

/// A result whose error is a [`StoreError`].
pub type Result<T, E = StoreError> = std::result::Result<T, E>;

/// Whose matter an error is. Decides the exit code and whether trying again makes sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorClass {
    /// The user can change what was asked for.
    User,
    /// The machine or the cache folder: another try, another worker or the system's owner may help.
    Environment,
    /// A mistake in gofarm.
    Bug,
}

/// Why the store could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The blob is not here: never stored, or evicted. Running its action again makes it.
    #[error("blob {digest} is not in the store; run the action that makes it again")]
    Missing {
        /// The blob that was asked for.
        digest: Digest,
    },
    /// The blob was here with other bytes. It no longer is: from now on it is missing.
    #[error(
        "blob {digest} was damaged and has been set aside as {}; run the action that makes it again",
        aside.display()
    )]
    Corrupt {
        /// The blob that was asked for.
        digest: Digest,
        /// Where the damaged bytes are now.
        aside: PathBuf,
    },
    /// What came for a blob are the bytes of another one.
    #[error(
        "cannot store blob {digest}: the {received} bytes that came for it are not its bytes; send it again from its source"
    )]
    WrongBytes {
        /// The blob that was announced.
        digest: Digest,
        /// How many bytes came.
        received: u64,
    },
    /// The address of a farm's store is malformed, or settings that belong to it are missing.
    #[error(
        "cannot use {url:?} as the store of a farm: {reason}; write file:///folder, s3://bucket/prefix, gs://bucket/prefix or az://container/prefix, and set the variables AWS_*, GOOGLE_* or AZURE_* that belong to it"
    )]
    Address {
        /// What was given.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The object store does not do what it was asked.
    #[error(
        "cannot {verb} {object}: {source}; check the address, the keys and the network of the object store"
    )]
    Objects {
        /// What was tried.
        verb: &'static str,
        /// On what.
        object: String,
        /// What the object store said, or the network.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// No space left, or the quota is used up.
    #[error(
        "cannot write below {}: the disk is full; free some space there, or set a smaller size bound or another folder for the cache",
        folder.display()
    )]
    Full {
        /// The folder that was written to.
        folder: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The filesystem is mounted read-only.
    #[error(
        "cannot write below {}: the filesystem is read-only; mount it for writing or choose another folder for the cache",
        folder.display()
    )]
    ReadOnly {
        /// The folder that was written to.
        folder: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The user of this process may not do that.
    #[error(
        "cannot {verb} {}: permission denied; give this user access to it or choose another folder for the cache",
        path.display()
    )]
    Denied {
        /// What was tried.
        verb: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Something that is not a folder stands where the store needs one.
    #[error(
        "cannot use {} as a folder of the cache: it is not a folder; remove it or choose another folder for the cache",
        path.display()
    )]
    InTheWay {
        /// What stands there.
        path: PathBuf,
    },
    /// The folder was removed, emptied or replaced while this process had it open. Nothing that this process writes into it is sound.
    #[error(
        "the folder {} was removed, emptied or replaced while it was in use; start this process again, which makes it anew",
        root.display()
    )]
    TakenAway {
        /// The folder.
        root: PathBuf,
    },
    /// The folder was written by a gofarm with another layout.
    #[error(
        "the cache folder {} has format {found:?} and this gofarm reads format {expected:?}; remove the folder or choose another one",
        root.display()
    )]
    Format {
        /// The cache folder.
        root: PathBuf,
        /// What its `format` file says.
        found: String,
        /// What this version writes.
        expected: &'static str,
    },
    /// A file that was to be stored is a folder, a symbolic link or something else without bytes of its own.
    #[error("cannot store {}: it is not a regular file", path.display())]
    NotAFile {
        /// The file that was to be stored.
        path: PathBuf,
    },
    /// A file was written to while it was being hashed.
    #[error(
        "cannot store {}: it was changed while it was read; make sure that nothing writes to it and try again",
        path.display()
    )]
    Changed {
        /// The file that was to be stored.
        path: PathBuf,
    },
    /// The process is ending.
    #[error("the store was not asked, because this process is ending")]
    ShuttingDown,
    /// Something already stands where a blob was to be linked.
    #[error("cannot link a blob to {}: something is already there", path.display())]
    Exists {
        /// The destination.
        path: PathBuf,
    },
    /// A result that must not be in the action cache: of a failed action, or malformed.
    #[error("cannot record the result of action {key}: {reason}")]
    BadResult {
        /// The action.
        key: ActionKey,
        /// What is wrong with the result.
        reason: String,
    },
    /// Anything else that the system refused.
    #[error("cannot {verb} {}: {source}", path.display())]
    Io {
        /// What was tried.
        verb: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl StoreError {
    /// Whose matter this is.
    pub fn class(&self) -> ErrorClass {
        match self {
            StoreError::Address { .. }
            | StoreError::InTheWay { .. }
            | StoreError::Format { .. }
            | StoreError::NotAFile { .. }
            | StoreError::Changed { .. } => ErrorClass::User,
            StoreError::Missing { .. }
            | StoreError::Corrupt { .. }
            | StoreError::WrongBytes { .. }
            | StoreError::Full { .. }
            | StoreError::ReadOnly { .. }
            | StoreError::Denied { .. }
            | StoreError::Objects { .. }
            | StoreError::TakenAway { .. }
            | StoreError::ShuttingDown
            | StoreError::Io { .. } => ErrorClass::Environment,
            StoreError::Exists { .. } | StoreError::BadResult { .. } => ErrorClass::Bug,
        }
    }

    /// True when there is no room for what was to be written: on the disk, or in an object store that says so. Reading goes on.
    pub fn is_full(&self) -> bool {
        match self {
            StoreError::Full { .. } => true,
            // What an object store says reaches us as text: the status 507, and the codes of S3 servers with a quota.
            StoreError::Objects { source, .. } => {
                let mut text = source.to_string();
                let mut cause = source.source();
                while let Some(deeper) = cause {
                    text = format!("{text}: {deeper}");
                    cause = deeper.source();
                }
                [
                    "507 Insufficient Storage",
                    "QuotaExceeded",
                    "StorageFull",
                    "InsufficientStorage",
                ]
                .iter()
                .any(|word| text.contains(word))
            }
            _ => false,
        }
    }

    /// True for [`Missing`](StoreError::Missing) and [`Corrupt`](StoreError::Corrupt): the blob is not to be
    /// had, everything else is well, and running its action again helps.
    pub fn is_lost_blob(&self) -> bool {
        matches!(
            self,
            StoreError::Missing { .. } | StoreError::Corrupt { .. }
        )
    }
}

/// Names what was tried when the system refuses it. `folder` is what the user would look at when the disk is
/// full: the cache folder, not the temporary file in it.
pub(crate) fn io_error(
    verb: &'static str,
    path: &Path,
    folder: &Path,
) -> impl FnOnce(io::Error) -> StoreError {
    move |source| match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => StoreError::Full {
            folder: folder.to_owned(),
            source,
        },
        io::ErrorKind::ReadOnlyFilesystem => StoreError::ReadOnly {
            folder: folder.to_owned(),
            source,
        },
        io::ErrorKind::PermissionDenied => StoreError::Denied {
            verb,
            path: path.to_owned(),
            source,
        },
        _ => StoreError::Io {
            verb,
            path: path.to_owned(),
            source,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_without_room_is_told_from_one_that_is_away() {
        let objects = |said: &str| StoreError::Objects {
            verb: "put",
            object: "cas/00".to_owned(),
            source: said.to_owned().into(),
        };
        assert!(objects("Server returned non-2xx status code: 507 Insufficient Storage").is_full());
        assert!(objects("<Code>XMinioStorageFull</Code>").is_full());
        assert!(!objects("connection refused").is_full());
        let folder = Path::new("/store");
        let full = io_error("write", folder, folder)(io::ErrorKind::StorageFull.into());
        assert!(full.is_full());
        let denied = io_error("write", folder, folder)(io::ErrorKind::PermissionDenied.into());
        assert!(!denied.is_full());
    }
}
