//! Digests of the files of this machine, remembered in the local index.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::SystemTime;

use gofarm_proto::Digest;
use gofarm_store::{FileIndex, FileRecord, GoFileHash};

use crate::error::PlanError;
use crate::snapshot::header::header_digest;

/// Fewer files are looked at before a thread has begun.
const WORTH_A_THREAD: usize = 64;

/// What is known of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recorded {
    /// BLAKE3 and size.
    pub digest: Digest,
    /// What cmd/go prints in `file NAME HASH`.
    pub go_hash: GoFileHash,
    /// Digest of what planning depends on.
    pub header: [u8; 32],
}

/// The files that one build reads: each is looked at once, so that a build sees one state of it.
#[derive(Debug)]
pub struct SourceFiles<'a> {
    index: &'a FileIndex,
    /// By path, which as text is compared and hashed faster than component by component.
    seen: HashMap<OsString, Recorded>,
    fooled: bool,
}

impl<'a> SourceFiles<'a> {
    /// Over this index.
    pub fn new(index: &'a FileIndex) -> SourceFiles<'a> {
        SourceFiles {
            index,
            seen: HashMap::new(),
            fooled: false,
        }
    }

    /// Whether a file was found to be another one than size and modification time say, as far as planning depends on it:
    /// cmd/go, which believes these, plans with what was there before.
    pub fn fooled(&self) -> bool {
        self.fooled
    }

    /// Looks whether this is a file that is another one than size and modification time say.
    pub(crate) fn doubt(&mut self, path: &Path) {
        let known = fs::metadata(path)
            .ok()
            .filter(|metadata| self.index.knows(path, metadata));
        if known.is_some() {
            // What is wrong with the file is told when it is needed.
            let _ = self.record(path);
        }
    }

    /// Looks at many files at once. What is wrong with one of them is told when it is [asked for](SourceFiles::record).
    pub(crate) fn record_all(&mut self, paths: &[PathBuf]) {
        let unseen: Vec<&PathBuf> = paths
            .iter()
            .filter(|path| !self.seen.contains_key(path.as_os_str()))
            .collect();
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let threads = threads.min(unseen.len() / WORTH_A_THREAD);
        if threads < 2 {
            return;
        }
        let next = AtomicUsize::new(0);
        let index = self.index;
        let look = || {
            let mut found = SourceFiles::new(index);
            while let Some(path) = unseen.get(next.fetch_add(1, Ordering::Relaxed)) {
                let _ = found.record(path);
            }
            found
        };
        let found: Vec<SourceFiles<'_>> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..threads).map(|_| scope.spawn(look)).collect();
            threads
                .into_iter()
                .filter_map(|thread| thread.join().ok())
                .collect()
        });
        for files in found {
            self.fooled |= files.fooled;
            self.seen.extend(files.seen);
        }
    }

    /// Digests of the file as it is now, from the index when its times say that it has not changed.
    pub fn record(&mut self, path: &Path) -> Result<Recorded, PlanError> {
        if let Some(recorded) = self.seen.get(path.as_os_str()) {
            return Ok(*recorded);
        }
        let fail = |source| PlanError::File {
            path: path.display().to_string(),
            source,
        };
        let metadata = fs::metadata(path).map_err(fail)?;
        if !metadata.is_file() {
            // A pipe would be waited for.
            return Err(fail(std::io::Error::other("it is not a regular file")));
        }
        let (known, unseen) = self.index.known(path, &metadata);
        let record = match known {
            Some(record) => {
                self.fooled |= unseen;
                record
            }
            None => {
                let now = SystemTime::now();
                let content = fs::read(path).map_err(fail)?;
                let record = FileRecord::of(&content, header_digest(path, &content));
                self.index.insert(path, &metadata, now, &record);
                self.fooled |= self.index.changed_unseen(path, &metadata);
                record
            }
        };
        let recorded = Recorded {
            digest: record.digest,
            go_hash: record.go_hash,
            header: record.header,
        };
        self.seen.insert(path.as_os_str().to_owned(), recorded);
        Ok(recorded)
    }
}
