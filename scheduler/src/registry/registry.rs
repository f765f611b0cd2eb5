//! The contract of a registry.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use gofarm_proto::v1;

use super::{Append, Appended, Duty, Measurement, Ownership, RegistryError, Restore, Tenure};
use gofarm_engine::core::{BuildId, Estimate};

/// What replicas share. Every change is atomic and every call may be repeated after an error.
#[async_trait]
pub trait Registry: Send + Sync {
    /// Makes a build known and this replica its owner. `None` when it is known already, which changes nothing.
    async fn submit(
        &self,
        owner: &Arc<str>,
        build: &v1::Build,
    ) -> Result<Option<Ownership>, RegistryError>;

    /// A build as its owner last wrote it.
    async fn get(&self, build: BuildId) -> Result<Option<v1::Build>, RegistryError>;

    /// Known builds, the latest first, at most `limit`; with `open` only those that are not over.
    async fn list(&self, limit: usize, open: bool) -> Result<Vec<v1::Build>, RegistryError>;

    /// Prolongs ownerships; one answer for each, in order. Called about every second, and when
    /// [`control`](Self::control) says so.
    async fn renew(&self, held: &[Ownership]) -> Result<Vec<Tenure>, RegistryError>;

    /// Gives builds up: another replica takes them over at once.
    async fn release(&self, held: &[Ownership]) -> Result<(), RegistryError>;

    /// Makes this replica the owner of builds whose ownership has run out. Those that it is the owner of itself are
    /// among them.
    async fn take_over(
        &self,
        owner: &Arc<str>,
        limit: usize,
    ) -> Result<Vec<Ownership>, RegistryError>;

    /// Adds events to a build and replaces its record, and rings for its watchers.
    async fn append(&self, append: &Append) -> Result<Appended, RegistryError>;

    /// Makes a build that the registry has lost, or lost events of, known again with an empty log; the owner appends
    /// everything after that. False, and nothing is changed, if it is another replica's by now.
    async fn restore(&self, restore: &Restore) -> Result<bool, RegistryError>;

    /// At most `max` events after a cursor, encoded, in order; waits up to `wait` for a first. `None` when the build is
    /// not known.
    async fn events(
        &self,
        build: BuildId,
        after: u64,
        max: usize,
        wait: Duration,
    ) -> Result<Option<Vec<Bytes>>, RegistryError>;

    /// How long a build that is not known may take to be known again: owners write again what the registry has lost. Zero
    /// where the owners end with the registry.
    fn known_again_within(&self) -> Duration;

    /// Replaces the record of a build that is over with one that names the blob with its events, and lets go of these. For
    /// its last owner; nothing is changed if the build is another one's by now, not known or not over.
    async fn archive(&self, ownership: &Ownership, record: &v1::Build)
    -> Result<(), RegistryError>;

    /// Tells the owner of a build to end it. False when the build is not known; one that is over stays as it is.
    async fn cancel(&self, build: BuildId) -> Result<bool, RegistryError>;

    /// Passes on to the owner of a build what a watcher provides. False when the build is not known.
    async fn provide(
        &self,
        build: BuildId,
        provided: &v1::ProvideRequest,
    ) -> Result<bool, RegistryError>;

    /// Waits until an owner, perhaps this one, has been told something, or until the time is over. A doorbell: the
    /// owner renews to hear what it is.
    async fn control(&self, wait: Duration);

    /// What is recorded about actions of a pool; one answer for each, in order.
    async fn estimates(
        &self,
        pool: &str,
        actions: &[(Arc<str>, v1::Kind)],
    ) -> Result<Vec<Option<Estimate>>, RegistryError>;

    /// Records executions. Durations follow as an exponential moving average; a larger peak of memory counts at once,
    /// a smaller one slowly.
    async fn measured(&self, pool: &str, measurements: &[Measurement])
    -> Result<(), RegistryError>;

    /// A worker has shown itself. Said about every ten seconds for each worker, by the replica that it talks to;
    /// [`v1::Worker::seen_ms`] is ignored.
    async fn note_worker(&self, worker: v1::Worker) -> Result<(), RegistryError>;

    /// Workers that were noted within [`WORKER_LISTED`](super::WORKER_LISTED), by name.
    async fn workers(&self) -> Result<Vec<v1::Worker>, RegistryError>;

    /// Gives a replica a duty, or prolongs it, for so long. `None` when another one has it.
    async fn take_duty(
        &self,
        duty: &str,
        replica: &Arc<str>,
        ttl: Duration,
    ) -> Result<Option<Duty>, RegistryError>;

    /// Notes when a duty was done, milliseconds since the epoch, and gives it up. False, and nothing is changed, if it is
    /// another one's by now.
    async fn duty_done(
        &self,
        duty: &str,
        replica: &Arc<str>,
        held: &Duty,
        done_ms: u64,
    ) -> Result<bool, RegistryError>;
}
