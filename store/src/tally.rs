//! About how big the store is, without looking at every file.
//!
//! The file `tally` holds what the last walk counted and what processes have added since. Each process adds
//! in portions, so the number lags by at most a portion for each process, and a process that is killed leaves
//! at most that uncounted, until the next walk.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use crate::error::{Result, io_error};
use crate::gate::Gate;
use crate::harmless;
use crate::layout::nanos;
use crate::scan::on_disk;
use crate::temporary::ProcessFolder;

/// After this time a new walk is due, whatever the number says.
const TRUSTED_FOR: Duration = Duration::from_secs(24 * 60 * 60);

#[derive(Debug)]
pub(crate) struct Tally {
    file: PathBuf,
    /// Added by this process and not yet in the file.
    pending: AtomicU64,
    portion: u64,
}

/// The file's content: `<bytes> <seconds since the epoch of the last walk>`.
#[derive(Debug, Clone, Copy)]
struct Counted {
    bytes: u64,
    walked: u64,
}

impl Tally {
    pub(crate) fn new(file: PathBuf, max_bytes: u64) -> Tally {
        Tally {
            file,
            pending: AtomicU64::new(0),
            portion: max_bytes / 256,
        }
    }

    /// A file of this size was added to the store.
    pub(crate) fn add(&self, size: u64, gate: &Gate, own: &ProcessFolder) -> Result<()> {
        let added = on_disk(size);
        let pending = self.pending.fetch_add(added, Ordering::Relaxed) + added;
        if pending > self.portion {
            self.flush(gate, own)?;
        }
        Ok(())
    }

    /// Adds what is pending to the file, if there is one: without a walk there is nothing to add to.
    pub(crate) fn flush(&self, gate: &Gate, own: &ProcessFolder) -> Result<()> {
        let added = self.pending.swap(0, Ordering::Relaxed);
        if added == 0 {
            return Ok(());
        }
        gate.exclusive(|| match self.counted()? {
            Some(counted) => self.write(
                Counted {
                    bytes: counted.bytes + added,
                    ..counted
                },
                own,
            ),
            None => Ok(()),
        })
    }

    /// About how many bytes are stored, or nothing when a walk is due.
    pub(crate) fn estimate(&self, now: SystemTime) -> Result<Option<u64>> {
        let now = seconds(now);
        Ok(self
            .counted()?
            .filter(|c| c.walked <= now && now - c.walked < TRUSTED_FOR.as_secs())
            .map(|c| c.bytes + self.pending.load(Ordering::Relaxed)))
    }

    /// A walk begins: what was added before is in its count.
    pub(crate) fn begin_walk(&self) {
        self.pending.store(0, Ordering::Relaxed);
    }

    /// A walk has counted this many bytes.
    pub(crate) fn end_walk(
        &self,
        bytes: u64,
        now: SystemTime,
        gate: &Gate,
        own: &ProcessFolder,
    ) -> Result<()> {
        let walked = seconds(now);
        gate.exclusive(|| self.write(Counted { bytes, walked }, own))
    }

    fn counted(&self) -> Result<Option<Counted>> {
        let text = match harmless::read(&self.file) {
            Ok(text) => text,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(io_error("read", &self.file, self.folder())(e)),
        };
        // A damaged file is no file: the next walk writes it anew.
        let parse = || {
            let (bytes, walked) = std::str::from_utf8(&text)
                .ok()?
                .trim_end()
                .split_once(' ')?;
            Some(Counted {
                bytes: bytes.parse().ok()?,
                walked: walked.parse().ok()?,
            })
        };
        Ok(parse())
    }

    fn write(&self, counted: Counted, own: &ProcessFolder) -> Result<()> {
        let mut temporary = own.file()?;
        writeln!(temporary.file, "{} {}", counted.bytes, counted.walked)
            .and_then(|()| temporary.rename(&self.file))
            .map_err(io_error("write", &self.file, self.folder()))
    }

    fn folder(&self) -> &Path {
        self.file.parent().unwrap_or(&self.file)
    }
}

fn seconds(time: SystemTime) -> u64 {
    u64::try_from(nanos(time) / 1_000_000_000).unwrap_or(u64::MAX)
}
