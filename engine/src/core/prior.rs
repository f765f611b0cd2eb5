//! What an earlier owner of a build has said of its nodes.
//!
//! A scheduler that takes a build over begins with nothing done and takes what there is from the action cache. Its
//! watchers have been told of results before: those are not told again, and count as they were counted then.

use std::sync::Arc;

use gofarm_proto::ActionKey;

use super::build::State;
use super::effect::{Effect, NodeEvent, Resolution};
use super::flight::Waiter;
use super::machine::Core;
use super::{ActionResult, Failure};

/// How a node stood when the earlier owner was last heard of.
#[derive(Clone, Debug, PartialEq)]
pub enum Prior {
    /// It had this result.
    Done {
        /// Under this key.
        key: ActionKey,
        /// Where it was from.
        how: Resolution,
        /// The result.
        result: Arc<ActionResult>,
    },
    /// It had failed, and fails again without being tried.
    Failed(Arc<Failure>),
    /// It was skipped.
    Skipped,
}

impl Prior {
    /// How long its execution took in this build, milliseconds.
    pub(super) fn duration_ms(how: Resolution, result: &ActionResult) -> u64 {
        match how {
            Resolution::Cached => 0,
            Resolution::Executed | Resolution::Joined => result.duration_ms(),
        }
    }
}

impl Core {
    /// A node comes to something else than the result that was told of it: that result is taken back.
    pub(super) fn retract(&mut self, waiter: Waiter, lost: bool, out: &mut Vec<Effect>) {
        let Some(build) = self.builds.get_mut(&waiter.build) else {
            return;
        };
        let prior = &mut build.node_mut(waiter.node).prior;
        if matches!(prior.as_deref(), Some(Prior::Done { .. })) {
            *prior = None;
            out.push(waiter.notify(NodeEvent::Reopened { lost }));
        }
    }

    /// Skips a node; told unless it was told before.
    pub(super) fn skip(&mut self, waiter: Waiter, cause: u32, out: &mut Vec<Effect>) {
        self.retract(waiter, false, out);
        let Some(build) = self.builds.get_mut(&waiter.build) else {
            return;
        };
        build.set_state(waiter.node, State::Skipped);
        let waits_for = build.info(cause).label.clone();
        let node = build.node_mut(waiter.node);
        node.waits_for = cause;
        if node.prior.take().is_none() {
            out.push(waiter.notify(NodeEvent::Skipped { waits_for }));
        }
    }
}
