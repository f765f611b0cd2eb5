//! What the replicas of a scheduler share: builds, who owns them, their events, what was measured, and the workers.
//!
//! All of it is soft. The owner of a build has everything about it in memory and writes it again when the registry has
//! lost it; a build whose registry and owner are lost at once is submitted again by its client. [`MemoryRegistry`] is
//! for a farm with one replica, [`RedisRegistry`](crate::redis::RedisRegistry) for any number; one suite of tests holds both.

pub(crate) mod bells;
mod error;
mod memory;
#[allow(clippy::module_inception, reason = "the contract's own file")]
mod registry;

#[cfg(test)]
pub(crate) mod tests;

pub use error::RegistryError;
pub use gofarm_engine::registry::{
    Append, Appended, Duty, LoggedEvent, Measurement, OWNERSHIP_TTL, Ownership, REMEMBERED,
    Restore, Tenure,
};
pub use memory::MemoryRegistry;
pub use registry::Registry;

use std::time::Duration;

use gofarm_proto::v1;

use gofarm_engine::core::BuildId;

/// How much of what is over is remembered, so that a farm that ends many builds has room for those that are open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Builds that are over; the latest stay. Each has a record of some hundred bytes, and events of up to 16 KiB until they
    /// are archived or for as long as it is remembered: 80 MiB at most with the usual bound.
    pub over: usize,
    /// Recorded executions of a part of a pool, some 100 bytes each.
    pub history: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Bounds {
            over: 5_000,
            history: 100_000,
        }
    }
}

/// How long a worker is listed after it was last heard of.
pub const WORKER_LISTED: Duration = Duration::from_secs(30);

/// A reader that waits for events looks this often, rung for or not.
const POLL: Duration = Duration::from_secs(1);

/// The id of a record that is to be written.
pub(crate) fn record_id(record: &v1::Build) -> Result<BuildId, RegistryError> {
    let id = record.build.parse();
    id.map_err(
        |error: gofarm_engine::core::ParseBuildIdError| RegistryError::Malformed {
            what: "a build's record".to_owned(),
            reason: error.to_string(),
        },
    )
}
