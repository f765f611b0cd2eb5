//! What keeps blobs from eviction: running builds, as other processes see them.

use std::fs::{self, File};
use std::io;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::disk::DiskStore;
use crate::error::{Result, io_error};
use crate::gate::open_lock_file;
use crate::harmless;
use crate::layout::{Layout, unique_name};

/// A running build, or whatever else relies on what it has used. While it lives, nothing that any process used since it began is evicted.
///
/// It is a locked file named by the time of its beginning. The lock ends with the process, so a build that was
/// killed protects nothing.
#[derive(Debug)]
pub struct Pin {
    path: PathBuf,
    _lock: File,
    // Keeps the scratch folder of the build in place.
    _store: DiskStore,
}

impl DiskStore {
    /// Begins a pin. To be held for as long as the build needs what it has used.
    pub fn pin(&self) -> Result<Pin> {
        // Inside the gate, since eviction reads the pins there: it sees this one or has removed
        // nothing that this one has seen; and a file without its lock would be taken for a dead one's.
        self.inner.gate.exclusive(|| {
            let path = self.inner.layout.sessions().join(unique_name());
            let lock = open_lock_file(&path, self.root())?;
            lock.lock().map_err(self.failed("lock", &path))?;
            Ok(Pin {
                path,
                _lock: lock,
                _store: self.clone(),
            })
        })
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        // Removed before it is unlocked. If it stays, the next eviction finds it unlocked.
        let _ = fs::remove_file(&self.path);
    }
}

/// When the oldest living pin began. Removes the files of dead ones. To be called inside the gate.
pub(crate) fn oldest(layout: &Layout) -> Result<Option<SystemTime>> {
    let folder = layout.sessions();
    let failed = || io_error("list the folder", &folder, layout.root());
    let mut oldest = None;
    for entry in fs::read_dir(&folder).map_err(failed())? {
        let path = entry.map_err(failed())?.path();
        let lock = match harmless::open(&path) {
            Ok(lock) => lock,
            Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
            Err(e) => return Err(io_error("open", &path, layout.root())(e)),
        };
        if lock.try_lock().is_ok() {
            match fs::remove_file(&path) {
                Ok(()) => continue,
                // It ended between the two looks, and took its file with it.
                Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
                Err(e) => return Err(io_error("remove", &path, layout.root())(e)),
            }
        }
        let began = path
            .file_name()
            .and_then(|name| name.to_str()?.split('-').next()?.parse().ok())
            // A locked file of another name: whoever it is began at some time, so all is in use.
            .map_or(UNIX_EPOCH, |nanos| UNIX_EPOCH + Duration::from_nanos(nanos));
        oldest = Some(oldest.map_or(began, |other: SystemTime| other.min(began)));
    }
    Ok(oldest)
}
