//! How blobs get to where they are used: as hard links.

use std::io;
use std::path::Path;

use gofarm_proto::Digest;
use gofarm_tree::{Entry, Folder, TreeError};

use crate::disk::DiskStore;
use crate::error::{Result, StoreError, io_error};
use crate::harmless;
use crate::seal::seal;

impl DiskStore {
    /// Makes `dest` a hard link to the blob, after a [`check`](DiskStore::check). A copy where the system
    /// refuses a link: on another filesystem, or when the blob has as many links as the filesystem allows.
    /// Whatever happens, `dest` is the whole blob or does not exist.
    ///
    /// The link is the blob itself: whoever writes to it damages the blob, which the next check finds, or the next
    /// [verification](DiskStore::verified) when the modification time was put back. Whoever removes the link does so in
    /// [`own_change`](DiskStore::own_change), or the blob is hashed again. The folders in `dest` are believed; in a tree that
    /// somebody else writes there is [`link_into`](DiskStore::link_into).
    ///
    /// # Errors
    ///
    /// As [`check`](DiskStore::check), and [`StoreError::Exists`] when something is at `dest`.
    pub fn link(&self, digest: &Digest, dest: &Path) -> Result<()> {
        let folder = dest.parent().unwrap_or(dest);
        let name = dest.file_name().unwrap_or_default();
        let failed = |error| io_error("link a blob to", dest, folder)(error);
        let opened = Folder::open(folder).map_err(failed)?;
        let entry = opened.child(name).map_err(|error| failed(error.into()))?;
        self.link_to(digest, &entry, dest, folder)
    }

    /// Likewise, to a name in a tree. `called` is what messages call it.
    pub fn link_into(&self, digest: &Digest, entry: &Entry<'_>, called: &Path) -> Result<()> {
        self.link_to(digest, entry, called, self.root())
    }

    /// `folder` is where to look when the disk is full.
    fn link_to(
        &self,
        digest: &Digest,
        entry: &Entry<'_>,
        called: &Path,
        folder: &Path,
    ) -> Result<()> {
        let blob = self.check(digest)?;
        let Err(error) = self.own_change(digest, || entry.link_from(&blob)) else {
            return Ok(());
        };
        match error.kind() {
            io::ErrorKind::AlreadyExists => Err(StoreError::Exists {
                path: called.to_owned(),
            }),
            // Not permitted: a filesystem without hard links, or a blob of another user on a system with
            // protected hard links. Where the entry itself is the matter, the copy says so.
            io::ErrorKind::CrossesDevices
            | io::ErrorKind::TooManyLinks
            | io::ErrorKind::PermissionDenied => self.copy_to(digest, &blob, entry, called, folder),
            io::ErrorKind::NotFound if !blob.exists() => {
                Err(StoreError::Missing { digest: *digest })
            }
            _ => Err(io_error("link a blob to", called, folder)(error)),
        }
    }

    fn copy_to(
        &self,
        digest: &Digest,
        blob: &Path,
        entry: &Entry<'_>,
        called: &Path,
        folder: &Path,
    ) -> Result<()> {
        let failed = |error| io_error("copy a blob to", called, folder)(error);
        let mut from = match harmless::open(blob) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                return Err(StoreError::Missing { digest: *digest });
            }
            opened => opened.map_err(failed)?,
        };
        let mut to = match entry.create(0o600) {
            Err(e) if e.io_kind() == Some(io::ErrorKind::AlreadyExists) => {
                return Err(StoreError::Exists {
                    path: called.to_owned(),
                });
            }
            created => created.map_err(|error| failed(error.into()))?,
        };
        let copied = io::copy(&mut from, &mut to).and_then(|size| {
            // The copy is the blob's equal in all that a tool could see.
            seal(&to)?;
            Ok(size)
        });
        let refused = match copied {
            Ok(size) if size == digest.size => return Ok(()),
            Ok(_) => StoreError::Missing { digest: *digest },
            Err(error) => failed(error),
        };
        entry
            .unlink()
            .map_err(|error: TreeError| io_error("remove", called, folder)(error.into()))?;
        Err(refused)
    }
}
