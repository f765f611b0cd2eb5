//! The life of a worker: it takes leases from a queue, as many at once as CPUs and memory allow, keeps them while their tasks
//! run, and reports what came of them.
//!
//! [`LeaseSource`] is the queue as a worker sees it, wherever that is. [`WorkerLoop`] is what all workers have in common.

mod hold;
mod lease;
mod machine;
mod pace;
mod room;
mod slots;

pub use lease::{
    ASSUMED_MEMORY, Capacity, Lease, LeaseSource, LeaseToken, Lost, Renewal, SourceError,
};
#[cfg(feature = "remote")]
pub(crate) use lease::{MARGIN, RENEW_AFTER};
pub use machine::{Machine, machine};
pub use slots::{WorkerLoop, WorkerOptions};
