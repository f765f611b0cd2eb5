//! What a worker does about a full disk: plain counting.
//!
//! It is the worker's trouble, not the task's: the task is given back, and the worker takes no other until its cache has
//! been made smaller and some time has passed, in which others can have the task. A worker whose disk stays full says so
//! with a crash, so that a build whose only worker it is ends with the reason instead of waiting for ever.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use gofarm_timing::Backoff;
use tokio::time::Instant;

const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Nobody else waits for this disk, so nothing spreads the pauses.
const ALL_OF_IT: f64 = 1.0;

/// How it stands with the disk.
#[derive(Debug)]
pub(super) struct DiskTrouble(Mutex<Streak>);

#[derive(Debug)]
struct Streak {
    /// Full disks since the last task that came to its end.
    times: u32,
    backoff: Backoff,
    pause_until: Instant,
}

impl DiskTrouble {
    pub fn new() -> DiskTrouble {
        DiskTrouble(Mutex::new(Streak {
            times: 0,
            backoff: Backoff::between(FIRST_PAUSE, LONGEST_PAUSE),
            pause_until: Instant::now(),
        }))
    }

    /// A task has met a full disk. True: it is given back; false: it has crashed.
    pub fn met(&self, now: Instant) -> bool {
        let mut streak = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Those that ran at the same time have met the same disk.
        if now >= streak.pause_until {
            streak.times += 1;
            streak.pause_until = now + streak.backoff.pause(ALL_OF_IT);
        }
        streak.times <= 2
    }

    /// A task has come to its end.
    pub fn is_over(&self) {
        let mut streak = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        streak.times = 0;
        streak.backoff.reset();
    }

    /// Nothing is to be taken before.
    pub fn pause_until(&self) -> Instant {
        let streak = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        streak.pause_until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_that_stays_full_becomes_a_crash() {
        let trouble = DiskTrouble::new();
        let mut now = Instant::now();
        assert!(trouble.pause_until() <= now);
        assert!(
            trouble.met(now) && trouble.met(now),
            "one disk, one trouble"
        );
        assert_eq!(trouble.pause_until(), now + FIRST_PAUSE);
        now = trouble.pause_until();
        assert!(trouble.met(now));
        assert_eq!(trouble.pause_until(), now + 2 * FIRST_PAUSE);
        now = trouble.pause_until();
        assert!(!trouble.met(now));
        trouble.is_over();
        now = trouble.pause_until();
        assert!(trouble.met(now));
    }
}
