//! What the core wants done.

use std::sync::Arc;

use gofarm_proto::{ActionKey, v1};

use super::{ActionResult, BuildId, Failure, NodeId, RunId, Task};

/// Something to do. Effects of one step are carried out in order: a [`Effect::Record`] before the
/// [`Effect::LookUp`] that may find it.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Ask the action cache; answer with [`super::Event::CacheAnswer`].
    LookUp {
        /// What for.
        key: ActionKey,
        /// Answer with a result only if all its blobs are in the store: a client wants them.
        verify: bool,
    },
    /// Put a task into the queue. A key that is already queued takes the new run and the greater priority; one
    /// that is under lease takes the new run.
    Enqueue(Task),
    /// No build wants this any more. Answered by [`super::Event::TaskDone`], with whatever outcome it comes to.
    CancelTask {
        /// The task's key.
        key: ActionKey,
        /// The task's run.
        run: RunId,
    },
    /// Write a result into the action cache.
    Record {
        /// Under this key.
        key: ActionKey,
        /// Its outputs are in the store.
        result: Arc<ActionResult>,
    },
    /// Tell whoever watches the build.
    Notify {
        /// Which.
        build: BuildId,
        /// What.
        event: BuildEvent,
    },
}

/// What a watcher of a build sees. A build's events end with `Finished`.
#[derive(Clone, Debug, PartialEq)]
pub enum BuildEvent {
    /// The graph is accepted.
    Accepted {
        /// Number of nodes.
        total: u32,
    },
    /// A node changed. A node that was never queued when its build was cancelled or gave up has no event; the
    /// summary counts it.
    Node {
        /// Which.
        node: NodeId,
        /// To what.
        event: NodeEvent,
    },
    /// The build is over.
    Finished(Box<BuildSummary>),
}

/// What became of a node.
#[derive(Clone, Debug, PartialEq)]
pub enum NodeEvent {
    /// Waits for a worker, for the first time or again.
    Queued,
    /// A worker has it.
    Started {
        /// Who.
        worker: Arc<str>,
    },
    /// It has a result.
    Finished {
        /// Where the result is from.
        how: Resolution,
        /// What it was found or made under.
        key: ActionKey,
        /// With log, content ID and usage.
        result: Arc<ActionResult>,
    },
    /// It has none.
    Failed {
        /// Why.
        failure: Arc<Failure>,
    },
    /// An input of it will never be there.
    Skipped {
        /// Label of the failed action that it waits for, directly or not.
        waits_for: Arc<str>,
    },
    /// It was queued or running when its build ended.
    Cancelled,
    /// It had a result, and has to be made again: a blob was lost, or an input turned out differently.
    Reopened {
        /// The lost blob was its own; otherwise an input changed.
        lost: bool,
    },
    /// Made again under the same key it came out differently: the action is not deterministic.
    Nondeterministic {
        /// The key.
        key: ActionKey,
        /// Names of the outputs that differ.
        outputs: Box<[Arc<str>]>,
        /// Who made the result that the build had before, as far as known.
        first: Option<Arc<v1::Provenance>>,
        /// Who made the one that it has now.
        second: Option<Arc<v1::Provenance>>,
    },
}

/// Where a result is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Resolution {
    /// This build had it run.
    Executed,
    /// The action cache had it.
    Cached,
    /// Another node, of this build or of another, had it run; this one shared the execution.
    Joined,
}

/// How a build ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BuildResult {
    /// Every node has a result.
    Succeeded,
    /// A node failed.
    Failed,
    /// It was cancelled.
    Cancelled,
}

/// Nodes by how they ended; each is counted once, so all but `total` add up to `total`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Counts {
    /// All.
    pub total: u32,
    /// [`Resolution::Executed`].
    pub executed: u32,
    /// [`Resolution::Cached`].
    pub cached: u32,
    /// [`Resolution::Joined`].
    pub joined: u32,
    /// Failed themselves.
    pub failed: u32,
    /// Wait for one that failed.
    pub skipped: u32,
    /// Not finished when the build was cancelled or gave up.
    pub cancelled: u32,
}

/// A finished build.
#[derive(Clone, Debug, PartialEq)]
pub struct BuildSummary {
    /// How it ended.
    pub result: BuildResult,
    /// Over all kinds.
    pub counts: Counts,
    /// For each kind that occurs, by its number in `v1::Kind`.
    pub kinds: Vec<(v1::Kind, Counts)>,
    /// From submission to the end, milliseconds.
    pub wall_ms: u64,
    /// The longest chain of executions that had to wait for each other, by their measured durations, in
    /// milliseconds: no number of workers would have made this build faster. Cached nodes count nothing.
    pub critical_path_ms: u64,
    /// The nodes of that chain that took time, first to last.
    pub critical_path: Vec<NodeId>,
}
