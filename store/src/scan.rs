//! A walk over everything that is stored.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::disk::DiskStore;
use crate::error::Result;
use crate::seal::accessed;

/// Blocks of common filesystems. Each file is counted in whole blocks.
const BLOCK: u64 = 4096;

/// What a store holds, by a walk over all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Blobs in the CAS.
    pub blobs: u64,
    /// Their bytes, each rounded up to 4 KiB.
    pub blob_bytes: u64,
    /// Entries of the action cache.
    pub actions: u64,
    /// Their bytes, each rounded up to 4 KiB.
    pub action_bytes: u64,
    /// Damaged files that were set aside and not yet removed.
    pub quarantined: u64,
    /// Second results of actions that gave different outputs for one key.
    pub findings: u64,
}

impl Usage {
    /// What counts towards the size bound.
    pub fn bytes(&self) -> u64 {
        self.blob_bytes + self.action_bytes
    }
}

/// A stored file, as eviction sees it.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) accessed: SystemTime,
    /// What it takes on the disk.
    pub(crate) bytes: u64,
    pub(crate) size: u64,
    pub(crate) kind: Kind,
    pub(crate) path: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Blob,
    Action,
}

/// What a file of this size takes on the disk.
pub(crate) fn on_disk(size: u64) -> u64 {
    size.div_ceil(BLOCK) * BLOCK
}

impl DiskStore {
    /// Counts everything. Looks at every file: for messages, not for every build.
    pub fn usage(&self) -> Result<Usage> {
        let mut usage = Usage::default();
        self.scan(|stored| {
            let (count, bytes) = match stored.kind {
                Kind::Blob => (&mut usage.blobs, &mut usage.blob_bytes),
                Kind::Action => (&mut usage.actions, &mut usage.action_bytes),
            };
            *count += 1;
            *bytes += stored.bytes;
        })?;
        usage.quarantined = self.entries(&self.inner.layout.quarantine())?.len() as u64;
        usage.findings = self.entries(&self.inner.layout.findings())?.len() as u64;
        Ok(usage)
    }

    pub(crate) fn scan(&self, mut each: impl FnMut(Stored)) -> Result<()> {
        let layout = &self.inner.layout;
        for (folder, kind) in [(layout.cas(), Kind::Blob), (layout.actions(), Kind::Action)] {
            for shard in self.entries(&folder)? {
                for entry in self.entries(&shard.path())? {
                    // Files go while we look; those that went count for nothing.
                    let Ok(metadata) = entry.metadata() else {
                        continue;
                    };
                    each(Stored {
                        accessed: accessed(&metadata),
                        bytes: on_disk(metadata.len()),
                        size: metadata.len(),
                        kind,
                        path: entry.path(),
                    });
                }
            }
        }
        Ok(())
    }

    fn entries(&self, folder: &Path) -> Result<Vec<fs::DirEntry>> {
        let listed = fs::read_dir(folder).and_then(Iterator::collect);
        match listed {
            Err(e) if e.kind() == io::ErrorKind::NotADirectory => Ok(Vec::new()),
            outcome => outcome.map_err(self.failed("list the folder", folder)),
        }
    }
}
