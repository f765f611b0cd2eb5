//! Looking for damage before anybody meets it.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use gofarm_proto::Digest;

use crate::disk::DiskStore;
use crate::error::{Result, StoreError};
use crate::scan::Kind;
use crate::seal::is_sealed;

/// What a look at one blob found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scrubbed {
    /// It has the bytes of its digest.
    Sound,
    /// It had not, and has been set aside here.
    Damaged(PathBuf),
    /// It was evicted or replaced meanwhile.
    Gone,
}

impl DiskStore {
    /// All blobs that this process has not verified for so long: first those that it never has, then by how long that is.
    /// Looks at every file.
    pub fn due_for_scrub(&self, after: Duration, now: Instant) -> Result<Vec<Digest>> {
        let mut due = Vec::new();
        self.scan(|stored| {
            let name = stored.path.file_name().unwrap_or_default();
            let Some(hash) = name.to_str().and_then(|name| {
                let mut hash = [0; 32];
                hex::decode_to_slice(name, &mut hash).ok()?;
                Some(hash)
            }) else {
                return;
            };
            let digest = Digest {
                hash,
                size: stored.size,
            };
            let verified = self.inner.verification.last(&digest);
            let age = verified.map(|at| now.saturating_duration_since(at));
            let is_due = age.is_none_or(|age| age >= after);
            if stored.kind == Kind::Blob && is_due {
                due.push((verified, digest));
            }
        })?;
        due.sort_unstable();
        Ok(due.into_iter().map(|(_, digest)| digest).collect())
    }

    /// Hashes a blob, whatever is known of it, and sets it aside when it is damaged. It does not count as used: a scrub does
    /// not change what is evicted first.
    ///
    /// # Errors
    ///
    /// What the system refuses.
    pub fn scrub(&self, digest: &Digest, now: Instant) -> Result<Scrubbed> {
        let path = self.path(digest);
        let looked = match fs::symlink_metadata(&path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Scrubbed::Gone),
            Err(e) => return Err(self.failed("look at", &path)(e)),
            // Whoever broke the seal has written to it: it is compared, and sealed again, as at its next use.
            Ok(file) if !is_sealed(&file, digest.size) => self.check(digest).map(Some),
            Ok(_) => self
                .compare(digest, &path, now)
                .map(|file| file.map(|_| path)),
        };
        match looked {
            Ok(Some(_)) => Ok(Scrubbed::Sound),
            Ok(None) | Err(StoreError::Missing { .. }) => Ok(Scrubbed::Gone),
            Err(StoreError::Corrupt { aside, .. }) => Ok(Scrubbed::Damaged(aside)),
            Err(error) => Err(error),
        }
    }
}
