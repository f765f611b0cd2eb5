//! What planning looks up in the file system beside what cmd/go does: each way of looking is one function, because what it
//! sees is a fact that the plan rests on.

use std::path::{Path, PathBuf};

/// Whether there is a file, links followed.
pub(crate) fn is_file(path: &Path) -> bool {
    path.is_file()
}

/// Whether there is a folder, links followed.
pub(crate) fn is_folder(path: &Path) -> bool {
    path.is_dir()
}

/// The paths of what a folder holds, in order; nothing when there is no such folder.
pub(crate) fn list(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

/// The content of a file; nothing when it cannot be read.
pub(crate) fn read(path: &Path) -> Option<Vec<u8>> {
    std::fs::read(path).ok()
}
