//! Waiting for what will come.

use std::thread;
use std::time::{Duration, Instant};

/// Longer than anything takes that a test waits for, on a machine with other work.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// Looks until there is something. `what` tells what there should have been.
#[track_caller]
pub fn eventually<T>(what: impl FnOnce() -> String, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "{}", what());
        thread::sleep(Duration::from_millis(3));
    }
}
