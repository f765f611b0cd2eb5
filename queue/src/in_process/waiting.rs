//! A task that waits: where it stands in its pool, and what it needs.

use std::cmp::Reverse;

use gofarm_engine::core::{Millis, Task};

use super::ready::{Need, Rank};
use crate::QueueOptions;

/// Where a waiting task stands in its pool.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waiting {
    pub sequence: u64,
    pub since: Millis,
    /// Kept for the worker that it is near to.
    pub kept: bool,
}

impl Waiting {
    /// Where that is in the order of a list.
    pub fn rank(self, task: &Task) -> Rank {
        (Reverse(task.priority), self.sequence)
    }
}

pub(super) fn need(task: &Task, options: &QueueOptions) -> Need {
    Need {
        bytes: task.memory_estimate.unwrap_or(options.assumed_memory),
        recorded: task.memory_estimate.is_some(),
    }
}
