//! The lease queue: tasks wait here, workers take them under leases, owners hear what became of them.
//!
//! The queue decides who runs what and when, never what is to be run: when a lease ends, however it ends, the task
//! leaves the queue and its owners are told. Whether it is tried again is for the scheduler core to say, which is
//! the one place that counts attempts. So everything in here is soft: a queue that lost all it knew is made whole
//! by its owners with [`gofarm_engine::core::Event::Republish`], and only work is repeated.
//!
//! [`LeaseQueue`] is the contract, [`InProcessQueue`] the implementation for one process, the scheduler's `RedisQueue` that for many, `conformance` the suite that every implementation passes.

mod clock;
pub mod conformance;
mod error;
mod in_process;
mod lease;
mod lease_queue;
mod presence;
mod share;

pub use clock::{Clock, ManualClock, MonotonicClock};
pub use error::QueueError;
pub use gofarm_engine::core::{FencingToken, News, Owner, pool_of};
pub use in_process::InProcessQueue;
pub use lease::{Lease, LeaseId, LeaseRequest, Renewal, TaskOutput};
pub use lease_queue::{
    GRACE_OF_A_KNOWN_POOL, LeaseQueue, PART_REMEMBERED, QueueOptions, QueueStats, Reaped,
};
pub use presence::BlobPresence;
pub use share::{LEAST_COST, PASSED, SEARCHED, cost};
