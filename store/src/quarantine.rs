//! Damaged files are kept for a while, out of the way, so that somebody can see what happened to them.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::disk::DiskStore;
use crate::error::{Result, io_error};
use crate::layout::unique_name;

/// How long damaged files and findings are kept.
const KEEP: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// How many of them are kept in each folder, the newest.
const KEEP_COUNT: usize = 100;

/// What was found damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Damaged {
    Blob,
    Action,
}

impl DiskStore {
    /// Moves the file that `seen` describes into the quarantine and counts it. Nothing, when another file is
    /// there by now: another process has set the damaged one aside, or has put a good one in its place.
    pub(crate) fn set_aside(
        &self,
        path: &Path,
        seen: &Metadata,
        kind: Damaged,
    ) -> Result<Option<PathBuf>> {
        self.inner
            .gate
            .exclusive(|| self.set_aside_in_gate(path, seen, kind))
    }

    /// [`set_aside`](DiskStore::set_aside) for a caller that holds the gate.
    pub(crate) fn set_aside_in_gate(
        &self,
        path: &Path,
        seen: &Metadata,
        kind: Damaged,
    ) -> Result<Option<PathBuf>> {
        let same = fs::symlink_metadata(path)
            .is_ok_and(|now| now.ino() == seen.ino() && now.mtime() == seen.mtime());
        if !same {
            return Ok(None);
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let aside = self
            .inner
            .layout
            .quarantine()
            .join(format!("{name}.{}", unique_name()));
        match fs::rename(path, &aside) {
            Ok(()) => {}
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(self.failed("set aside", path)(e)),
        }
        let count = match kind {
            Damaged::Blob => &self.inner.corrupt_blobs,
            Damaged::Action => &self.inner.corrupt_actions,
        };
        count.fetch_add(1, Ordering::Relaxed);
        Ok(Some(aside))
    }
}

/// Removes what is old, and the oldest of what is too much. Returns how many files it removed.
pub(crate) fn tidy(folder: &Path, root: &Path, now: SystemTime) -> Result<u64> {
    let failed = || io_error("list the folder", folder, root);
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed())? {
        let entry = entry.map_err(failed())?;
        // The time of the last status change is when it was moved here; a blob's other times are its own.
        if let Ok(metadata) = entry.metadata() {
            let seconds = u64::try_from(metadata.ctime()).unwrap_or(0);
            files.push((UNIX_EPOCH + Duration::from_secs(seconds), entry.path()));
        }
    }
    files.sort_unstable_by(|a, b| b.cmp(a));
    let mut removed = 0;
    for (index, (since, path)) in files.iter().enumerate() {
        if index < KEEP_COUNT && *since + KEEP > now {
            continue;
        }
        let outcome = if path.is_dir() && !path.is_symlink() {
            fs::remove_dir_all(path)
        } else {
            fs::remove_file(path)
        };
        match outcome {
            Ok(()) => removed += 1,
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(io_error("remove", path, root)(e)),
        }
    }
    Ok(removed)
}
