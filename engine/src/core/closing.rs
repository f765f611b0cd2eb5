//! The end of a build: by itself, by its first failure, or by its client.

use gofarm_proto::v1;

use super::build::{Build, State};
use super::effect::{BuildEvent, BuildResult, BuildSummary, Counts, Effect, NodeEvent};
use super::flight::Waiter;
use super::machine::Core;
use super::{BuildId, NodeId, Prior};

impl Core {
    pub(super) fn cancel(&mut self, build: BuildId, out: &mut Vec<Effect>) {
        if self.builds.contains_key(&build) {
            self.abort(build, BuildResult::Cancelled, out);
        } else {
            self.ignored.unknown_build += 1;
        }
    }

    /// Lets go of a build without a word.
    pub(super) fn forget(&mut self, id: BuildId, out: &mut Vec<Effect>) {
        let count = self.builds.get(&id).map_or(0, |build| build.nodes.len());
        for node in 0..count as u32 {
            self.detach(Waiter { build: id, node }, out);
        }
        if self.builds.remove(&id).is_none() {
            self.ignored.unknown_build += 1;
        }
    }

    /// Ends a build now, whatever is open.
    pub(super) fn abort(&mut self, id: BuildId, result: BuildResult, out: &mut Vec<Effect>) {
        let count = self.builds.get(&id).map_or(0, |build| build.nodes.len());
        for node in 0..count as u32 {
            let waiter = Waiter { build: id, node };
            let Some(state) = self.builds.get(&id).map(|build| build.node(node).state) else {
                return;
            };
            if state.is_active() {
                self.detach(waiter, out);
            }
            if self.keep_prior(waiter) {
                continue;
            }
            if state.is_active() {
                out.push(waiter.notify(NodeEvent::Cancelled));
            }
            if !state.is_ended()
                && let Some(build) = self.builds.get_mut(&id)
            {
                build.set_state(node, State::Cancelled);
            }
        }
        self.close(id, result, out);
    }

    /// A node that is not ended here but was said to be done stays so.
    fn keep_prior(&mut self, waiter: Waiter) -> bool {
        let Some(build) = self.builds.get_mut(&waiter.build) else {
            return false;
        };
        let node = build.node_mut(waiter.node);
        match node.prior.take().map(|prior| *prior) {
            Some(Prior::Done { how, result, .. }) => {
                node.duration_ms = Prior::duration_ms(how, &result);
                build.set_state(waiter.node, State::Done(how));
                true
            }
            Some(Prior::Skipped) => {
                build.set_state(waiter.node, State::Skipped);
                true
            }
            Some(Prior::Failed(_)) => {
                build.set_state(waiter.node, State::Failed);
                true
            }
            None => false,
        }
    }

    pub(super) fn close_if_over(&mut self, id: BuildId, out: &mut Vec<Effect>) {
        let Some(build) = self.builds.get(&id) else {
            return;
        };
        if build.open > 0 {
            return;
        }
        let result = match build.counts.failed {
            0 => BuildResult::Succeeded,
            _ => BuildResult::Failed,
        };
        self.close(id, result, out);
    }

    fn close(&mut self, id: BuildId, result: BuildResult, out: &mut Vec<Effect>) {
        let Some(build) = self.builds.remove(&id) else {
            return;
        };
        let (critical_path_ms, critical_path) = critical_path(&build);
        let kind = |(number, counts): (usize, &Counts)| {
            Some((v1::Kind::try_from(number as i32).ok()?, *counts))
        };
        let summary = BuildSummary {
            result,
            counts: build.counts,
            kinds: build
                .kinds
                .iter()
                .enumerate()
                .filter(|(_, counts)| counts.total > 0)
                .filter_map(kind)
                .collect(),
            wall_ms: self.now.since(build.submitted_at),
            critical_path_ms,
            critical_path,
        };
        out.push(Effect::Notify {
            build: build.id(),
            event: BuildEvent::Finished(Box::new(summary)),
        });
    }
}

/// The longest chain by measured durations, and the nodes of it that took time.
fn critical_path(build: &Build) -> (u64, Vec<NodeId>) {
    // For each node: the end of the longest chain up to it, and the node before it on that chain.
    let mut chains: Vec<(u64, Option<u32>)> = Vec::with_capacity(build.nodes.len());
    let mut last: Option<u32> = None;
    for (index, node) in build.nodes.iter().enumerate() {
        let inputs = build.spec.graph.inputs(index).iter().map(|edge| edge.node);
        let before = inputs.max_by_key(|input| chains[*input as usize].0);
        let start = before.map_or(0, |input| chains[input as usize].0);
        let end = start.saturating_add(node.duration_ms);
        chains.push((end, before));
        if last.is_none_or(|last| end > chains[last as usize].0) {
            last = Some(index as u32);
        }
    }
    let total = last.map_or(0, |node| chains[node as usize].0);
    let mut path = Vec::new();
    while let Some(node) = last {
        if build.node(node).duration_ms > 0 {
            path.push(NodeId(node));
        }
        last = chains[node as usize].1;
    }
    path.reverse();
    (total, path)
}
