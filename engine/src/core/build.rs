//! An open build: the state of its nodes.

use std::collections::HashMap;
use std::sync::Arc;

use gofarm_proto::{ActionKey, Digest};

use super::flight::KeyMap;
use super::makers::Makers;
use super::spec::{BuildSpec, NodeInfo};
use super::{ActionResult, BuildId, Counts, Failure, Millis, Prior, Priority, Resolution};

/// Where a node stands. Done, failed, skipped and cancelled are *ended*; only done can be left again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// `Node::pending` inputs are not done.
    Waiting,
    /// Among the waiters of a lookup.
    LookingUp,
    /// Among the waiters of a flight.
    InFlight,
    /// Among the deferred of a flight.
    Deferred,
    Done(Resolution),
    Failed,
    Skipped,
    Cancelled,
}

impl State {
    pub fn is_active(self) -> bool {
        matches!(self, State::LookingUp | State::InFlight | State::Deferred)
    }

    pub fn is_ended(self) -> bool {
        !self.is_active() && self != State::Waiting
    }
}

#[derive(Clone, Debug)]
pub(super) struct Node {
    pub state: State,
    /// While waiting: different nodes it reads from, and extra ones it waits for, that are not done.
    pub pending: u32,
    /// Whose fault, when skipped.
    pub waits_for: u32,
    /// Times that it was run again for its blobs.
    pub reruns: u32,
    /// Number of the step in which the last of those runs ended.
    pub remade_step: u64,
    /// Run it without asking the cache: the blobs of the cached result are lost.
    pub bypass: bool,
    /// The blobs of the result are known to have been in the store.
    pub verified: bool,
    /// How long its execution took in this build, milliseconds.
    pub duration_ms: u64,
    /// Valid while active and when done.
    pub key: ActionKey,
    /// See [`Node::result`]. Only [`Build::set_result`] changes it, because `Build::makers` says the same.
    result: Option<Arc<ActionResult>>,
    /// What was told of it before this core had the build, until it comes to something here.
    pub prior: Option<Box<Prior>>,
}

impl Node {
    /// When done; kept when reopened, to see what changed.
    pub fn result(&self) -> Option<&Arc<ActionResult>> {
        self.result.as_ref()
    }
}

#[derive(Debug)]
pub(super) struct Build {
    pub spec: BuildSpec,
    pub submitted_at: Millis,
    /// Number of the step that submitted it.
    pub submitted_step: u64,
    pub nodes: Vec<Node>,
    pub priorities: Vec<Priority>,
    /// Nodes that are not ended.
    pub open: u32,
    pub counts: Counts,
    /// By number of the kind.
    pub kinds: Vec<Counts>,
    /// The first node of each key that ended with a result or a failure of its own.
    pub by_key: KeyMap<ActionKey, u32>,
    pub failures: HashMap<u32, Arc<Failure>>,
    /// Who has made what, by the results of the nodes.
    makers: Makers,
    /// (producer, waiting node) that no edge says: see `recovery.rs`.
    pub extra: Vec<(u32, u32)>,
    /// A node was reopened, so an ended node's inputs may have changed.
    pub reopened: bool,
}

impl Build {
    /// Takes in a spec; O(V + E).
    pub fn new(mut spec: BuildSpec, now: Millis, step: u64) -> Build {
        let producers = spec.graph.link_dependents();
        let priorities = spec.priorities();
        let mut nodes: Vec<Node> = producers
            .into_iter()
            .map(|pending| Node {
                state: State::Waiting,
                pending,
                waits_for: 0,
                reruns: 0,
                remade_step: 0,
                bypass: false,
                verified: false,
                duration_ms: 0,
                key: ActionKey([0; 32]),
                result: None,
                prior: None,
            })
            .collect();
        for (node, prior) in std::mem::take(&mut spec.priors) {
            nodes[node.index()].prior = Some(Box::new(prior));
        }
        let total = spec.nodes.len() as u32;
        let mut kinds: Vec<Counts> = Vec::new();
        for node in &spec.nodes {
            let kind = node.kind as usize;
            if kinds.len() <= kind {
                kinds.resize(kind + 1, Counts::default());
            }
            kinds[kind].total += 1;
        }
        Build {
            submitted_at: now,
            submitted_step: step,
            nodes,
            priorities,
            open: total,
            counts: Counts {
                total,
                ..Counts::default()
            },
            kinds,
            by_key: KeyMap::default(),
            failures: HashMap::new(),
            makers: Makers::default(),
            extra: Vec::new(),
            reopened: false,
            spec,
        }
    }

    pub fn id(&self) -> BuildId {
        self.spec.id
    }

    pub fn info(&self, node: u32) -> &NodeInfo {
        &self.spec.nodes[node as usize]
    }

    pub fn node(&self, node: u32) -> &Node {
        &self.nodes[node as usize]
    }

    pub fn node_mut(&mut self, node: u32) -> &mut Node {
        &mut self.nodes[node as usize]
    }

    pub fn dependents(&self, node: u32) -> &[u32] {
        self.spec.graph.dependents(node as usize)
    }

    /// Moves a node to another state and keeps the counts.
    pub fn set_state(&mut self, node: u32, state: State) {
        let old = std::mem::replace(&mut self.node_mut(node).state, state);
        self.count(node, old, false);
        self.count(node, state, true);
    }

    /// Gives a node its result, and returns the one that it had.
    pub fn set_result(
        &mut self,
        node: u32,
        result: Arc<ActionResult>,
    ) -> Option<Arc<ActionResult>> {
        let before = self.node_mut(node).result.replace(result.clone());
        match &before {
            Some(before) if before.outputs == result.outputs => return Some(before.clone()),
            Some(before) => self.makers.remove(node, before),
            None => {}
        }
        self.makers.add(node, &result);
        before
    }

    /// Which nodes have made what, those included that are to make it again.
    pub fn makers(&self) -> &Makers {
        &self.makers
    }

    fn count(&mut self, node: u32, state: State, up: bool) {
        if !state.is_ended() {
            return;
        }
        // Every node that leaves an ended state was counted when it came into it.
        let change = |number: &mut u32| *number = if up { *number + 1 } else { *number - 1 };
        self.open = if up { self.open - 1 } else { self.open + 1 };
        let kind = self.info(node).kind as usize;
        for counts in [&mut self.counts, &mut self.kinds[kind]] {
            match state {
                State::Done(Resolution::Executed) => change(&mut counts.executed),
                State::Done(Resolution::Cached) => change(&mut counts.cached),
                State::Done(Resolution::Joined) => change(&mut counts.joined),
                State::Failed => change(&mut counts.failed),
                State::Skipped => change(&mut counts.skipped),
                State::Cancelled => change(&mut counts.cancelled),
                State::Waiting | State::LookingUp | State::InFlight | State::Deferred => {}
            }
        }
    }

    /// The digests of a node's produced inputs, in order. All nodes it reads from have a result.
    pub fn produced(&self, node: u32) -> Result<Vec<Digest>, Failure> {
        let edges = self.spec.graph.inputs(node as usize);
        let mut digests = Vec::with_capacity(edges.len());
        for edge in edges {
            let output = &self.spec.names[edge.output as usize];
            let result = self.node(edge.node).result.as_ref();
            match result.and_then(|result| result.output(output)) {
                Some(digest) => digests.push(digest),
                None => {
                    return Err(Failure::MissingOutput {
                        producer: self.info(edge.node).label.clone(),
                        output: output.clone(),
                    });
                }
            }
        }
        Ok(digests)
    }

    /// What a node that is to wait has to wait for, counted anew; Err with the node at fault if one of them
    /// will never be done.
    pub fn count_pending(&self, node: u32) -> Result<u32, u32> {
        let edges = self.spec.graph.inputs(node as usize);
        let mut producers: Vec<u32> = edges.iter().map(|edge| edge.node).collect();
        let extra = self.extra.iter().filter(|(_, waiting)| *waiting == node);
        producers.extend(extra.map(|(producer, _)| *producer));
        producers.sort_unstable();
        producers.dedup();
        let mut pending = 0;
        for producer in producers {
            match self.node(producer).state {
                State::Done(_) => {}
                State::Failed | State::Cancelled => return Err(producer),
                State::Skipped => return Err(self.node(producer).waits_for),
                _ => pending += 1,
            }
        }
        Ok(pending)
    }
}
