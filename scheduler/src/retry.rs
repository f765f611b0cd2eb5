//! Trying again.

use std::fmt::Display;
use std::time::Duration;

use gofarm_timing::Backoff;
use tokio::time::Instant;

/// Between two tries.
pub(crate) const PAUSES: Backoff =
    Backoff::between(Duration::from_millis(50), Duration::from_secs(1));

/// Longer and longer pauses between tries of one thing.
pub(crate) struct Retry {
    what: &'static str,
    backoff: Backoff,
    until: Option<Instant>,
    /// Tries that failed.
    pub failures: u32,
}

impl Retry {
    /// Until it succeeds.
    pub fn forever(what: &'static str) -> Retry {
        Retry {
            what,
            backoff: PAUSES,
            until: None,
            failures: 0,
        }
    }

    /// Until the time is over.
    pub fn within(what: &'static str, patience: Duration) -> Retry {
        Retry {
            until: Some(Instant::now() + patience),
            ..Retry::forever(what)
        }
    }

    /// A try has failed. Waits before the next one; false if there shall be none.
    pub async fn again(&mut self, error: &(dyn Display + Sync)) -> bool {
        let what = self.what;
        match self.failures {
            0 => tracing::warn!(%error, "{what} failed; trying again"),
            failures => tracing::debug!(%error, failures, "{what} failed again"),
        }
        self.failures += 1;
        if self.until.is_some_and(|until| Instant::now() >= until) {
            return false;
        }
        self.backoff.wait().await;
        true
    }
}
