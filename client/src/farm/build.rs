//! A build as it is given to a farm, and as it comes back.

use std::sync::Arc;
use std::time::Instant;

use gofarm_engine::core::{
    ActionResult, BuildEvent, BuildId, BuildSummary, Failure, NodeEvent, NodeId,
};
use gofarm_proto::{ActionKey, Digest, v1};
use gofarm_store::History;

use crate::farm::source::WorkerWatch;
use crate::farm::supply::Supply;
use crate::outline::Outline;

/// What a build may and may not do.
#[derive(Debug, Clone, Copy)]
pub struct Choices {
    /// Go on where nothing failed.
    pub keep_going: bool,
    /// Execute again what the cache has.
    pub no_cache: bool,
}

/// What one build brings along.
pub struct Build<'a> {
    /// Names it.
    pub id: BuildId,
    /// What is built.
    pub graph: &'a v1::Graph,
    /// What it is called, and what becomes of it.
    pub outline: &'a Outline,
    /// Its blobs.
    pub supply: Arc<Supply>,
    /// What earlier builds have measured.
    pub history: &'a History,
    /// How it is to be done.
    pub choices: Choices,
    /// Is told what happens.
    pub watch: &'a mut dyn BuildWatch,
    /// Is shown what workers do.
    pub worker_watch: Arc<dyn WorkerWatch>,
    /// Whether `worker_watch` has a use for what actions print while they run.
    pub shows_logs: bool,
    /// Whether it has one for commands.
    pub shows_commands: bool,
}

/// Is told what happens in a build.
pub trait BuildWatch: Send {
    /// A task is put into the queue for the node with this definition.
    fn task(&mut self, key: &ActionKey, definition: &Digest);
    /// In the order in which it happens.
    fn event(&mut self, event: &BuildEvent);
    /// The log of an action that has just ended is long, and comes here instead of with the event.
    fn output(&mut self, node: NodeId, piece: Output<'_>);
    /// About ten times a second.
    fn tick(&mut self);
    /// What is done before there are actions.
    fn stage(&mut self, text: &str);
    /// Nothing runs, and this is why. True until something is told to run.
    fn waits_for(&mut self, _reason: &str) {}
    /// The farm cannot be reached since then, and is tried again and again; `None`: it answers again.
    fn out_of_reach(&mut self, _since: Option<Instant>) {}
    /// Something that the user should know and that fails nothing.
    fn warn(&mut self, text: &str);
}

/// Part of a long log.
#[derive(Debug, Clone, Copy)]
pub enum Output<'a> {
    /// The next bytes.
    More(&'a [u8]),
    /// That was all.
    End,
    /// There is more, and it cannot be had: why.
    Lost(&'a str),
}

/// The node whose log this event tells to be a blob, and which.
pub(crate) fn long_log(event: &BuildEvent) -> Option<(NodeId, Digest)> {
    let BuildEvent::Node { node, event } = event else {
        return None;
    };
    let log = match event {
        NodeEvent::Finished { result, .. } => &result.log,
        NodeEvent::Failed { failure } => match &**failure {
            Failure::Action { result } => &result.log,
            _ => return None,
        },
        _ => return None,
    };
    Some((*node, log.blob()?))
}

/// A build that is over.
#[derive(Debug)]
pub struct Finished {
    /// What the core says of it.
    pub summary: BuildSummary,
    /// The results of the nodes, in their order; none for nodes that failed or were not run.
    pub results: Vec<Option<Arc<ActionResult>>>,
    /// The nodes that this build had executed.
    pub executed: Vec<usize>,
    /// Bytes of definitions and sources that the store did not have.
    pub uploaded: u64,
}
