//! What comes back to the task that owns the core.

use std::sync::Arc;
use std::time::Duration;

use gofarm_proto::{ActionKey, Digest};

use super::opening::Opening;
use crate::registry::{Appended, Ownership, RegistryError, Tenure};
use gofarm_engine::core::{ActionResult, BuildId};
use gofarm_queue::{News, QueueError};

pub(super) enum Message {
    /// A build that this replica owns.
    Open(Box<Opening>),
    /// A build taken over is read; `None`: there is nothing to be done for it.
    Adopted(BuildId, Option<Box<Opening>>),
    News(Result<Vec<News>, QueueError>),
    /// The end of a task that no worker could take, with the reason in words.
    Explained(News),
    /// What was to be told to the queue has been told; false if that took more than one try.
    QueueTold(bool),
    /// The queue's incarnation, after a round of reaping.
    QueueSeen(Result<(u64, Option<Duration>), QueueError>),
    Answers(Vec<Answer>),
    Recorded(Vec<ActionKey>),
    Flushed(Vec<Flushed>),
    /// Somebody told an owner something.
    Control,
    Renewed(Box<Renewed>),
    /// Which of the wanted blobs the store lacks; `None` when it could not say.
    Missing(Option<Vec<Digest>>, Vec<Digest>),
    Measured,
    /// Events of a build that is over have moved, or will not.
    Archived,
    /// What a build needs has been used anew, or was not.
    Kept,
    /// Results that were taken back: keys, and the blobs that they name.
    TakenBack(Vec<(ActionKey, Vec<Digest>)>),
}

/// An answer of the action cache.
pub(super) struct Answer {
    pub key: ActionKey,
    pub verify: bool,
    pub result: Option<Arc<ActionResult>>,
}

/// What became of writing one build's events.
pub(super) struct Flushed {
    pub ownership: Ownership,
    pub outcome: Result<Wrote, RegistryError>,
}

pub(super) enum Wrote {
    /// The registry has everything up to this cursor; the build is over with it or not.
    Events {
        up_to: u64,
        dropped: usize,
        over: bool,
        appended: Appended,
    },
    /// The build is known again, with an empty log; or is another replica's.
    Restored(bool),
}

/// What became of a round of renewing and taking over.
pub(super) struct Renewed {
    /// With the last event that the registry is known to have had when the round began.
    pub held: Vec<(Ownership, u64)>,
    pub tenures: Result<Vec<Tenure>, RegistryError>,
    pub taken: Result<Vec<Ownership>, RegistryError>,
    pub took: Duration,
}
