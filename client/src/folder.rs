//! Where the user stands.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::cli::UsageError;

/// The working folder as the user knows it: PWD when it names the same folder, as os.Getwd of Go has it.
fn working_folder() -> anyhow::Result<PathBuf> {
    let physical = std::env::current_dir()
        .context("the working folder cannot be found; has it been removed?")?;
    let named = std::env::var_os("PWD").map(PathBuf::from);
    Ok(named
        .filter(|named| named.is_absolute() && same(named, &physical))
        .unwrap_or(physical))
}

/// The [working folder](working_folder), or the one that `-C` names from there.
///
/// # Errors
/// Also where there is no such folder.
pub fn chosen_folder(chdir: Option<&Path>) -> anyhow::Result<PathBuf> {
    let folder = working_folder()?;
    let Some(named) = chdir else {
        return Ok(folder);
    };
    let folder = folder.join(named);
    if folder.is_dir() {
        return Ok(folder);
    }
    Err(UsageError::new(format!("gofarm: -C {}: no such folder", named.display())).into())
}

fn same(a: &Path, b: &Path) -> bool {
    let identity = |path: &Path| path.metadata().ok().map(|meta| (meta.dev(), meta.ino()));
    identity(a).is_some() && identity(a) == identity(b)
}
