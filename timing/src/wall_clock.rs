//! Points in time as messages have them: milliseconds since 1970 in UTC.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What the clock of this machine says.
pub fn now_ms() -> u64 {
    to_ms(SystemTime::now())
}

/// A point in time as messages have it. What was before 1970 counts as its first moment.
pub fn to_ms(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// The other way. What a message says may be any number: what the system cannot hold counts as 1970.
pub fn from_ms(ms: u64) -> SystemTime {
    let time = UNIX_EPOCH.checked_add(Duration::from_millis(ms));
    time.unwrap_or(UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_in_time_is_the_same_both_ways() {
        for ms in [0, 1, 1_700_000_000_007, u64::MAX / 1_000_000] {
            assert_eq!(to_ms(from_ms(ms)), ms);
        }
        assert_eq!(to_ms(UNIX_EPOCH - Duration::from_secs(1)), 0);
        // Any number has its place, and nothing panics.
        let _ = from_ms(u64::MAX);
    }
}
