//! The lease queue of a farm that is one process.

mod entries;
mod leases;
mod leasing;
mod mailbox;
mod pool;
mod ready;
mod shares;
mod state;
mod stragglers;
#[cfg(test)]
mod tests;
mod waiting;

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use gofarm_proto::ActionKey;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use self::state::State;
use super::{
    BlobPresence, Clock, Lease, LeaseId, LeaseQueue, LeaseRequest, News, Owner, QueueError,
    QueueOptions, QueueStats, Reaped, Renewal, TaskOutput,
};
use gofarm_engine::core::{Outcome, RunId, Task};

/// A [`LeaseQueue`] in memory.
pub struct InProcessQueue {
    options: QueueOptions,
    clock: Arc<dyn Clock>,
    blobs: Arc<dyn BlobPresence>,
    state: Mutex<State>,
    /// Rung when tasks come in.
    work: Notify,
    /// Rung when there is news.
    news: Notify,
}

impl InProcessQueue {
    /// An empty queue. Leases are dated by `clock`; a result is accepted when `blobs` has its outputs.
    pub fn new(
        options: QueueOptions,
        clock: Arc<dyn Clock>,
        blobs: Arc<dyn BlobPresence>,
    ) -> InProcessQueue {
        InProcessQueue {
            state: Mutex::new(State::new(options, 1)),
            options,
            clock,
            blobs,
            work: Notify::new(),
            news: Notify::new(),
        }
    }

    /// Forgets everything and begins a new incarnation, as a queue does whose storage was lost.
    pub fn reset(&self) {
        let mut state = self.state();
        *state = State::new(self.options, state.incarnation + 1);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        match self.state.lock() {
            Ok(state) => state,
            // It may contradict itself, and all who have builds rest on it: they end with it.
            Err(_) => panic!("the queue's state was left half changed by an earlier panic"),
        }
    }

    /// Asks `look` until it finds something or the time is over. The bell is subscribed to before each look, so a
    /// ring in between is not missed; the poll is the backstop for a change that rings no bell, such as time itself.
    async fn wait_for<T>(
        &self,
        bell: &Notify,
        wait: Duration,
        mut look: impl FnMut() -> Vec<T>,
    ) -> Vec<T> {
        let end = Instant::now() + wait;
        loop {
            let rung = bell.notified();
            let found = look();
            let now = Instant::now();
            if !found.is_empty() || now >= end {
                return found;
            }
            // Rung or not, the next thing is another look.
            let next = end.min(now + self.options.poll_interval);
            timeout_at(next, rung).await.unwrap_or_default();
        }
    }
}

#[async_trait]
impl LeaseQueue for InProcessQueue {
    async fn enqueue(&self, owner: &Owner, tasks: Vec<Task>) -> Result<(), QueueError> {
        let now = self.clock.now();
        {
            let mut state = self.state();
            state.mailboxes.hear_of(owner, now);
            for task in tasks {
                state.enqueue(owner, task, now);
            }
        }
        self.work.notify_waiters();
        // A task that is under lease already is told to have started.
        self.news.notify_waiters();
        Ok(())
    }

    async fn cancel(&self, owner: &Owner, tasks: &[(ActionKey, RunId)]) -> Result<(), QueueError> {
        {
            let now = self.clock.now();
            let mut state = self.state();
            state.mailboxes.hear_of(owner, now);
            for (key, run) in tasks {
                state.cancel(owner, *key, *run, now);
            }
        }
        self.news.notify_waiters();
        Ok(())
    }

    async fn back_up(&self, owner: &Owner, tasks: &[(ActionKey, RunId)]) -> Result<(), QueueError> {
        {
            let mut state = self.state();
            state.mailboxes.hear_of(owner, self.clock.now());
            for (key, run) in tasks {
                state.back_up(owner, key, *run);
            }
        }
        self.work.notify_waiters();
        Ok(())
    }

    async fn news(
        &self,
        owner: &Owner,
        max: usize,
        wait: Duration,
    ) -> Result<Vec<News>, QueueError> {
        let look = || {
            let mut state = self.state();
            state.mailboxes.hear_of(owner, self.clock.now());
            state.mailboxes.take(owner, max)
        };
        Ok(self.wait_for(&self.news, wait, look).await)
    }

    async fn incarnation(&self) -> Result<u64, QueueError> {
        Ok(self.state().incarnation)
    }

    async fn lease(&self, request: LeaseRequest) -> Result<Vec<Lease>, QueueError> {
        let look = || self.state().lease(&request, self.clock.now());
        let leases = self.wait_for(&self.work, request.wait, look).await;
        if !leases.is_empty() {
            self.news.notify_waiters();
        }
        Ok(leases)
    }

    async fn renew(&self, leases: &[LeaseId]) -> Result<Vec<Renewal>, QueueError> {
        let now = self.clock.now();
        let mut state = self.state();
        Ok(leases.iter().map(|lease| state.renew(lease, now)).collect())
    }

    async fn append_log(&self, outputs: &[TaskOutput]) -> Result<Vec<Renewal>, QueueError> {
        let now = self.clock.now();
        let renewals = {
            let mut state = self.state();
            let append = |output| state.append_log(output, now);
            outputs.iter().map(append).collect()
        };
        self.news.notify_waiters();
        Ok(renewals)
    }

    async fn complete(&self, lease: &LeaseId, outcome: Outcome) -> Result<Arc<str>, QueueError> {
        let blobs = outcome.blobs();
        if !blobs.is_empty() {
            // Fenced before as well, so that a stale holder does not make the store work.
            self.state().check(lease, self.clock.now())?;
            let missing = self.blobs.missing(&blobs).await;
            let missing = missing.map_err(|reason| QueueError::StoreUnavailable { reason })?;
            if !missing.is_empty() {
                return Err(QueueError::NotUploaded { missing });
            }
        }
        let worker = self.state().complete(lease, outcome, self.clock.now())?;
        self.news.notify_waiters();
        // A worker that was kept free may have become so.
        self.work.notify_waiters();
        Ok(worker)
    }

    async fn reap(&self, limit: usize) -> Result<Reaped, QueueError> {
        let reaped = self.state().reap(limit, self.clock.now());
        if reaped != Reaped::default() {
            self.news.notify_waiters();
        }
        Ok(reaped)
    }

    async fn stats(&self) -> Result<QueueStats, QueueError> {
        Ok(self.state().stats())
    }
}
