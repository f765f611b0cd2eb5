//! An action key waiting for or in execution, and how an execution can end.

use std::sync::Arc;

use gofarm_proto::{ActionKey, Digest, v1};

use super::{ActionResult, Priority, RunId};

/// What a worker needs to know to run an action, and a queue to place it. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    /// What is being made. At most one task of a key is queued or running.
    pub key: ActionKey,
    /// Changes each time that the core puts the key into the queue.
    pub run: RunId,
    /// The blob that holds the action.
    pub definition: Digest,
    /// Digests of the action's produced inputs, in the order in which it declares them.
    pub produced: Arc<[Digest]>,
    /// What a person calls the action.
    pub label: Arc<str>,
    /// The import path; with `kind` what durations and memory are recorded by.
    pub package: Arc<str>,
    /// What the action does.
    pub kind: v1::Kind,
    /// Which workers can run it.
    pub pool: Arc<str>,
    /// The greatest goes first.
    pub priority: Priority,
    /// Recorded peak, bytes. None when nothing is recorded.
    pub memory_estimate: Option<u64>,
    /// Run it on a worker that runs nothing else at the same time: it ran out of memory in company.
    pub exclusive: bool,
    /// 1 for the first, greater for each time it was put into the queue again.
    pub attempt: u32,
}

/// How one run of a task ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All steps succeeded and every output is in the store.
    Succeeded(Arc<ActionResult>),
    /// A step exited with a non-zero code: a fact about the action, so it is not tried again.
    Failed(Arc<ActionResult>),
    /// The worker could not bring the action to an end, for a reason that lies with the worker. Counts as an
    /// attempt.
    Crashed {
        /// What happened, for the history of attempts.
        reason: Arc<str>,
    },
    /// The lease ran out: the worker is gone or cut off. Counts as an attempt.
    LostLease,
    /// Killed for lack of memory. Tried once more alone.
    OutOfMemory,
    /// Blobs that the action reads are not in the store. The actions that made them run again.
    BlobsMissing(Box<[Digest]>),
    /// The worker gave the task back untouched or unfinished because it is going away. Does not count.
    Released,
    /// The worker ended it because it was told to.
    Cancelled,
    /// No worker could ever take it.
    Unplaceable {
        /// What the task needs and what there is.
        reason: Arc<str>,
    },
}

/// A run that came to nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Who ran it, as far as known.
    pub worker: Option<Arc<str>>,
    /// What went wrong.
    pub reason: Arc<str>,
}
