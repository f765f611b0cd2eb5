//! Where the user stands.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::Context;

/// The working folder as the user knows it: PWD when it names the same folder, as os.Getwd of Go has it.
pub fn working_folder() -> anyhow::Result<PathBuf> {
    let physical = std::env::current_dir()
        .context("the working folder cannot be found; has it been removed?")?;
    let named = std::env::var_os("PWD").map(PathBuf::from);
    Ok(named
        .filter(|named| named.is_absolute() && same(named, &physical))
        .unwrap_or(physical))
}

fn same(a: &Path, b: &Path) -> bool {
    let identity = |path: &Path| path.metadata().ok().map(|meta| (meta.dev(), meta.ino()));
    identity(a).is_some() && identity(a) == identity(b)
}
