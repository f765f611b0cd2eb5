//! A build that this replica owns.

use std::collections::{HashMap, HashSet};

use gofarm_proto::{Digest, v1};
use tokio::time::Instant;

use super::actions::Actions;
use super::event_log::EventLog;
use crate::registry::{Append, Ownership};
use gofarm_engine::convert;
use gofarm_engine::core::{BuildEvent, NodeEvent};

pub(super) struct OpenBuild {
    pub ownership: Ownership,
    /// As it stands; counts are filled in when it is written.
    pub record: v1::Build,
    pub log: EventLog,
    pub actions: Actions,
    /// Nodes that workers have.
    running: HashSet<u32>,
    /// Nodes that the earlier owner had put into the queue. Found there, they are executed for this build.
    pub in_queue: HashSet<u32>,
    /// What the C toolchains of its graph are called, by identity.
    pub c_toolchains: HashMap<String, String>,
    /// Asked for and not there yet.
    pub wanted: HashSet<Digest>,
    /// To be asked for with the next event.
    pub asking: Vec<Digest>,
    /// When all that it needs was last in use.
    pub kept: Instant,
}

impl OpenBuild {
    pub fn new(ownership: Ownership, record: v1::Build, log: EventLog) -> OpenBuild {
        OpenBuild {
            ownership,
            record,
            log,
            actions: Actions::default(),
            running: HashSet::new(),
            in_queue: HashSet::new(),
            c_toolchains: HashMap::new(),
            wanted: HashSet::new(),
            asking: Vec::new(),
            kept: Instant::now(),
        }
    }

    /// Takes in what the core says.
    pub fn notify(&mut self, event: BuildEvent, now_ms: u64) {
        let message = match event {
            BuildEvent::Accepted { total } => {
                v1::build_event::Event::Accepted(v1::Accepted { total })
            }
            BuildEvent::Node { node, event } => {
                match event {
                    NodeEvent::Started { .. } => self.running.insert(node.0),
                    _ => self.running.remove(&node.0),
                };
                v1::build_event::Event::Node(convert::node_event_message(node, &event))
            }
            BuildEvent::Finished(summary) => {
                let mut finished = convert::summary_message(&summary);
                // The core may have come to the build later than the client.
                finished.wall_ms = now_ms.saturating_sub(self.record.submitted_ms);
                self.finish(&finished, now_ms);
                v1::build_event::Event::Finished(finished)
            }
        };
        self.log.push(now_ms, message);
    }

    /// Notes the end in the record.
    pub fn finish(&mut self, finished: &v1::BuildFinished, now_ms: u64) {
        self.running.clear();
        self.record.finished_ms = now_ms;
        self.record.result = finished.result;
        self.record.counts = finished.counts;
    }

    /// Emits what has been gathered to be asked for.
    pub fn ask(&mut self, now_ms: u64) {
        if self.asking.is_empty() {
            return;
        }
        let asking = std::mem::take(&mut self.asking);
        let wanted = v1::Wanted {
            digests: asking.into_iter().map(Into::into).collect(),
        };
        let event = v1::build_event::Event::Wanted(wanted);
        self.log.push(now_ms, event);
    }

    pub fn is_over(&self) -> bool {
        self.record.finished_ms != 0
    }

    /// The next step of writing it to the registry, and whether the build is over with it.
    pub fn append(&mut self) -> Append {
        let (events, dropped) = self.log.batch();
        self.append_of(events, dropped)
    }

    /// All that is left in one step.
    pub fn append_rest(&mut self) -> Append {
        let rest = self.log.rest();
        self.append_of(rest, Vec::new())
    }

    fn append_of(
        &mut self,
        events: Vec<crate::registry::LoggedEvent>,
        dropped: Vec<u64>,
    ) -> Append {
        self.record.running = self.running.len() as u32;
        let mut record = self.record.clone();
        let after = self.log.confirmed();
        let up_to = events.last().map_or(after, |event| event.cursor);
        if self.is_over() && !self.log.ends_with(up_to) {
            // Its last event is not among these.
            record.finished_ms = 0;
            record.result = v1::BuildResult::Unspecified.into();
        }
        Append {
            ownership: self.ownership.clone(),
            after,
            events,
            dropped,
            record,
        }
    }
}
