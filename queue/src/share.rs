//! How the time of a part of a pool is shared: what the implementations have in common.
//!
//! Start-time fair queueing over shares, a share being one build of one user. Each has a virtual time, and of those
//! that have something that is ready and fits, the one goes next whose time is least. A lease adds its cost: what the
//! action took before, times the number of builds of that user that have something ready, so that a user gets the same
//! with one build as with ten. When the lease ends, its cost becomes the time that it was really held. A share that gets
//! something ready after it had nothing begins no earlier than the others are: having been idle earns nothing, and
//! nobody waits for a newcomer to catch up. When nothing is ready or leased any more, times begin at zero again.
//!
//! Tasks that are to run alone are given out of turn, and paid for like all others.

use gofarm_engine::core::Task;

/// What a lease of an action is taken to cost of which nothing is recorded, milliseconds.
const ASSUMED_COST: u64 = 1_000;

/// What a lease costs at least, milliseconds: many that take next to no time are not free.
pub const LEAST_COST: u64 = 1;

/// Tasks that are looked at for one lease, in all shares together. Those of a memory class that cannot fit do not count.
pub const SEARCHED: usize = 1_024;

/// Shares that are looked at for one lease.
pub const PASSED: usize = 256;

/// What the lease of a task is taken to cost, milliseconds.
pub fn cost(task: &Task) -> u64 {
    task.duration_estimate
        .unwrap_or(ASSUMED_COST)
        .max(LEAST_COST)
}
