//! Spans that wait to be sent, and those that never will be.

use std::fmt::Display;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How often to say that spans are lost.
const SAY_AGAIN: Duration = Duration::from_secs(10 * 60);

/// Bounds what waits, and says now and then that spans are lost.
#[derive(Debug)]
pub(crate) struct Backlog {
    waiting: AtomicUsize,
    room: usize,
    losses: Mutex<Losses>,
}

#[derive(Debug, Default)]
struct Losses {
    told: Option<Instant>,
    /// Lost since it was last said that spans are taken again.
    lost: usize,
    /// It has been said that spans are lost, and not yet that they are taken again.
    open: bool,
}

impl Backlog {
    /// With room for so many.
    pub fn new(room: usize) -> Backlog {
        Backlog {
            waiting: AtomicUsize::new(0),
            room,
            losses: Mutex::default(),
        }
    }

    /// False when there is no room for another: it is lost.
    pub fn enter(&self) -> bool {
        let enters = |waiting| (waiting < self.room).then_some(waiting + 1);
        let (set, fetch) = (Ordering::AcqRel, Ordering::Acquire);
        let entered = self.waiting.fetch_update(set, fetch, enters).is_ok();
        if !entered {
            self.lost(1, &"more come than it takes; see OTEL_BSP_MAX_QUEUE_SIZE");
        }
        entered
    }

    /// So many are on their way.
    pub fn leave(&self, spans: usize) {
        self.waiting.fetch_sub(spans, Ordering::AcqRel);
    }

    /// The collector has not taken them.
    pub fn lost(&self, spans: usize, reason: &dyn Display) {
        let mut losses = self.losses.lock().unwrap_or_else(PoisonError::into_inner);
        losses.lost += spans;
        if losses.told.is_none_or(|told| told.elapsed() >= SAY_AGAIN) {
            (losses.told, losses.open) = (Some(Instant::now()), true);
            let lost = losses.lost;
            tracing::warn!(%reason, lost, "the OTLP collector takes no spans, and they are lost; see OTEL_EXPORTER_OTLP_ENDPOINT");
        }
    }

    /// The collector has taken some.
    pub fn taken(&self) {
        let mut losses = self.losses.lock().unwrap_or_else(PoisonError::into_inner);
        if std::mem::take(&mut losses.open) {
            let lost = std::mem::take(&mut losses.lost);
            tracing::info!(lost, "the OTLP collector takes spans again");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_room_is_counted_and_never_waited_for() {
        let backlog = Backlog::new(2);
        let entered: Vec<bool> = (0..4).map(|_| backlog.enter()).collect();
        assert_eq!(entered, [true, true, false, false]);
        let losses = || {
            let losses = backlog.losses.lock().unwrap();
            (losses.lost, losses.open)
        };
        assert_eq!(losses(), (2, true));
        backlog.leave(2);
        assert!(backlog.enter());
        backlog.taken();
        assert_eq!(losses(), (0, false));
        // Said not long ago.
        backlog.lost(3, &"away");
        backlog.taken();
        assert_eq!(losses(), (3, false));
    }
}
