//! An action key waiting for or in execution, and how an execution can end.

use std::sync::Arc;
use std::time::Duration;

use gofarm_proto::{ActionKey, Digest, v1};

use super::{ActionResult, BuildId, Priority, RunId};

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
    /// On whose account it runs: of what is ready, the share goes first that has had least.
    pub share: Share,
    /// Within its share the greatest goes first.
    pub priority: Priority,
    /// Recorded duration, milliseconds. None when nothing is recorded.
    pub duration_estimate: Option<u64>,
    /// Recorded peak, bytes. None when nothing is recorded.
    pub memory_estimate: Option<u64>,
    /// Which worker holds most of what it reads. The core knows nothing of this; who enqueues may.
    pub near: Option<Near>,
    /// Run it on a worker that runs nothing else at the same time: it ran out of memory in company.
    pub exclusive: bool,
    /// 1 for the first, greater by one for each run before it that came to nothing; one that was given back is none.
    pub attempt: u32,
}

/// An account of the farm's time. Time is shared fairly between the users that have something ready, and what a user
/// gets between those of their builds that have.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Share {
    /// As the client says; see `v1::BuildOptions::user`.
    pub user: Arc<str>,
    /// Which of their builds.
    pub build: BuildId,
}

/// A worker that a task is kept for, for a while.
///
/// Waiting for it as long as fetching would take is at most twice as slow as the better of the two, whatever the worker
/// does meanwhile (the ski rental argument); what is saved is traffic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Near {
    /// Its name.
    pub worker: Arc<str>,
    /// How long, from when the task is put into the queue. Then anybody has it.
    pub patience: Duration,
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
    /// Killed for lack of memory. In company it says little, and the task is run alone; alone it is a failure.
    OutOfMemory {
        /// Its worker ran nothing else meanwhile. Said by who ran it, of the lease: the run that is wanted by now may be
        /// another.
        alone: bool,
        /// Which program, and how much memory there was and was taken, for the history of attempts.
        reason: Arc<str>,
    },
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

impl Outcome {
    /// The blobs that are in the store before this is reported.
    pub fn blobs(&self) -> Vec<Digest> {
        match self {
            Outcome::Succeeded(result) => result.blobs(),
            // Of a failure nothing but its log is of use to anybody.
            Outcome::Failed(result) => result.log.blob().into_iter().collect(),
            _ => Vec::new(),
        }
    }
}

/// A run that came to nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Who ran it, as far as known.
    pub worker: Option<Arc<str>>,
    /// What went wrong.
    pub reason: Arc<str>,
}
