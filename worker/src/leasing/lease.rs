//! Where a worker gets its tasks from. The queue behind it may be in this process or on another machine.

use std::fmt;
use std::time::{Duration, Instant};

use async_trait::async_trait;

use crate::error::ExecuteError;
use crate::logs::TracedCommand;
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

/// Assumed for an action that was never measured, bytes: most compiles take less. The queue assumes the same.
pub const ASSUMED_MEMORY: u64 = 256 << 20;

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
    /// So much memory together, bytes. A source may give more than fits; it then waits in the worker. So do those that are
    /// taken ahead while all slots are in use.
    pub memory: u64,
    /// Nothing runs: a task that needs more memory than there is can be tried all the same, and an exclusive one at once.
    pub idle: bool,
    /// All slots are in use: these are to be taken ahead, and wait for one.
    pub ahead: bool,
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

/// Why a lease is not ours any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lost {
    /// It ran out, and the task waits for somebody else.
    Expired,
    /// It ran out, and another worker has the task.
    Stolen,
    /// Nobody wants the result. The lease itself still holds, and is ended by saying so.
    Cancelled,
    /// The queue could not be asked for so long that somebody else may have the task.
    NotRenewed,
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Lost::Expired => "it has expired",
            Lost::Stolen => "it has expired and another worker has the task",
            Lost::Cancelled => "nobody wants the result any more",
            Lost::NotRenewed => "it could not be renewed in time",
        })
    }
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

    /// Keeps a lease for as long as it can be kept. Returns only when it is ours no longer.
    async fn lost(&self, lease: &Lease) -> Lost {
        renew_alone(self, lease).await
    }

    /// Brings what the task needs to this machine, as soon as its lease is taken, while it may still wait for room; and
    /// again when its execution has found that something is gone. True when there was anything to bring.
    ///
    /// # Errors
    ///
    /// [`ExecuteError::MissingInputs`] with the blobs that are nowhere.
    async fn fetch(&self, lease: &Lease) -> Result<bool, ExecuteError> {
        let _ = lease;
        Ok(false)
    }

    /// The action ran to its end: well, or with an exit code. Its outputs are in the store.
    async fn complete(&self, token: LeaseToken, execution: Execution) -> Result<(), SourceError>;

    /// The action could not be brought to an end; [`ExecuteError::Cancelled`] after [`Lost::Cancelled`].
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

/// A lease is renewed when this part of its time has passed.
pub(crate) const RENEW_AFTER: u32 = 3;

/// A lease that could not be renewed is taken for lost when only this part of its time is left: the processes must be gone
/// before somebody else has it.
pub(crate) const MARGIN: u32 = 5;

/// Renews one lease after the other, each on its own.
async fn renew_alone<S: LeaseSource + ?Sized>(source: &S, lease: &Lease) -> Lost {
    let mut ttl = lease.ttl;
    // By our own clock, and from before each question, so that we never believe to have it for longer than the queue does.
    let mut since = Instant::now();
    let mut pause = ttl / RENEW_AFTER;
    loop {
        let end = since + (ttl - ttl / MARGIN);
        tokio::time::sleep(pause.min(end.saturating_duration_since(Instant::now()))).await;
        let asked = Instant::now();
        let answer = tokio::time::timeout_at(end.into(), source.renew(lease.token)).await;
        match answer {
            Ok(Ok(Renewal::Kept { ttl: new })) => {
                (ttl, since) = (new, asked);
                pause = ttl / RENEW_AFTER;
            }
            Ok(Ok(Renewal::Lost)) => return Lost::Expired,
            Ok(Ok(Renewal::Stolen)) => return Lost::Stolen,
            Ok(Ok(Renewal::Cancelled)) => return Lost::Cancelled,
            Ok(Err(error)) => {
                tracing::warn!(token = %lease.token, %error, "cannot renew a lease");
                pause = ttl / 20;
            }
            Err(_) => return Lost::NotRenewed,
        }
        if Instant::now() >= since + (ttl - ttl / MARGIN) {
            return Lost::NotRenewed;
        }
    }
}
