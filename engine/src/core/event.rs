//! What the core is told.

use std::sync::Arc;

use gofarm_proto::{ActionKey, Digest};

use super::{ActionResult, BuildId, BuildSpec, Outcome, RunId};

/// Something that happened. Events may come twice, late or for things long forgotten: those are ignored and
/// counted in [`super::Ignored`].
#[derive(Clone, Debug)]
pub enum Event {
    /// A client wants this built. Submitting an open build again changes nothing.
    Submit(Box<BuildSpec>),
    /// The action cache answered [`super::Effect::LookUp`].
    CacheAnswer {
        /// As asked.
        key: ActionKey,
        /// As asked.
        verify: bool,
        /// None: not there, or `verify` was asked and one of the result's blobs is not in the store.
        result: Option<Arc<ActionResult>>,
    },
    /// A worker has the task under lease.
    TaskStarted {
        /// The task's key.
        key: ActionKey,
        /// The task's run.
        run: RunId,
        /// Who.
        worker: Arc<str>,
    },
    /// The task was in the queue before this core put it there: another scheduler's build has it executed, and this
    /// run's result will be [`super::Resolution::Joined`].
    TaskJoined {
        /// The task's key.
        key: ActionKey,
        /// The task's run.
        run: RunId,
    },
    /// A run of a task ended.
    TaskDone {
        /// The task's key.
        key: ActionKey,
        /// The task's run.
        run: RunId,
        /// Who ran it, if anyone did.
        worker: Option<Arc<str>>,
        /// How.
        outcome: Outcome,
    },
    /// Nobody who watches a build has these blobs, which a run of a task missed and no action of that build makes. Of those who
    /// wait for the run this build alone is told; the others may have them.
    SourcesLost {
        /// Whose watchers.
        build: BuildId,
        /// The task's key.
        key: ActionKey,
        /// The task's run.
        run: RunId,
        /// The blobs.
        digests: Box<[Digest]>,
    },
    /// Outputs of a finished action were not found in the store, by whoever wanted to read them. (A worker that
    /// misses inputs says so with [`Outcome::BlobsMissing`].) The action runs again in every open build that
    /// has used this result.
    OutputsMissing {
        /// The action that made them.
        key: ActionKey,
        /// The blobs.
        digests: Box<[Digest]>,
    },
    /// The client no longer wants it.
    Cancel(BuildId),
    /// The build is another scheduler's now. It leaves without a word to its watchers; what only it wanted is
    /// cancelled, which for a queue means that this scheduler no longer wants it.
    Forget(BuildId),
    /// The queue or the cache lost what it was told, or may have: everything that is still open is said again.
    /// [`super::Effect::Enqueue`], [`super::Effect::LookUp`] and [`super::Effect::CancelTask`] are idempotent, so it is
    /// always safe.
    Republish,
}
