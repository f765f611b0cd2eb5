//! The calls with which workers wait for tasks.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

/// Waiting calls by worker, so that they can be answered. Knows those that wait, and nobody else. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct WaitingCalls {
    all: Arc<Mutex<Calls>>,
}

#[derive(Default)]
struct Calls {
    by_worker: HashMap<Arc<str>, OfWorker>,
    rounds: u64,
}

/// The calls of one worker since it was last dismissed.
struct OfWorker {
    round: u64,
    calls: usize,
    dismissed: CancellationToken,
}

/// A call that waits. Dropped, it waits no more.
pub(super) struct WaitingCall {
    among: WaitingCalls,
    worker: Arc<str>,
    round: u64,
    dismissed: CancellationToken,
}

impl WaitingCalls {
    /// One more.
    pub fn begin(&self, worker: &Arc<str>) -> WaitingCall {
        let mut all = self.all();
        let round = all.rounds;
        let of_worker = all
            .by_worker
            .entry(worker.clone())
            .or_insert_with(|| OfWorker {
                round,
                calls: 0,
                dismissed: CancellationToken::new(),
            });
        of_worker.calls += 1;
        WaitingCall {
            among: self.clone(),
            worker: worker.clone(),
            round: of_worker.round,
            dismissed: of_worker.dismissed.clone(),
        }
    }

    /// Answers those of a worker that wait now.
    pub fn dismiss(&self, worker: &str) {
        let mut all = self.all();
        if let Some(of_worker) = all.by_worker.remove(worker) {
            // Those have their end ahead; who calls from now on is of another round.
            all.rounds += 1;
            of_worker.dismissed.cancel();
        }
    }

    fn all(&self) -> MutexGuard<'_, Calls> {
        // Each change is whole before anything of it could panic.
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl WaitingCall {
    /// Done when the call is to be answered with what there is.
    pub async fn dismissed(&self) {
        self.dismissed.cancelled().await;
    }
}

impl Drop for WaitingCall {
    fn drop(&mut self) {
        let mut all = self.among.all();
        let Some(of_worker) = all.by_worker.get_mut(&self.worker) else {
            return;
        };
        if of_worker.round != self.round {
            return;
        }
        of_worker.calls -= 1;
        if of_worker.calls == 0 {
            all.by_worker.remove(&self.worker);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_that_do_not_wait_are_not_known() {
        let waiting = WaitingCalls::default();
        for number in 0..1_000 {
            waiting.begin(&format!("worker {number}").into());
        }
        assert_eq!(waiting.all().by_worker.len(), 0);
        let (one, two) = (waiting.begin(&"w".into()), waiting.begin(&"w".into()));
        drop(one);
        assert_eq!(waiting.all().by_worker.len(), 1);
        assert!(!two.dismissed.is_cancelled());
        waiting.dismiss("w");
        assert!(two.dismissed.is_cancelled());
        assert_eq!(waiting.all().by_worker.len(), 0);
    }

    #[test]
    fn the_end_of_a_dismissed_call_leaves_those_that_came_later() {
        let waiting = WaitingCalls::default();
        let early = waiting.begin(&"w".into());
        waiting.dismiss("w");
        let late = waiting.begin(&"w".into());
        drop(early);
        assert!(!late.dismissed.is_cancelled());
        waiting.dismiss("w");
        assert!(late.dismissed.is_cancelled());
    }
}
