//! Times in the answers of a farm.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use gofarm_amount::TimeSpan;

/// Milliseconds since the epoch as a point in time.
pub fn moment(ms: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(ms)
}

/// How long ago that was. The farm's clock may be ahead of ours.
pub fn ago(then: SystemTime, now: SystemTime) -> String {
    let since = now.duration_since(then).unwrap_or_default();
    format!("{} ago", TimeSpan(since))
}
