//! Time of the CPU, which what others do on the machine makes no longer.

use std::time::Duration;

/// What this thread has had of a CPU; 0 where there is no /proc.
pub fn cpu_time() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanoseconds = text
        .split(' ')
        .next()
        .and_then(|number| number.parse().ok());
    Duration::from_nanos(nanoseconds.unwrap_or(0))
}
