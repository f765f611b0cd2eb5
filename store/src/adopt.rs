//! Files that become blobs without being copied.
//!
//! What is taken over may lie in a tree that somebody else has written, and still writes: so it is never looked up by a path,
//! but is an open file, with the folder where it has its name. Only a file that is nobody else's becomes a blob itself. To
//! move one that has another name would be to move, seal and serve a file of the machine.

use std::fs::{self, File, Metadata};
use std::io::{self, Seek};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use gofarm_proto::Digest;
use gofarm_tree::{Entry, FileId, Folder, Problem, Status, TreeError, TreeFile};

use crate::disk::DiskStore;
use crate::error::{Result, StoreError};
use crate::ingest::hash;
use crate::seal::seal;

/// What changes when a file is written to: size and modification time.
type State = (u64, i64, i64);

impl DiskStore {
    /// Hashes a file that nobody writes any more and moves it into the store. Afterwards nothing is at `path`.
    ///
    /// It is copied instead where it cannot be moved: on another filesystem, owned by somebody else, or
    /// known by a second name, through which it could still be written. The folders in `path` are believed; for a file in a
    /// tree that somebody else writes there is [`adopt`](DiskStore::adopt).
    ///
    /// # Errors
    ///
    /// [`StoreError::NotAFile`] for anything but a regular file, a symbolic link among them (moving it would
    /// store the link), and [`StoreError::Changed`] when it is being written after all.
    pub fn adopt_file(&self, path: &Path) -> Result<Digest> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(StoreError::NotAFile {
                path: path.to_owned(),
            });
        };
        // A bare name is one in the working folder.
        let parent = match parent.as_os_str().is_empty() {
            true => Path::new("."),
            false => parent,
        };
        let folder = Folder::open(parent).map_err(self.failed("store", path))?;
        let entry = folder.child(name).map_err(|e| self.refused(e, path))?;
        let opened = entry.open().map_err(|e| self.refused(e, path))?;
        self.adopt(&entry, opened, path)
    }

    /// Likewise, for a file that the caller has opened by this entry and allows to be stored. `called` is what messages call
    /// it.
    ///
    /// It is [copied](DiskStore::adopt_file) where it is not the caller's alone. Whatever takes its name meanwhile is not
    /// stored.
    ///
    /// # Errors
    ///
    /// [`StoreError::Changed`] when it is written meanwhile, or something else gets its name.
    pub fn adopt(&self, entry: &Entry<'_>, opened: TreeFile, called: &Path) -> Result<Digest> {
        let TreeFile { mut file, status } = opened;
        let before = state(&file).map_err(self.failed("read", called))?;
        let mut digest = hash(&file).map_err(self.failed("read", called))?;
        if state(&file).map_err(self.failed("read", called))? != before {
            return Err(changed(called));
        }
        if !self.present(&digest)? {
            let ours = status.names == 1 && status.is_own();
            if ours && self.take(entry, &file, &digest, before, called)? {
                return Ok(digest);
            }
            file.rewind().map_err(self.failed("read", called))?;
            let mut copy = self.inner.own.file()?;
            digest = self.copy(&mut file, called, &mut copy)?;
            if !self.present(&digest)? {
                self.finish(copy, &digest)?;
            }
        }
        entry.unlink().map_err(|e| self.refused(e, called))?;
        Ok(digest)
    }

    /// Whether the blob is this very file.
    pub fn is_blob(&self, digest: &Digest, file: FileId) -> bool {
        fs::symlink_metadata(self.path(digest))
            .is_ok_and(|found| Status::of_metadata(&found).id == file)
    }

    /// Makes the file itself the blob. False where that cannot be.
    fn take(
        &self,
        entry: &Entry<'_>,
        file: &File,
        digest: &Digest,
        hashed: State,
        called: &Path,
    ) -> Result<bool> {
        let mut aside = self.inner.own.name();
        match entry.move_to(aside.path()) {
            Ok(()) => {}
            Err(e)
                if matches!(
                    e.kind(),
                    io::ErrorKind::CrossesDevices | io::ErrorKind::PermissionDenied
                ) =>
            {
                return Ok(false);
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Err(changed(called)),
            Err(e) => return Err(self.failed("move into the store", called)(e)),
        }
        // A name is moved, and it may have come to mean another file since this one was opened. From here on only we know it.
        let moved = fs::symlink_metadata(aside.path()).map_err(self.failed("read", called))?;
        let now = file.metadata().map_err(self.failed("read", called))?;
        if Status::of_metadata(&moved).id != Status::of_metadata(&now).id
            || state_of(&now) != hashed
        {
            return Err(changed(called));
        }
        if now.nlink() != 1 {
            return Ok(false);
        }
        let path = self.path(digest);
        seal(file)
            .and_then(|()| aside.rename(&path))
            .map_err(self.failed("store a blob as", &path))?;
        self.wrote(digest, file);
        self.count(digest.size)?;
        Ok(true)
    }

    fn refused(&self, error: TreeError, called: &Path) -> StoreError {
        match error.problem {
            Problem::Io { source, .. } => self.failed("store", called)(source),
            Problem::Link | Problem::NotAFile(_) | Problem::NotAFolder(_) | Problem::Mounted => {
                StoreError::NotAFile {
                    path: called.to_owned(),
                }
            }
        }
    }
}

fn changed(called: &Path) -> StoreError {
    StoreError::Changed {
        path: called.to_owned(),
    }
}

fn state(file: &File) -> io::Result<State> {
    file.metadata().map(|metadata| state_of(&metadata))
}

fn state_of(metadata: &Metadata) -> State {
    (metadata.len(), metadata.mtime(), metadata.mtime_nsec())
}
