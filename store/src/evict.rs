//! Keeping the store below its size bound.

use std::fs;
use std::io;
use std::time::SystemTime;

use crate::disk::DiskStore;
use crate::error::{Result, io_error};
use crate::gate::open_lock_file;
use crate::quarantine;
use crate::scan::{Kind, Stored};
use crate::seal::{TOUCH_AFTER, accessed};
use crate::{pin, temporary};

/// How many files are removed in one exclusive section. Others wait for about a millisecond.
const BATCH: usize = 64;

/// What an eviction did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EvictReport {
    /// Another process is evicting, so nothing was done.
    pub skipped: bool,
    /// Every file was looked at. False when the store is known to be below its bound.
    pub walked: bool,
    /// Stored bytes before, each file rounded up to 4 KiB: counted if `walked`, else about.
    pub bytes_before: u64,
    /// Stored bytes after.
    pub bytes_after: u64,
    /// Blobs removed.
    pub blobs: u64,
    /// Action results removed.
    pub actions: u64,
    /// Folders of dead processes removed.
    pub temporaries: u64,
    /// Bytes above the bound that running builds need.
    pub held_above_bound: u64,
}

impl DiskStore {
    /// Brings the store below its bound if it is above: the least recently used goes first, until a tenth of
    /// the bound is free. Spares what living pins have seen used since they began. Also removes what dead
    /// processes left in `tmp/`, and old quarantined files and findings.
    ///
    /// Costs microseconds when the store is known to be small enough; else one walk over all files. Of
    /// several processes one evicts and the others skip.
    pub fn evict(&self) -> Result<EvictReport> {
        let inner = &self.inner;
        let (layout, root) = (&inner.layout, self.root());
        let lock = open_lock_file(&layout.evict_lock(), root)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => {
                return Ok(EvictReport {
                    skipped: true,
                    ..EvictReport::default()
                });
            }
            Err(fs::TryLockError::Error(e)) => {
                return Err(io_error("lock", &layout.evict_lock(), root)(e));
            }
        }
        let now = SystemTime::now();
        let mut report = EvictReport::default();
        quarantine::tidy(&layout.quarantine(), root, now)?;
        quarantine::tidy(&layout.findings(), root, now)?;
        report.temporaries = inner.gate.exclusive(|| {
            // Also removes the files of pins that ended with their process.
            pin::oldest(layout)?;
            temporary::sweep(layout, inner.options.stale_after, now)
        })?;

        let bound = inner.options.max_bytes;
        if let Some(bytes) = inner.tally.estimate(now)?
            && bytes <= bound
        {
            report.bytes_before = bytes;
            report.bytes_after = bytes;
            return Ok(report);
        }
        self.walk_and_remove(bound, &mut report)?;
        inner
            .tally
            .end_walk(report.bytes_after, now, &inner.gate, &inner.own)?;
        Ok(report)
    }

    fn walk_and_remove(&self, bound: u64, report: &mut EvictReport) -> Result<()> {
        let mut stored = Vec::new();
        self.inner.tally.begin_walk();
        self.scan(|file| stored.push(file))?;
        report.walked = true;
        report.bytes_before = stored.iter().map(|file| file.bytes).sum();
        report.bytes_after = report.bytes_before;
        if report.bytes_before > bound {
            stored.sort_unstable_by_key(|file| file.accessed);
            let target = bound / 10 * 9;
            for batch in stored.chunks(BATCH) {
                let more = self
                    .inner
                    .gate
                    .exclusive(|| self.remove_batch(batch, target, report))?;
                if !more {
                    break;
                }
            }
        }
        report.held_above_bound = report.bytes_after.saturating_sub(bound);
        Ok(())
    }

    /// Removes files in order of their last use. False when there is nothing more to do: the target is
    /// reached, or all that follows is in use.
    ///
    /// In an exclusive section of the gate, so that a pin which begins, or marks something as used, does
    /// so before this batch and is seen, or after it and finds the files missing.
    fn remove_batch(
        &self,
        batch: &[Stored],
        target: u64,
        report: &mut EvictReport,
    ) -> Result<bool> {
        let oldest = pin::oldest(&self.inner.layout)?;
        for file in batch {
            if report.bytes_after <= target {
                return Ok(false);
            }
            let Ok(metadata) = fs::symlink_metadata(&file.path) else {
                continue;
            };
            // Access times lag behind use by up to TOUCH_AFTER; twice that also covers coarse clocks.
            if oldest.is_some_and(|began| file.accessed + 2 * TOUCH_AFTER >= began) {
                return Ok(false);
            }
            if accessed(&metadata) != file.accessed {
                continue;
            }
            match fs::remove_file(&file.path) {
                Ok(()) => {}
                Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
                Err(e) => return Err(self.failed("evict", &file.path)(e)),
            }
            report.bytes_after -= file.bytes;
            match file.kind {
                Kind::Blob => report.blobs += 1,
                Kind::Action => report.actions += 1,
            }
        }
        Ok(true)
    }

    /// Removes those of the files that have not been used since they were looked at, nor since `limit`, nor since a living
    /// pin began, and says what they were. In an exclusive section of the gate, as [`remove_batch`](Self::remove_batch).
    #[cfg(feature = "farm")]
    pub(crate) fn remove_unused(
        &self,
        batch: &[Stored],
        limit: SystemTime,
    ) -> Result<Vec<(Kind, u64)>> {
        self.inner.gate.exclusive(|| {
            let limit = match pin::oldest(&self.inner.layout)? {
                Some(began) => limit.min(began),
                None => limit,
            };
            let mut removed = Vec::new();
            for file in batch {
                let Ok(metadata) = fs::symlink_metadata(&file.path) else {
                    continue;
                };
                if accessed(&metadata) != file.accessed || file.accessed + 2 * TOUCH_AFTER >= limit
                {
                    continue;
                }
                match fs::remove_file(&file.path) {
                    Ok(()) => removed.push((file.kind, file.bytes)),
                    Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                    Err(e) => return Err(self.failed("collect", &file.path)(e)),
                }
            }
            Ok(removed)
        })
    }
}
