//! The summary as a file for programs.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::summary::Summary;

/// The summary could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write the summary to {path:?}: {source}")]
pub struct SummaryError {
    /// The file.
    pub path: PathBuf,
    /// What the system said.
    pub source: io::Error,
}

impl Summary {
    /// Writes the JSON object. A reader of the file sees the old one or the whole new one, never half of it; pipes and
    /// devices are written as they are.
    ///
    /// # Errors
    /// The file and what the system said.
    pub fn write(&self, path: &Path) -> Result<(), SummaryError> {
        let write = || {
            let mut json = serde_json::to_vec_pretty(self)?;
            json.push(b'\n');
            replace(path, &json)
        };
        write().map_err(|source| SummaryError {
            path: path.to_owned(),
            source,
        })
    }
}

fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    // Where a symbolic link stands, the file that it names is replaced.
    let path = match path.canonicalize() {
        Ok(path) => path,
        // A link to nothing that can be named: standard output that goes to a file without a name, or a dangling link.
        // Replacing would put a file in the place of /dev/stdout.
        Err(error) if error.kind() == io::ErrorKind::NotFound && path.is_symlink() => {
            return fs::write(path, content);
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => path.to_owned(),
        Err(error) => return Err(error),
    };
    if path.metadata().is_ok_and(|metadata| !metadata.is_file()) {
        return File::options().write(true).open(&path)?.write_all(content);
    }
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.tmp", std::process::id()));
    let temporary = path.with_file_name(name);
    let written = fs::write(&temporary, content).and_then(|()| fs::rename(&temporary, &path));
    if written.is_err() {
        // The first error is the one to tell.
        let _ = fs::remove_file(&temporary);
    }
    written
}
