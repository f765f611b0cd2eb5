//! Lost blobs: the actions that made them run again, and what depends on them follows if they come out
//! differently.
//!
//! Why this ends: a build runs a node again for its blobs at most `max_reruns` times, and every other new
//! execution is of a node behind one of those, of which there are finitely many.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use gofarm_proto::{ActionKey, Digest};

use super::build::{Build, State};
use super::effect::{Effect, NodeEvent};
use super::flight::{Flight, Phase, Waiter};
use super::machine::Core;
use super::{ActionResult, BuildId, Failure, NodeId, RunId};

impl Build {
    /// Who is to make these blobs again for a node that lacks them, and which: those of the node's inputs that have it, else
    /// whoever made the same before. Err with the first blob that nobody made.
    ///
    /// O(inputs of the node + digests).
    pub(super) fn producers(
        &self,
        node: u32,
        digests: &[Digest],
    ) -> Result<Vec<(u32, Digest)>, Digest> {
        let mut by_edge: HashMap<Digest, Vec<u32>> =
            digests.iter().map(|digest| (*digest, Vec::new())).collect();
        for edge in self.spec.graph.inputs(node as usize) {
            let output = &self.spec.names[edge.output as usize];
            let result = self.node(edge.node).result();
            let read = result.and_then(|result| result.output(output));
            if let Some(nodes) = read.and_then(|digest| by_edge.get_mut(&digest)) {
                nodes.push(edge.node);
            }
        }
        let mut producers = Vec::with_capacity(digests.len());
        for digest in digests {
            let known = producers.len();
            let nodes = by_edge.get(digest).into_iter().flatten();
            producers.extend(nodes.map(|node| (*node, *digest)));
            if producers.len() > known {
                continue;
            }
            // Not an input by an edge: a file that the client uploaded, and that happens to equal an output.
            // Only earlier nodes: a later one may itself wait for this node.
            match self.makers().first(digest) {
                Some(maker) if maker < node => producers.push((maker, *digest)),
                _ => return Err(*digest),
            }
        }
        Ok(producers)
    }

    /// Has a node wait for those of the producers, too, that it has no edge to.
    fn wait_beyond_edges(&mut self, node: u32, producers: &[(u32, Digest)]) {
        let inputs = self.spec.graph.inputs(node as usize).iter();
        let extra = self.extra.iter().filter(|(_, waiting)| *waiting == node);
        let extra = extra.map(|(maker, _)| *maker);
        let mut waits_for: HashSet<u32> = inputs.map(|edge| edge.node).chain(extra).collect();
        for (maker, _) in producers {
            if waits_for.insert(*maker) {
                self.extra.push((*maker, node));
            }
        }
    }

    /// The nodes that are done with a result under this key which has one of these blobs, ascending, each with the first of
    /// them.
    pub(super) fn makers_under(&self, key: ActionKey, digests: &[Digest]) -> BTreeMap<u32, Digest> {
        let mut found = BTreeMap::new();
        for digest in digests {
            for maker in self.makers().all(digest) {
                let node = self.node(maker);
                if node.key == key && matches!(node.state, State::Done(_)) {
                    found.entry(maker).or_insert(*digest);
                }
            }
        }
        found
    }
}

impl Core {
    /// A worker could not stage a task: these of its inputs are not in the store.
    pub(super) fn inputs_missing(
        &mut self,
        flight: Flight,
        digests: &[Digest],
        out: &mut Vec<Effect>,
    ) {
        let began = match flight.phase {
            Phase::Running { since, .. } => since,
            Phase::Queued | Phase::Cancelling => flight.enqueued_step,
        };
        for waiter in flight.waiters {
            if !self.is_in(waiter, State::InFlight) {
                continue;
            }
            self.await_producers(waiter, digests, began, out);
        }
        self.release(flight.deferred);
    }

    /// One of the builds that wait for a run can never have these of its inputs.
    pub(super) fn sources_lost(
        &mut self,
        build: BuildId,
        key: ActionKey,
        run: RunId,
        digests: &[Digest],
        out: &mut Vec<Effect>,
    ) {
        let waiters = self.waiters(&key, run);
        let lost: Vec<Waiter> = waiters
            .filter(|(waiting, _)| *waiting == build)
            .map(|(build, NodeId(node))| Waiter { build, node })
            .collect();
        if lost.is_empty() {
            self.ignored.stale_run += 1;
        }
        for waiter in lost {
            // The first that fails may have ended the build.
            if self.is_in(waiter, State::InFlight) {
                self.detach(waiter, out);
                self.await_producers(waiter, digests, self.step, out);
            }
        }
    }

    /// Puts a node back to waiting until the blobs have been made again.
    fn await_producers(
        &mut self,
        waiter: Waiter,
        digests: &[Digest],
        began: u64,
        out: &mut Vec<Effect>,
    ) {
        let Some(build) = self.builds.get_mut(&waiter.build) else {
            return;
        };
        build.set_state(waiter.node, State::Waiting);
        let producers = match build.producers(waiter.node, digests) {
            Ok(producers) => producers,
            Err(digest) => {
                return self.fail(waiter, Arc::new(Failure::MissingBlob { digest }), out);
            }
        };
        build.wait_beyond_edges(waiter.node, &producers);
        for (node, digest) in producers {
            let producer = Waiter {
                build: waiter.build,
                node,
            };
            let Some(build) = self.builds.get_mut(&waiter.build) else {
                return;
            };
            let made = build.node(node);
            // One that is under way again, or was made again since the worker looked, is not made once more
            // for the same loss: many tasks may have found it at the same time.
            if !matches!(made.state, State::Done(_)) || made.remade_step > began {
                continue;
            }
            if made.reruns >= self.options.max_reruns {
                let failure = Failure::LostAgain {
                    digest,
                    producer: build.info(node).label.clone(),
                    reruns: made.reruns,
                };
                return self.fail(waiter, Arc::new(failure), out);
            }
            self.reopen(producer, true, out);
        }
        if let Some(build) = self.builds.get_mut(&waiter.build) {
            // A maker that is done and is not run again has no end left to be waited for.
            let (nodes, extra) = (&build.nodes, &mut build.extra);
            extra.retain(|(from, _)| !matches!(nodes[*from as usize].state, State::Done(_)));
        }
        self.settle(waiter, out);
    }

    /// Outputs of a finished action were found missing by a reader outside the builds' own tasks.
    pub(super) fn outputs_missing(
        &mut self,
        key: ActionKey,
        digests: &[Digest],
        out: &mut Vec<Effect>,
    ) {
        let mut affected = Vec::new();
        for (id, build) in &self.builds {
            if !build.by_key.contains_key(&key) {
                continue;
            }
            for (node, digest) in build.makers_under(key, digests) {
                let build = *id;
                affected.push((Waiter { build, node }, digest));
            }
        }
        if affected.is_empty() {
            self.ignored.unknown_output += 1;
        }
        for (waiter, digest) in affected {
            let Some(build) = self.builds.get_mut(&waiter.build) else {
                continue;
            };
            let node = build.node(waiter.node);
            if !matches!(node.state, State::Done(_)) {
                continue;
            }
            if node.reruns >= self.options.max_reruns {
                let failure = Failure::LostAgain {
                    digest,
                    producer: build.info(waiter.node).label.clone(),
                    reruns: node.reruns,
                };
                self.fail(waiter, Arc::new(failure), out);
            } else {
                self.reopen(waiter, true, out);
            }
        }
    }

    /// Takes a done node's result away: because its blobs are lost, or because an input of it changed.
    fn reopen(&mut self, waiter: Waiter, lost: bool, out: &mut Vec<Effect>) {
        let Some(build) = self.builds.get_mut(&waiter.build) else {
            return;
        };
        build.reopened = true;
        build.set_state(waiter.node, State::Waiting);
        let node = build.node_mut(waiter.node);
        if lost {
            node.bypass = true;
            node.reruns += 1;
        }
        for i in 0..build.dependents(waiter.node).len() {
            let dependent = build.dependents(waiter.node)[i];
            let node = build.node_mut(dependent);
            if node.state == State::Waiting {
                node.pending += 1;
            }
        }
        let extra = build.extra.iter().filter(|(from, _)| *from == waiter.node);
        let waiting: Vec<u32> = extra.map(|(_, waiting)| *waiting).collect();
        for waiting in waiting {
            let node = build.node_mut(waiting);
            if node.state == State::Waiting {
                node.pending += 1;
            }
        }
        out.push(waiter.notify(NodeEvent::Reopened { lost }));
        self.settle(waiter, out);
    }

    /// Counts anew what a waiting node waits for; it goes on its way if that is nothing, and is skipped if it
    /// will never come.
    fn settle(&mut self, waiter: Waiter, out: &mut Vec<Effect>) {
        let Some(build) = self.builds.get_mut(&waiter.build) else {
            return;
        };
        if build.node(waiter.node).state != State::Waiting {
            return;
        }
        match build.count_pending(waiter.node) {
            Ok(pending) => {
                build.node_mut(waiter.node).pending = pending;
                if pending == 0 {
                    self.ready.push_back(waiter);
                }
            }
            Err(cause) => {
                self.skip(waiter, cause, out);
                self.skip_dependents(waiter, cause, out);
            }
        }
    }

    /// Ends the waits that no edge says when their node is done.
    pub(super) fn end_extra_waits(&mut self, done: Waiter) {
        let Some(build) = self.builds.get_mut(&done.build) else {
            return;
        };
        let nodes = &mut build.nodes;
        let ready = &mut self.ready;
        build.extra.retain(|(from, waiting)| {
            if *from != done.node {
                return true;
            }
            let node = &mut nodes[*waiting as usize];
            if node.state == State::Waiting {
                node.pending -= 1;
                if node.pending == 0 {
                    ready.push_back(Waiter {
                        build: done.build,
                        node: *waiting,
                    });
                }
            }
            false
        });
    }

    /// An input of a node that is on its way or done was made again. If that changed the node's key, what it
    /// has or waits for is of other inputs, and it starts over.
    pub(super) fn check_key(&mut self, waiter: Waiter, out: &mut Vec<Effect>) {
        let Some(build) = self.builds.get_mut(&waiter.build) else {
            return;
        };
        let state = build.node(waiter.node).state;
        let started = state.is_active() || matches!(state, State::Done(_));
        // While another input is open its end will bring this node here again.
        if !started || build.count_pending(waiter.node) != Ok(0) {
            return;
        }
        let info = build.info(waiter.node);
        let key = build
            .produced(waiter.node)
            .map(|produced| ActionKey::new(&info.definition, produced));
        // An output that is gone altogether is found when the node is dispatched.
        if key.is_ok_and(|key| key == build.node(waiter.node).key) {
            return;
        }
        if state.is_active() {
            self.detach(waiter, out);
            if let Some(build) = self.builds.get_mut(&waiter.build) {
                build.set_state(waiter.node, State::Waiting);
                out.push(waiter.notify(NodeEvent::Reopened { lost: false }));
            }
            self.settle(waiter, out);
        } else {
            self.reopen(waiter, false, out);
        }
    }

    /// Tells when an action made again came out differently.
    pub(super) fn compare(
        &self,
        waiter: Waiter,
        key: ActionKey,
        before: &ActionResult,
        after: &ActionResult,
        out: &mut Vec<Effect>,
    ) {
        let differing: Box<[Arc<str>]> = before
            .outputs
            .iter()
            .filter(|output| after.output(&output.name) != Some(output.digest))
            .map(|output| output.name.clone())
            .collect();
        if !differing.is_empty() {
            out.push(waiter.notify(NodeEvent::Nondeterministic {
                key,
                outputs: differing,
                first: before.made.clone(),
                second: after.made.clone(),
            }));
        }
    }
}
