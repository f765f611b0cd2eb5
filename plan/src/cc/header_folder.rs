//! What lies in folders of headers.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::host::Kind;
use crate::lookups::Lookups;

/// A header folder with more files than this is not listed to its end.
const MOST: usize = 4000;

/// Nor is one with more than this an input as a whole.
const MOST_INPUTS: usize = 10_000;

/// The headers in a folder and in the folders below it, a few thousand at most.
pub(crate) fn headers(lookups: &Lookups, folder: &Path) -> Vec<PathBuf> {
    let mut folders = vec![folder.to_path_buf()];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for (name, kind) in lookups.names(&folder).unwrap_or_default() {
            let path = folder.join(name);
            let is_header = path.extension().is_some_and(|ext| {
                ["h", "hh", "hpp", "hxx", "inc", "inl", "def", "c"]
                    .iter()
                    .any(|known| ext == *known)
            });
            if kind == Kind::Folder {
                folders.push(path);
            } else if is_header {
                found.push(path);
            }
            if found.len() + folders.len() > MOST {
                return found;
            }
        }
    }
    found
}

/// Every file below a folder, also by way of links to folders; nothing when there are too many to make each an input.
pub(crate) fn all_below(lookups: &Lookups, folder: &Path) -> Option<Vec<PathBuf>> {
    let mut folders = vec![folder.to_path_buf()];
    let mut files = Vec::new();
    let host = lookups.host();
    let mut linked = BTreeSet::from_iter(host.real_path(folder));
    while let Some(folder) = folders.pop() {
        for (name, kind) in lookups.names(&folder).unwrap_or_default() {
            let path = folder.join(name);
            if kind == Kind::Folder {
                folders.push(path);
            } else if kind == Kind::File || (kind == Kind::Link && lookups.is_file(&path)) {
                files.push(path);
            } else if kind == Kind::Link
                && lookups.is_dir(&path)
                && host.real_path(&path).is_some_and(|to| linked.insert(to))
            {
                folders.push(path);
            }
            if files.len() + folders.len() > MOST_INPUTS {
                return None;
            }
        }
    }
    Some(files)
}
