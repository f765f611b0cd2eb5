//! A lease queue that is measured.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use gofarm_proto::{ActionKey, v1};

use super::Metrics;
use gofarm_engine::core::{Outcome, RunId, Task};
use gofarm_queue::{
    Lease, LeaseId, LeaseQueue, LeaseRequest, News, Owner, QueueError, QueueStats, Reaped, Renewal,
    TaskOutput,
};

/// A queue as one replica uses it, with what passes through counted and timed.
///
/// Tasks are followed from this replica's `enqueue` to the news about them, so depth, waits and outcomes are those of the
/// tasks that it owns; a run that it shares with an earlier owner is counted there. Calls that wait for something to
/// happen are not timed.
pub struct MeteredQueue {
    inner: Arc<dyn LeaseQueue>,
    metrics: Arc<Metrics>,
    open: Mutex<HashMap<ActionKey, Open>>,
}

/// A task that this replica has put into the queue and not heard the end of.
struct Open {
    pool: Arc<str>,
    kind: v1::Kind,
    since: Instant,
    leased: bool,
    /// Another owner put it in before, and counts it.
    joined: bool,
}

impl Open {
    fn state(&self) -> &'static str {
        if self.leased { "leased" } else { "queued" }
    }
}

impl MeteredQueue {
    /// Measures `inner`.
    pub fn new(inner: Arc<dyn LeaseQueue>, metrics: Arc<Metrics>) -> MeteredQueue {
        MeteredQueue {
            inner,
            metrics,
            open: Mutex::default(),
        }
    }

    fn open(&self) -> MutexGuard<'_, HashMap<ActionKey, Open>> {
        // Counts that a panic left half done are better than none.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enqueued(&self, tasks: &[Task]) {
        let counts = &self.metrics.tasks;
        let mut open = self.open();
        for task in tasks {
            if task.attempt > 1 {
                counts.retried(task.kind);
            }
            let fresh = Open {
                pool: task.pool.clone(),
                kind: task.kind,
                since: Instant::now(),
                leased: false,
                joined: false,
            };
            // One that is there already was published again, or got another priority: it waits no less for that. If a worker
            // has it, news of that come again.
            let since = open
                .get(&task.key)
                .filter(|known| !known.leased)
                .map_or(fresh.since, |known| known.since);
            counts.open(&fresh.pool, fresh.state(), 1);
            if let Some(known) = open.insert(task.key, Open { since, ..fresh }) {
                counts.open(&known.pool, known.state(), -1);
            }
        }
    }

    fn heard(&self, news: &News) {
        let counts = &self.metrics.tasks;
        let mut open = self.open();
        match news {
            News::Started { key, .. } => {
                if let Some(task) = open.get_mut(key).filter(|task| !task.leased) {
                    counts.open(&task.pool, task.state(), -1);
                    task.leased = true;
                    counts.open(&task.pool, task.state(), 1);
                    counts.waited(&task.pool, task.since.elapsed());
                }
            }
            News::Joined { key, .. } => {
                if let Some(task) = open.get_mut(key) {
                    task.joined = true;
                }
            }
            News::Done { key, outcome, .. } => {
                if let Some(task) = open.remove(key) {
                    counts.open(&task.pool, task.state(), -1);
                    // Nobody has run what was taken back before a worker had it.
                    let never_ran = !task.leased && matches!(outcome, Outcome::Cancelled);
                    if !task.joined && !never_ran {
                        counts.run_ended(task.kind, outcome);
                    }
                }
            }
            News::Forgotten => {
                for (_, task) in open.drain() {
                    counts.open(&task.pool, task.state(), -1);
                }
            }
            News::Log { .. } => {}
        }
    }

    fn renewed(&self, call: &'static str, renewals: &[Renewal]) {
        for renewal in renewals {
            match renewal {
                Renewal::Held { .. } => {}
                Renewal::Lost => self.metrics.tasks.refused(call, "lost"),
                Renewal::Stolen => self.metrics.tasks.refused(call, "stolen"),
            }
        }
    }
}

#[async_trait]
impl LeaseQueue for MeteredQueue {
    async fn enqueue(&self, owner: &Owner, tasks: Vec<Task>) -> Result<(), QueueError> {
        // Before the call, since news can be faster than its answer.
        self.enqueued(&tasks);
        let call = self.inner.enqueue(owner, tasks);
        self.metrics.queue.time("enqueue", call).await
    }

    async fn cancel(&self, owner: &Owner, tasks: &[(ActionKey, RunId)]) -> Result<(), QueueError> {
        let call = self.inner.cancel(owner, tasks);
        self.metrics.queue.time("cancel", call).await
    }

    async fn back_up(&self, owner: &Owner, tasks: &[(ActionKey, RunId)]) -> Result<(), QueueError> {
        let call = self.inner.back_up(owner, tasks);
        self.metrics.queue.time("back_up", call).await
    }

    async fn news(
        &self,
        owner: &Owner,
        max: usize,
        wait: Duration,
    ) -> Result<Vec<News>, QueueError> {
        let news = self.inner.news(owner, max, wait).await;
        let news = news.inspect_err(|_| self.metrics.queue.failed("news"))?;
        for item in &news {
            self.heard(item);
        }
        Ok(news)
    }

    async fn incarnation(&self) -> Result<u64, QueueError> {
        let call = self.inner.incarnation();
        self.metrics.queue.time("incarnation", call).await
    }

    async fn lease(&self, request: LeaseRequest) -> Result<Vec<Lease>, QueueError> {
        let leases = self.inner.lease(request).await;
        let leases = leases.inspect_err(|_| self.metrics.queue.failed("lease"))?;
        for lease in &leases {
            self.metrics.tasks.leased(&lease.task.pool);
        }
        Ok(leases)
    }

    async fn renew(&self, leases: &[LeaseId]) -> Result<Vec<Renewal>, QueueError> {
        let call = self.inner.renew(leases);
        let renewals = self.metrics.queue.time("renew", call).await?;
        self.renewed("renew", &renewals);
        Ok(renewals)
    }

    async fn append_log(&self, outputs: &[TaskOutput]) -> Result<Vec<Renewal>, QueueError> {
        let call = self.inner.append_log(outputs);
        let renewals = self.metrics.queue.time("append_log", call).await?;
        self.renewed("append_log", &renewals);
        Ok(renewals)
    }

    async fn complete(&self, lease: &LeaseId, outcome: Outcome) -> Result<Arc<str>, QueueError> {
        let begun = Instant::now();
        let answer = self.inner.complete(lease, outcome).await;
        self.metrics.queue.took("complete", begun.elapsed());
        match &answer {
            Ok(_) => {}
            Err(QueueError::Lost) => self.metrics.tasks.refused("complete", "lost"),
            Err(QueueError::Stolen) => self.metrics.tasks.refused("complete", "stolen"),
            Err(QueueError::NotUploaded { .. }) => {
                self.metrics.tasks.refused("complete", "not_uploaded");
            }
            Err(
                QueueError::StoreUnavailable { .. }
                | QueueError::Unavailable { .. }
                | QueueError::Refused { .. }
                | QueueError::Full { .. },
            ) => {
                self.metrics.queue.failed("complete");
            }
        }
        answer
    }

    async fn reap(&self, limit: usize) -> Result<Reaped, QueueError> {
        let call = self.inner.reap(limit);
        self.metrics.queue.time("reap", call).await
    }

    async fn stats(&self) -> Result<QueueStats, QueueError> {
        let call = self.inner.stats();
        self.metrics.queue.time("stats", call).await
    }
}
