//! A build that this engine owns.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use gofarm_proto::{Digest, v1};

use super::event_log::EventLog;
use super::inherited::Inherited;
use crate::convert;
use crate::core::{BuildEvent, Millis, NodeEvent, RunId};
use crate::registry::{Append, LoggedEvent, OWNERSHIP_TTL, Ownership};

#[derive(Debug)]
pub(super) struct OpenBuild {
    /// The proof. None: there is no registry, and nothing is logged.
    pub ownership: Option<Ownership>,
    /// As it stands; counts are filled in when it is written.
    pub record: v1::Build,
    pub log: EventLog,
    /// Nodes that workers have.
    running: HashSet<u32>,
    /// Nodes that the earlier owner had put into the queue. Found there, they are executed for this build.
    pub in_queue: HashSet<u32>,
    /// What the C toolchains of its graph are called, by identity.
    pub c_toolchains: BTreeMap<String, String>,
    /// Asked for and not there yet.
    pub wanted: HashSet<Digest>,
    /// To be asked for with the next event.
    pub asking: Vec<Digest>,
    /// When all that it needs was last in use.
    pub kept: Millis,
    /// Taken over, and the core does not know it before its graph is read.
    pub resuming: Option<Resuming>,
    /// When its ownership was certain last.
    held: Millis,
    /// Of what the registry has lost, it is not written again before.
    restored_from: Millis,
}

/// An owner whose ownership may have run out before the registry lost it may have a successor, which knows what it has told. That one
/// writes the build again first: it renews every second.
const SUCCESSOR: Duration = Duration::from_secs(3);

/// What is known of a build that is taken over while its graph is being read.
#[derive(Debug)]
pub(super) struct Resuming {
    pub inherited: Inherited,
    /// The graph is lost, and this is when the wait for somebody who has it ends.
    pub until: Option<Millis>,
}

impl OpenBuild {
    pub fn new(
        ownership: Option<Ownership>,
        record: v1::Build,
        log: EventLog,
        now: Millis,
    ) -> OpenBuild {
        OpenBuild {
            ownership,
            record,
            log,
            running: HashSet::new(),
            in_queue: HashSet::new(),
            c_toolchains: BTreeMap::new(),
            wanted: HashSet::new(),
            asking: Vec::new(),
            kept: now,
            resuming: None,
            held: now,
            restored_from: now,
        }
    }

    /// It was this owner's at this time.
    pub fn is_held(&mut self, at: Millis) {
        self.held = self.held.max(at);
    }

    /// The registry does not have what is written of it.
    pub fn lose(&mut self, now: Millis) {
        if self.log.is_lost() {
            return;
        }
        self.log.lose();
        let ran_out = Duration::from_millis(now.since(self.held)) >= OWNERSHIP_TTL;
        let wait = if ran_out { SUCCESSOR } else { Duration::ZERO };
        self.restored_from = Millis(now.0 + wait.as_millis() as u64);
    }

    /// Whether it is to be written again now.
    pub fn is_to_be_restored(&self, now: Millis) -> bool {
        self.log.is_lost() && self.restored_from <= now
    }

    /// Takes in what the core says.
    pub fn notify(&mut self, event: &BuildEvent, now_ms: u64) {
        if self.ownership.is_none() {
            return;
        }
        let message = match event {
            BuildEvent::Accepted { total } => {
                v1::build_event::Event::Accepted(v1::Accepted { total: *total })
            }
            BuildEvent::Node { node, event } => {
                match event {
                    NodeEvent::Started { .. } => self.running.insert(node.0),
                    _ => self.running.remove(&node.0),
                };
                v1::build_event::Event::Node(convert::node_event_message(*node, event))
            }
            BuildEvent::Finished(summary) => {
                let mut finished = convert::summary_message(summary);
                // The core may have come to the build later than the client.
                finished.wall_ms = now_ms.saturating_sub(self.record.submitted_ms);
                self.finish(&finished, now_ms);
                v1::build_event::Event::Finished(finished)
            }
        };
        self.log.push(now_ms, message);
    }

    /// Adds what a node has printed to the log.
    pub fn print(&mut self, now_ms: u64, node: u32, run: RunId, offset: u64, data: &Arc<[u8]>) {
        if self.ownership.is_some() {
            self.log.print(now_ms, node, run, offset, data);
        }
    }

    /// Tells watchers of a build that is taken over that it is accepted, unless they know.
    pub fn accept(&mut self, now_ms: u64) {
        let Some(resuming) = &mut self.resuming else {
            return;
        };
        if !std::mem::replace(&mut resuming.inherited.accepted, true) {
            let total = self.record.counts.map_or(0, |counts| counts.total);
            let accepted = v1::build_event::Event::Accepted(v1::Accepted { total });
            self.log.push(now_ms, accepted);
        }
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

    /// The next step of writing it to the registry.
    pub fn append(&mut self) -> Option<Append> {
        let (events, dropped) = self.log.batch();
        self.append_of(events, dropped)
    }

    /// All that is left in one step.
    pub fn append_rest(&mut self) -> Option<Append> {
        let rest = self.log.rest();
        self.append_of(rest, Vec::new())
    }

    fn append_of(&mut self, events: Vec<LoggedEvent>, dropped: Vec<u64>) -> Option<Append> {
        let ownership = self.ownership.clone()?;
        self.record.running = self.running.len() as u32;
        let mut record = self.record.clone();
        let after = self.log.confirmed();
        let up_to = events.last().map_or(after, |event| event.cursor);
        if self.is_over() && !self.log.ends_with(up_to) {
            // Its last event is not among these.
            record.finished_ms = 0;
            record.result = v1::BuildResult::Unspecified.into();
        }
        Some(Append {
            ownership,
            after,
            events,
            dropped,
            record,
        })
    }
}
