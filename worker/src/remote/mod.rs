//! A worker that takes its tasks and blobs from a farm.
//!
//! [`RemoteSource`] is the farm's lease queue and store as the worker's loop sees them: a [`LeaseSource`](crate::LeaseSource)
//! over gRPC. Beside the calls of the loop it has a life of its own: all leases are renewed in one call, output is sent on
//! in batches, the local cache is kept in bounds and looked through for damage. [`run`] is the whole process, [`Arguments`] its command line.
//!
//! # What may be relied on
//!
//! - A lease that the farm has given is renewed until it is reported, and given back when the worker drains: none is lost
//!   because the loop changed its mind about how much room there is.
//! - Processes are gone before a lease that could not be renewed runs out.
//! - A result is told only when its outputs are in the farm's store.
//! - A full disk is this worker's trouble and costs a task one attempt at most.

mod ask;
mod cache;
mod disk_trouble;
mod held;
mod inputs;
mod message;
mod options;
mod output;
mod pending;
mod process;
mod renewal;
mod report;
mod scrub;
mod servers;
mod shared;
mod source;
mod spans;

pub use cache::{LocalCache, bounded};
pub use options::{RemoteOptions, ScrubOptions};
pub use process::{Arguments, SandboxChoice, SlotCount, c_toolchains, run};
pub use servers::Servers;
pub use source::RemoteSource;
