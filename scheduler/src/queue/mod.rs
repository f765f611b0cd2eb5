//! The lease queue: tasks wait here, workers take them under leases, owners hear what became of them.
//!
//! The queue decides who runs what and when, never what is to be run: when a lease ends, however it ends, the task
//! leaves the queue and its owners are told. Whether it is tried again is for the scheduler core to say, which is
//! the one place that counts attempts. So everything in here is soft: a queue that lost all it knew is made whole
//! by its owners with [`crate::core::Event::Republish`], and only work is repeated.
//!
//! [`LeaseQueue`] is the contract, [`InProcessQueue`] the implementation for one process, `RedisQueue` (feature
//! `server`) that for many, `conformance` the suite that every implementation passes.

mod clock;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
mod error;
mod in_process;
mod lease;
mod lease_queue;
mod news;
mod presence;
#[cfg(feature = "server")]
mod redis;
mod share;

#[cfg(any(test, feature = "conformance"))]
pub use clock::ManualClock;
pub use clock::{Clock, MonotonicClock};
pub use error::QueueError;
pub use in_process::InProcessQueue;
pub use lease::{FencingToken, Lease, LeaseId, LeaseRequest, Renewal, TaskOutput};
pub use lease_queue::{LeaseQueue, QueueOptions, QueueStats, Reaped};
pub use news::{News, Owner};
pub use presence::BlobPresence;
#[cfg(feature = "server")]
pub use redis::RedisQueue;
