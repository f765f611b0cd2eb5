//! Mistakes that a farm could have, made on purpose: a simulation that does not notice them is worth nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use gofarm_engine::core::{Outcome, RunId, Task};
use gofarm_proto::{ActionKey, Digest};
use gofarm_queue::{
    BlobPresence, FencingToken, InProcessQueue, Lease, LeaseId, LeaseQueue, LeaseRequest, News,
    Owner, QueueError, QueueStats, Reaped, Renewal, TaskOutput,
};

/// A mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// Workers go on when they have lost a lease, and the queue takes a completion for that of whoever has the task.
    Unfenced,
    /// The queue keeps a task waiting that it has leased, as one that pops after it has given.
    GivesTwice,
    /// The queue loses one enqueued task in twenty, and schedulers never say again what is open.
    LosesTasks,
    /// Schedulers do not notice that the queue has lost its data.
    NoRepublish,
    /// Workers complete before they have uploaded, and the queue does not look.
    CompleteFirst,
    /// Workers report what another action made.
    MixesUpResults,
    /// Workers say of every run that ends for lack of memory that it was alone.
    SaysAlone,
    /// The queue takes the word of both workers of a straggler.
    HearsBoth,
    /// The registry takes events of whoever was an owner once.
    UnfencedAppends,
    /// The registry says that it has written events, and has not.
    LosesAppends,
    /// Owners do not write again what the registry has lost.
    NoRestore,
    /// Nobody takes over the builds of a dead replica.
    NoTakeOver,
    /// A replica that takes a build over does not read what its earlier owner has said.
    ForgetsLog,
    /// A replica does not notice that a build is another one's by now.
    KeepsLostBuilds,
    /// Whoever waits for lost sources does not hear that they have come.
    NeverProvided,
    /// A replica that has lost a build cancels its tasks as soon as it opens another build, before the next owner can have joined them.
    CancelsAtOnce,
    /// Owners leave it to others to record what was accepted.
    ForgetsResults,
    /// Workers do not give up a lease that they cannot renew, so two run one task.
    NoKill,
}

/// The queue with the queue's part of a flaw.
pub(crate) struct FlawedQueue {
    real: Arc<InProcessQueue>,
    flaw: Flaw,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    latest: BTreeMap<ActionKey, Lease>,
    enqueued: u64,
    /// Leases of tasks that have two.
    shared: BTreeSet<FencingToken>,
}

impl FlawedQueue {
    pub fn new(real: Arc<InProcessQueue>, flaw: Flaw) -> FlawedQueue {
        FlawedQueue {
            real,
            flaw,
            known: Mutex::default(),
        }
    }

    /// Takes note of leases of tasks of which another is held.
    async fn see_shared(&self, leases: &[Lease]) -> Result<(), QueueError> {
        for lease in leases {
            let before = self.known().latest.get(&lease.id.key).map(|lease| lease.id);
            let Some(before) = before else {
                continue;
            };
            // Nothing printed changes nothing, and says whether the lease is held.
            let nothing = TaskOutput {
                lease: before,
                offset: 0,
                data: [].into(),
            };
            if let [Renewal::Held { .. }] = self.real.append_log(&[nothing]).await?[..] {
                let both = [before.token, lease.id.token];
                self.known().shared.extend(both);
            }
        }
        Ok(())
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl LeaseQueue for FlawedQueue {
    async fn enqueue(&self, owner: &Owner, mut tasks: Vec<Task>) -> Result<(), QueueError> {
        if self.flaw == Flaw::LosesTasks {
            let mut known = self.known();
            tasks.retain(|_| {
                known.enqueued += 1;
                !known.enqueued.is_multiple_of(20)
            });
        }
        self.real.enqueue(owner, tasks).await
    }

    async fn cancel(&self, owner: &Owner, tasks: &[(ActionKey, RunId)]) -> Result<(), QueueError> {
        self.real.cancel(owner, tasks).await
    }

    async fn back_up(&self, owner: &Owner, tasks: &[(ActionKey, RunId)]) -> Result<(), QueueError> {
        self.real.back_up(owner, tasks).await
    }

    async fn news(
        &self,
        owner: &Owner,
        max: usize,
        wait: Duration,
    ) -> Result<Vec<News>, QueueError> {
        self.real.news(owner, max, wait).await
    }

    async fn incarnation(&self) -> Result<u64, QueueError> {
        self.real.incarnation().await
    }

    async fn lease(&self, request: LeaseRequest) -> Result<Vec<Lease>, QueueError> {
        let leases = self.real.lease(request).await?;
        self.see_shared(&leases).await?;
        let mut known = self.known();
        if self.flaw == Flaw::GivesTwice
            && leases.is_empty()
            && let Some((_, lease)) = known.latest.pop_first()
        {
            let mut again = lease;
            again.id.token.counter += 1 << 32;
            return Ok(vec![again]);
        }
        for lease in &leases {
            known.latest.insert(lease.id.key, lease.clone());
        }
        Ok(leases)
    }

    async fn renew(&self, leases: &[LeaseId]) -> Result<Vec<Renewal>, QueueError> {
        self.real.renew(leases).await
    }

    async fn append_log(&self, outputs: &[TaskOutput]) -> Result<Vec<Renewal>, QueueError> {
        self.real.append_log(outputs).await
    }

    async fn complete(&self, lease: &LeaseId, outcome: Outcome) -> Result<Arc<str>, QueueError> {
        let mut lease = *lease;
        if self.flaw == Flaw::Unfenced
            && let Some(latest) = self.known().latest.get(&lease.key)
        {
            lease = latest.id;
        }
        let done = self.real.complete(&lease, outcome).await;
        if self.flaw == Flaw::HearsBoth && self.known().shared.contains(&lease.token) {
            return Ok("whoever says so".into());
        }
        done
    }

    async fn reap(&self, limit: usize) -> Result<Reaped, QueueError> {
        self.real.reap(limit).await
    }

    async fn stats(&self) -> Result<QueueStats, QueueError> {
        self.real.stats().await
    }
}

/// Says of every blob that it is there.
pub(crate) struct Careless;

#[async_trait]
impl BlobPresence for Careless {
    async fn missing(&self, _: &[Digest]) -> Result<Vec<Digest>, String> {
        Ok(Vec::new())
    }
}
