//! Temporary files: each process has a folder of its own, and a lock that says whether it lives.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use gofarm_tree::Folder;

use crate::error::{Result, io_error};
use crate::gate::open_lock_file;
use crate::harmless;
use crate::layout::{Layout, unique_name};

/// The name of the lock inside a process's folder.
const LOCK: &str = "lock";

/// `tmp/<process>/`, locked for as long as this value lives.
#[derive(Debug)]
pub(crate) struct ProcessFolder {
    path: PathBuf,
    root: PathBuf,
    _lock: File,
}

impl ProcessFolder {
    /// To be called inside the gate: between making the folder and locking it, a sweep would take it for
    /// one of a dead process.
    pub(crate) fn create(layout: &Layout) -> Result<ProcessFolder> {
        let root = layout.root();
        let path = layout.temporaries().join(unique_name());
        for folder in [path.clone(), path.join("ingest"), path.join("scratch")] {
            fs::create_dir(&folder).map_err(io_error("create the folder", &folder, root))?;
        }
        let lock_path = path.join(LOCK);
        let lock = open_lock_file(&lock_path, root)?;
        lock.lock().map_err(io_error("lock", &lock_path, root))?;
        Ok(ProcessFolder {
            path,
            root: root.to_owned(),
            _lock: lock,
        })
    }

    pub(crate) fn scratch(&self) -> PathBuf {
        self.path.join("scratch")
    }

    /// A new empty file on the filesystem of the store.
    pub(crate) fn file(&self) -> Result<TemporaryFile> {
        let name = self.name();
        let file = File::options()
            .create_new(true)
            .read(true)
            .write(true)
            .open(&name.path)
            .map_err(io_error("create", &name.path, &self.root))?;
        Ok(TemporaryFile { name, file })
    }

    /// A path that nobody else uses, on the filesystem of the store.
    pub(crate) fn name(&self) -> TemporaryName {
        TemporaryName {
            path: self.path.join("ingest").join(unique_name()),
            renamed: false,
        }
    }
}

impl Drop for ProcessFolder {
    fn drop(&mut self) {
        // What cannot be removed now is swept later.
        let _ = remove_tree(&self.path);
    }
}

/// A file that is removed unless it is renamed away.
#[derive(Debug)]
pub(crate) struct TemporaryFile {
    name: TemporaryName,
    pub(crate) file: File,
}

impl TemporaryFile {
    pub(crate) fn path(&self) -> &Path {
        self.name.path()
    }

    /// As [`TemporaryName::rename`].
    pub(crate) fn rename(&mut self, to: &Path) -> io::Result<()> {
        self.name.rename(to)
    }
}

/// A name whose file, if it gets one, is removed unless it is renamed away.
#[derive(Debug)]
pub(crate) struct TemporaryName {
    path: PathBuf,
    renamed: bool,
}

impl TemporaryName {
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Gives the file its name, replacing what has it, and making the folder if this is its first file.
    pub(crate) fn rename(&mut self, to: &Path) -> io::Result<()> {
        rename_into_shard(&self.path, to)?;
        self.renamed = true;
        Ok(())
    }
}

impl Drop for TemporaryName {
    fn drop(&mut self) {
        if !self.renamed {
            // What cannot be removed now goes with the process's folder.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Renames, making the folder of a shard when its first file comes.
fn rename_into_shard(from: &Path, to: &Path) -> io::Result<()> {
    match (fs::rename(from, to), to.parent()) {
        // Whether the folder is there by now says nothing: another process may just have made it.
        (Err(e), Some(shard)) if e.kind() == io::ErrorKind::NotFound => {
            fs::create_dir_all(shard)?;
            fs::rename(from, to)
        }
        (outcome, _) => outcome,
    }
}

/// Removes the folders of processes that are dead and have written nothing for `stale_after`. Returns how
/// many. To be called inside the gate.
pub(crate) fn sweep(layout: &Layout, stale_after: Duration, now: SystemTime) -> Result<u64> {
    let folder = layout.temporaries();
    let mut removed = 0;
    let entries =
        fs::read_dir(&folder).map_err(io_error("list the folder", &folder, layout.root()))?;
    for entry in entries {
        let path = entry
            .map_err(io_error("list the folder", &folder, layout.root()))?
            .path();
        if last_written(&path).is_none_or(|at| at + stale_after > now) || is_alive(&path) {
            continue;
        }
        remove_tree(&path).map_err(io_error("remove the folder", &path, layout.root()))?;
        removed += 1;
    }
    Ok(removed)
}

/// The newest modification time of the folder and the folders in it: making a file changes its folder's.
fn last_written(path: &Path) -> Option<SystemTime> {
    ["", "ingest", "scratch"]
        .iter()
        .filter_map(|name| fs::symlink_metadata(path.join(name)).ok()?.modified().ok())
        .max()
}

fn is_alive(path: &Path) -> bool {
    // A folder without a lock file was left by a process that died before it made one.
    match harmless::open(&path.join(LOCK)) {
        Ok(lock) => lock.try_lock().is_err(),
        Err(_) => false,
    }
}

/// Removes a folder and all below it, whatever an action has left there.
pub(crate) fn remove_tree(path: &Path) -> io::Result<()> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    match Folder::open(folder) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        folder => Ok(folder?.remove(name)?),
    }
}
