//! The gate: short mutual exclusion between all threads and processes on one cache folder.
//!
//! Almost nothing takes it. Reading, checking and linking need no lock, since a blob is whole or absent.
//! It guards the few places where one party looks and then acts on what it saw:
//!
//! - *shared*: setting an access time ("I use this") against eviction, which looks at it and then removes;
//! - *exclusive*: removing a batch in eviction, setting a file aside, recording an action, beginning a
//!   pin, adding to the tally.
//!
//! The lock is advisory (`flock`), so it ends with the process that holds it, however that ends.

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::error::{Result, io_error};

#[derive(Debug)]
pub(crate) struct Gate {
    path: PathBuf,
    // The lock belongs to the open file, so the threads of this process share it: the mutex keeps one
    // from releasing what another holds.
    file: Mutex<File>,
    /// Device and inode of the file.
    identity: (u64, u64),
}

impl Gate {
    pub(crate) fn open(path: PathBuf, root: &Path) -> Result<Gate> {
        let file = open_lock_file(&path, root)?;
        let opened = file.metadata().map_err(io_error("look at", &path, root))?;
        Ok(Gate {
            path,
            file: Mutex::new(file),
            identity: (opened.dev(), opened.ino()),
        })
    }

    /// Whether the file that is locked here is the one that others find. Else they and this process exclude each other no more.
    pub(crate) fn is_in_place(&self) -> std::io::Result<bool> {
        let found = fs::metadata(&self.path)?;
        Ok((found.dev(), found.ino()) == self.identity)
    }

    /// Runs `body` while no process is in an exclusive section. Not reentrant.
    pub(crate) fn shared<T>(&self, body: impl FnOnce() -> Result<T>) -> Result<T> {
        self.locked(File::lock_shared, body)
    }

    /// Runs `body` while no other process or thread is in any section. Not reentrant.
    pub(crate) fn exclusive<T>(&self, body: impl FnOnce() -> Result<T>) -> Result<T> {
        self.locked(File::lock, body)
    }

    fn locked<T>(
        &self,
        lock: fn(&File) -> std::io::Result<()>,
        body: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        // A panic in a section leaves nothing half done that the next holder could see.
        let file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        lock(&file).map_err(io_error("lock", &self.path, &self.path))?;
        let outcome = body();
        file.unlock()
            .map_err(io_error("unlock", &self.path, &self.path))?;
        outcome
    }
}

/// Opens a file that exists to be locked, making it if needed.
pub(crate) fn open_lock_file(path: &Path, root: &Path) -> Result<File> {
    File::options()
        .create(true)
        .truncate(false)
        .write(true)
        // Of a pipe in its place, nobody's end is waited for.
        .custom_flags(rustix::fs::OFlags::NONBLOCK.bits() as i32)
        .open(path)
        .map_err(io_error("open the lock file", path, root))
}
