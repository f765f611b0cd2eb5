//! What the log of an earlier owner says.

use std::collections::{BTreeMap, HashSet};

use gofarm_proto::v1;

use crate::convert::{self, Malformed};
use crate::core::{NodeEvent, NodeId, Prior};

/// How a build stood by its last event.
#[derive(Debug, Default)]
pub(super) struct Inherited {
    /// Whether its watchers know that it is accepted.
    pub accepted: bool,
    /// Nodes that had ended.
    pub priors: BTreeMap<NodeId, Prior>,
    /// Nodes that were in the queue or with a worker.
    pub in_queue: HashSet<u32>,
    /// Its end, if it has one.
    pub finished: Option<(u64, v1::BuildFinished)>,
}

impl Inherited {
    /// Takes in the next event.
    pub fn add(&mut self, event: &v1::BuildEvent) -> Result<(), Malformed> {
        match &event.event {
            Some(v1::build_event::Event::Accepted(_)) => self.accepted = true,
            Some(v1::build_event::Event::Node(node)) => {
                let (node, event) = convert::node_event(node.clone())?;
                self.node(node, event);
            }
            Some(v1::build_event::Event::Finished(finished)) => {
                self.finished = Some((event.time_ms, finished.clone()));
            }
            Some(v1::build_event::Event::Log(_) | v1::build_event::Event::Wanted(_)) | None => {}
        }
        Ok(())
    }

    fn node(&mut self, node: NodeId, event: NodeEvent) {
        let prior = match event {
            NodeEvent::Queued | NodeEvent::Started { .. } => {
                self.in_queue.insert(node.0);
                return;
            }
            NodeEvent::Nondeterministic { .. } => return,
            NodeEvent::Finished { how, key, result } => Some(Prior::Done { key, how, result }),
            NodeEvent::Failed { failure } => Some(Prior::Failed(failure)),
            NodeEvent::Skipped { .. } => Some(Prior::Skipped),
            NodeEvent::Cancelled | NodeEvent::Reopened { .. } => None,
        };
        self.in_queue.remove(&node.0);
        match prior {
            Some(prior) => self.priors.insert(node, prior),
            None => self.priors.remove(&node),
        };
    }
}
