//! A task in the hands of a worker.

use std::sync::Arc;
use std::time::Duration;

use gofarm_engine::core::{FencingToken, Millis, Task};
use gofarm_proto::ActionKey;

/// A lease as its holder names it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct LeaseId {
    /// The task.
    pub key: ActionKey,
    /// The proof.
    pub token: FencingToken,
}

/// A task given to a worker until a deadline.
#[derive(Clone, Debug)]
pub struct Lease {
    /// What to show with every change.
    pub id: LeaseId,
    /// What to run.
    pub task: Task,
    /// When it runs out unless renewed, by the queue's clock.
    pub deadline: Millis,
    /// How long from now that is. The worker measures it with a monotonic clock from *before* it asked, and ends the
    /// process group when it could not renew for so long, less a margin.
    pub ttl: Duration,
}

/// A worker with room.
#[derive(Clone, Debug)]
pub struct LeaseRequest {
    /// Who asks. Unique among the workers of the pool.
    pub worker: Arc<str>,
    /// Which tasks it can run: pools in the order in which they are looked at. Not empty.
    pub pools: Arc<[Arc<str>]>,
    /// How many tasks at most: its free slots.
    pub max: usize,
    /// How long to wait for a first task.
    pub wait: Duration,
    /// Actions that it is running, by its own count.
    pub running: usize,
    /// Memory that it can give to further tasks, bytes. Equals `total_memory` when nothing runs.
    pub free_memory: u64,
    /// Memory that it could give to a single task that runs alone, bytes.
    pub total_memory: u64,
    /// All its slots are in use, and what it gets waits for one: it is not idle whatever `running` says, and gets no second
    /// lease of a task that another worker has.
    pub ahead: bool,
}

/// What a renewal found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renewal {
    /// Still held.
    Held {
        /// The new deadline, by the queue's clock.
        deadline: Millis,
        /// Nobody wants the task any more: end the process group and complete with
        /// [`gofarm_engine::core::Outcome::Cancelled`].
        cancelled: bool,
    },
    /// See [`super::QueueError::Lost`].
    Lost,
    /// See [`super::QueueError::Stolen`].
    Stolen,
}

/// A piece of what a leased task prints.
#[derive(Clone, Debug)]
pub struct TaskOutput {
    /// Under which lease.
    pub lease: LeaseId,
    /// Where in the output of this lease it stands, bytes.
    pub offset: u64,
    /// With virtual paths.
    pub data: Arc<[u8]>,
}
