//! The contract of a lease queue.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use gofarm_proto::ActionKey;

use super::{Lease, LeaseId, LeaseRequest, News, Owner, QueueError, Renewal, TaskOutput};
use gofarm_engine::core::{Outcome, RunId, Task};

/// By how much [`QueueOptions::placement_grace`] is shorter for a part of a pool that is known and has no workers there.
pub const GRACE_OF_A_KNOWN_POOL: u32 = 5;

/// A part of a pool that has nothing is remembered for so long after its last worker: that one may come back. One that never had a worker is not
/// remembered at all.
pub const PART_REMEMBERED: Duration = Duration::from_secs(60 * 60);

/// The times that a queue works with.
#[derive(Clone, Copy, Debug)]
pub struct QueueOptions {
    /// How long a lease holds without renewal.
    pub lease_ttl: Duration,
    /// How long a worker that neither asks nor renews counts as there.
    pub worker_ttl: Duration,
    /// How long the workers of a pool have to show themselves before a task that none of them could take fails. Once a pool
    /// has had workers for so long, tasks of a part of it that never had any fail after a fifth of that.
    pub placement_grace: Duration,
    /// How long an exclusive task waits for a worker that happens to be idle before one is kept free for it.
    pub exclusive_patience: Duration,
    /// What a task with no recorded peak is taken to need, bytes. A guess never fails a task: an idle worker takes
    /// it whatever its size.
    pub assumed_memory: u64,
    /// A waiting worker or owner looks at least this often, rung for or not.
    pub poll_interval: Duration,
    /// How long an owner that neither enqueues, cancels nor asks for news counts as there. Then its tasks are let go
    /// of; if it comes back it is told so, see [`News::Forgotten`].
    pub owner_ttl: Duration,
    /// Bytes of output that may wait among an owner's news; what is printed beyond is dropped for this owner.
    pub log_backlog: usize,
}

impl Default for QueueOptions {
    fn default() -> Self {
        QueueOptions {
            lease_ttl: Duration::from_secs(10),
            worker_ttl: Duration::from_secs(30),
            placement_grace: Duration::from_secs(15),
            exclusive_patience: Duration::from_secs(2),
            assumed_memory: 256 << 20,
            poll_interval: Duration::from_millis(250),
            owner_ttl: Duration::from_secs(30),
            log_backlog: 4 << 20,
        }
    }
}

/// What a call of [`LeaseQueue::reap`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Reaped {
    /// Leases that had run out.
    pub leases: usize,
    /// Tasks that no worker could ever take.
    pub unplaceable: usize,
    /// Tasks that only owners wanted who are gone. One that is leased ends when its worker has heard of it.
    pub orphans: usize,
    /// How long until the next lease runs out unless it is renewed. None when nothing is leased.
    pub next: Option<Duration>,
}

/// What there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct QueueStats {
    /// Tasks that wait.
    pub queued: usize,
    /// Tasks under lease, be it one or two.
    pub leased: usize,
    /// Workers that asked or renewed lately.
    pub workers: usize,
    /// Leases given so far.
    pub leases_given: u64,
    /// Changes refused because of their token.
    pub fenced: u64,
}

/// Tasks, leases and news. All changes are atomic; any number of owners and workers call at the same time.
///
/// A task is in the queue from the first [`enqueue`](Self::enqueue) of its key until a `Done` about it. All owners
/// that have enqueued the key share the one task.
#[async_trait]
pub trait LeaseQueue: Send + Sync {
    /// Puts tasks in, for this owner. Idempotent by key: a key that is queued keeps its place, with the greater of
    /// the priorities, exclusive if either is, in the share of those that want it whose turn is first; one under lease stays
    /// so, and its start is told. News to this owner name the greatest run that it has given: a call may overtake an
    /// earlier one.
    ///
    /// A task that is near to a worker is given to that one only, until the patience with it is over: before the rest of its
    /// share, when it is the share's turn. Then it is anybody's, in the place that it has by its priority and age. It is
    /// anybody's from the start if the worker is not there, does not serve its pool or never has the memory for it, and
    /// if it is to run alone; and from when the reaper finds that the worker has gone.
    async fn enqueue(&self, owner: &Owner, tasks: Vec<Task>) -> Result<(), QueueError>;

    /// This owner no longer wants these. Each is answered by a `Done`: at once if others want it, if it was not
    /// leased, or if it is not known (the queue may have lost it); else when its worker has ended it.
    async fn cancel(&self, owner: &Owner, tasks: &[(ActionKey, RunId)]) -> Result<(), QueueError>;

    /// Lets a second worker run tasks under lease that take far longer than they did before. Such a task goes to a worker
    /// other than the one that has it, and only when nothing else waits that fits. Advisory, and a second time it changes
    /// nothing; so do tasks that are not under lease, that are to run alone, that have had a second worker, and those
    /// whose run is not this owner's latest.
    ///
    /// The first of the two to end with something that is true of the action, a success or a failure, ends the task and
    /// with it the other lease: its holder is told [`QueueError::Lost`]. A run that comes to nothing while the other goes
    /// on (lost, crashed, out of memory, given back, cancelled, an input missing) leaves the task to the other, and no
    /// owner is told. Nor is any told that the second began, or what it prints: the result has all of that.
    async fn back_up(&self, owner: &Owner, tasks: &[(ActionKey, RunId)]) -> Result<(), QueueError>;

    /// Takes at most `max` news for this owner, oldest first, waiting up to `wait` for a first. An owner calls it
    /// again and again as long as it wants anything: one that does not is taken to be gone.
    async fn news(
        &self,
        owner: &Owner,
        max: usize,
        wait: Duration,
    ) -> Result<Vec<News>, QueueError>;

    /// Which life of the queue's data this is. An owner that sees another than before publishes its open tasks
    /// again; it looks about every second.
    async fn incarnation(&self) -> Result<u64, QueueError>;

    /// Takes tasks for a worker: of the shares in turn, which is fair by the time that leases are held (of users, and of the
    /// builds of a user), and within a share by priority those that fit, passing over those that do not. An exclusive task
    /// goes, whosever turn it is, only to a worker that runs nothing, alone, and keeps it from getting more.
    ///
    /// The wait is for a doorbell, which carries no task. A worker that gets room while it waits may drop the future
    /// and ask again: a lease that is lost that way runs out like any other (in process none is lost).
    async fn lease(&self, request: LeaseRequest) -> Result<Vec<Lease>, QueueError>;

    /// Prolongs leases; one answer for each, in order.
    async fn renew(&self, leases: &[LeaseId]) -> Result<Vec<Renewal>, QueueError>;

    /// Passes on what tasks print to the owners that want them; one answer for each, in order. What a stale holder
    /// has printed is dropped. Best effort: an owner that does not read its news loses output beyond
    /// [`QueueOptions::log_backlog`], never an end.
    async fn append_log(&self, outputs: &[TaskOutput]) -> Result<Vec<Renewal>, QueueError>;

    /// Ends a lease with the outcome of the run, and says which worker held it. The blobs of a result are in the store
    /// before: outputs, and a long log, of a failure as well.
    ///
    /// # Errors
    ///
    /// [`QueueError::Lost`] and [`QueueError::Stolen`], also when it is told a second time;
    /// [`QueueError::NotUploaded`].
    async fn complete(&self, lease: &LeaseId, outcome: Outcome) -> Result<Arc<str>, QueueError>;

    /// Gives a task back that did not come to an end for no fault of its own: the worker is going away.
    ///
    /// # Errors
    ///
    /// [`QueueError::Lost`] and [`QueueError::Stolen`].
    async fn release(&self, lease: &LeaseId) -> Result<(), QueueError> {
        self.complete(lease, Outcome::Released).await.map(drop)
    }

    /// Ends leases that have run out, tasks that no worker could ever take and tasks that only owners want who are
    /// gone, at most `limit` of all together.
    /// Called about every second, and when the next lease runs out, by anyone, by several at once if need be.
    async fn reap(&self, limit: usize) -> Result<Reaped, QueueError>;

    /// What there is now.
    async fn stats(&self) -> Result<QueueStats, QueueError>;
}
