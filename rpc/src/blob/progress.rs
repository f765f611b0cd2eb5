//! How far a call has come.

use std::sync::atomic::{AtomicU64, Ordering};

/// How far a call has come, in plain bytes of the blobs that it has to move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Moved by now. Never more than `total`: bytes that had to be sent twice count once.
    pub done: u64,
    /// To be moved in all.
    pub total: u64,
}

/// Counts what the transfers of one call have moved.
pub(super) struct Meter<'a> {
    done: AtomicU64,
    total: u64,
    tell: &'a (dyn Fn(Progress) + Send + Sync),
}

impl<'a> Meter<'a> {
    /// Tells at once how much there is to do, if anything.
    pub(super) fn new(total: u64, tell: &'a (dyn Fn(Progress) + Send + Sync)) -> Meter<'a> {
        if total > 0 {
            tell(Progress { done: 0, total });
        }
        Meter {
            done: AtomicU64::new(0),
            total,
            tell,
        }
    }

    pub(super) fn add(&self, bytes: u64) {
        if bytes == 0 {
            return;
        }
        let done = self.done.fetch_add(bytes, Ordering::Relaxed) + bytes;
        (self.tell)(Progress {
            done,
            total: self.total,
        });
    }
}

/// One blob's part, which may have to begin again without being counted again.
pub(super) struct Share<'m, 'a> {
    meter: &'m Meter<'a>,
    furthest: u64,
}

impl<'m, 'a> Share<'m, 'a> {
    pub(super) fn of(meter: &'m Meter<'a>) -> Share<'m, 'a> {
        Share { meter, furthest: 0 }
    }

    /// The blob has been moved up to here.
    pub(super) fn reach(&mut self, position: u64) {
        if let Some(more) = position.checked_sub(self.furthest) {
            self.furthest = position;
            self.meter.add(more);
        }
    }
}
