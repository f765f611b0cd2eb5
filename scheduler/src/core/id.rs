//! Names and numbers: nodes, builds, runs, times, priorities.

use std::fmt;

/// Index of a node in its build's graph. Edges point only to smaller indices.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct NodeId(pub u32);

impl NodeId {
    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}

/// A submitted graph. Chosen by the caller, unique among the builds that it has open; a random UUID does.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BuildId(pub u128);

/// 32 hex digits.
impl fmt::Display for BuildId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for BuildId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// One time that a task was put into the queue. Never used twice by one core, so that what is said about an
/// earlier attempt can never be taken for news about a later one.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct RunId(pub u64);

/// A point in time, in milliseconds since a moment that the owner of the clock chose.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default)]
pub struct Millis(pub u64);

impl Millis {
    /// Milliseconds from `earlier` to this; 0 if the clock went backwards.
    pub fn since(self, earlier: Millis) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// Which of two tasks goes first: the greater one. Opaque: what goes into it may change, its order is all that
/// a queue may rely on.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default)]
pub struct Priority(u64);

impl Priority {
    /// By the longest path of work that waits for this task, itself included, in milliseconds.
    pub fn of_remaining_path(ms: u64) -> Priority {
        Priority(ms)
    }
}
