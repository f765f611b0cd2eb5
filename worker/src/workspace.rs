//! The folders of one action, gone when it is over.

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{ExecuteError, Result};

/// Three folders beside each other: the exec root, a private `/tmp`, and a place to build the sandbox's root on.
///
/// Removed with all they hold when this is dropped; no process that could write there may run any more by then.
#[derive(Debug)]
pub(crate) struct Workspace {
    base: PathBuf,
}

impl Workspace {
    /// Makes the folders in a new folder of this name, which nobody else uses.
    pub fn create(scratch: &Path, name: &str) -> Result<Workspace> {
        let base = scratch.join(name);
        fs::create_dir(&base).map_err(ExecuteError::io("making the folder", &base))?;
        let workspace = Workspace { base };
        for folder in [workspace.exec(), workspace.tmp(), workspace.root()] {
            fs::create_dir(&folder).map_err(ExecuteError::io("making the folder", &folder))?;
        }
        Ok(workspace)
    }

    /// The folder that is mounted or written as the exec root. Its name is short: it is put into many texts.
    pub fn exec(&self) -> PathBuf {
        self.base.join("x")
    }

    /// What a sandbox shows as `/tmp`. On disk, so that a linker's large temporary files do not take memory.
    pub fn tmp(&self) -> PathBuf {
        self.base.join("t")
    }

    /// Stays empty: mounts on it are seen only inside the sandbox.
    pub fn root(&self) -> PathBuf {
        self.base.join("r")
    }
}

impl Drop for Workspace {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.base) {
            // The store sweeps what is left when this process has ended.
            tracing::warn!(folder = %self.base.display(), %error, "cannot remove the folder of an action");
        }
    }
}
