//! Where a worker gets its tasks from. The queue behind it may be in this process or on another machine.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;

use crate::error::ExecuteError;
use crate::log::TracedCommand;
use crate::task::{Execution, Task};

/// Proves which holding of a task is meant. A holder whose lease has ended has a token that matches nothing any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LeaseToken {
    /// Which life of the queue gave it. Changes when the queue has lost its state.
    pub incarnation: u64,
    /// Unique within an incarnation.
    pub counter: u64,
}

impl fmt::Display for LeaseToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}.{}", self.incarnation, self.counter)
    }
}

/// The right, for a time, to execute a task.
#[derive(Debug, Clone)]
pub struct Lease {
    /// Goes with everything that is said about this task.
    pub token: LeaseToken,
    /// What to execute.
    pub task: Task,
    /// How much memory it is expected to take at most, bytes.
    pub memory: u64,
    /// How long the right lasts, from now, when it is not renewed.
    pub ttl: Duration,
}

/// What a worker has room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capacity {
    /// So many tasks at most. Never 0.
    pub slots: usize,
    /// So much memory together, bytes. A source may give more than fits; it then waits in the worker.
    pub memory: u64,
    /// Nothing runs: a task that needs more memory than there is can be tried all the same, and an exclusive one at once.
    pub idle: bool,
}

/// What became of a wish to keep a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Renewal {
    /// It lasts for so long from now.
    Kept {
        /// The new time to live.
        ttl: Duration,
    },
    /// It has expired, and the task waits for somebody else.
    Lost,
    /// It has expired, and somebody else has the task.
    Stolen,
    /// Nobody wants the result any more.
    Cancelled,
}

/// The queue cannot be reached or does not understand. Trying again later may help.
#[derive(Debug, thiserror::Error)]
#[error("the lease queue: {0}")]
pub struct SourceError(
    /// What was tried and what went wrong.
    pub String,
);

/// The worker's view of a lease queue. Every call with a stale token changes nothing there.
#[async_trait]
pub trait LeaseSource: Send + Sync + 'static {
    /// Waits for tasks and takes them. `None`: the queue is closed, and the worker goes home.
    ///
    /// The future is dropped when there is more room than it was asked for. It must be cancel safe: a lease is either
    /// returned or goes back to the queue.
    async fn acquire(&self, capacity: Capacity) -> Result<Option<Vec<Lease>>, SourceError>;

    /// Asks to keep a lease.
    async fn renew(&self, token: LeaseToken) -> Result<Renewal, SourceError>;

    /// The action ran to its end: well, or with an exit code. Its outputs are in the store.
    async fn complete(&self, token: LeaseToken, execution: Execution) -> Result<(), SourceError>;

    /// The action could not be brought to an end.
    async fn fail(&self, token: LeaseToken, error: ExecuteError) -> Result<(), SourceError>;

    /// The task goes back to the queue as if it had not been taken; this is no attempt.
    async fn release(&self, token: LeaseToken) -> Result<(), SourceError>;

    /// The next piece of the task's output, while it runs.
    fn log(&self, token: LeaseToken, chunk: &[u8]);

    /// A command of the task is about to be started.
    fn command(&self, token: LeaseToken, command: &TracedCommand) {
        let _ = (token, command);
    }
}
