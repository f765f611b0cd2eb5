//! Times in the answers of a farm.

use std::time::SystemTime;

use gofarm_amount::TimeSpan;

/// How long ago that was. The farm's clock may be ahead of ours.
pub fn ago(then: SystemTime, now: SystemTime) -> String {
    let since = now.duration_since(then).unwrap_or_default();
    format!("{} ago", TimeSpan(since))
}
