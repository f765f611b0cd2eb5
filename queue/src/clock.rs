//! The one clock of a queue.

use std::time::Instant;

use gofarm_engine::core::Millis;

/// What a queue measures deadlines with. All deadlines of one queue are read off one clock; a worker that wants to
/// know how long it has left uses [`super::Lease::ttl`] and a monotonic clock of its own.
pub trait Clock: Send + Sync {
    /// Now. Never goes backwards.
    fn now(&self) -> Millis;
}

/// Milliseconds since it was made; does not jump when the system's time is set.
#[derive(Debug)]
pub struct MonotonicClock {
    start: Instant,
}

impl MonotonicClock {
    /// Starts at zero.
    pub fn new() -> MonotonicClock {
        MonotonicClock {
            start: Instant::now(),
        }
    }
}

impl Default for MonotonicClock {
    fn default() -> Self {
        MonotonicClock::new()
    }
}

impl Clock for MonotonicClock {
    fn now(&self) -> Millis {
        let elapsed = self.start.elapsed().as_millis();
        Millis(u64::try_from(elapsed).unwrap_or(u64::MAX))
    }
}

/// A clock that a test moves.
#[derive(Debug, Default)]
pub struct ManualClock(std::sync::atomic::AtomicU64);

impl ManualClock {
    /// Moves it on.
    pub fn advance(&self, by: std::time::Duration) {
        let ms = by.as_millis() as u64;
        self.0.fetch_add(ms, std::sync::atomic::Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Millis {
        Millis(self.0.load(std::sync::atomic::Ordering::SeqCst))
    }
}
