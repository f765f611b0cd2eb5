//! Clients: each submits a build, watches it in the registry, provides what is asked for, and submits it again when nobody knows it
//! any more.

use bytes::Bytes;
use gofarm_engine::convert;
use gofarm_engine::core::{BuildEvent, BuildId, NodeEvent};
use gofarm_proto::{Digest, Message as _, v1};

use super::replica::{EPOCH_MS, ReplicaEvent, record};
use super::{Event, Farm};
use crate::network::Host;

/// How long a client waits that finds no scheduler, and between its looks, milliseconds.
const RETRY_MS: u64 = 500;
const WATCH_MS: u64 = 200;
/// A build that is not known for so long is lost; its owner would have written it again, milliseconds.
const LOST_MS: u64 = 15_000;
/// Until a replica has checked what was submitted, milliseconds.
const CHECKING_MS: u64 = 50;

impl Farm {
    /// A replica that a client can talk to, and that can talk to Redis.
    fn reachable_replica(&mut self) -> Option<usize> {
        let first = self.random.index(self.replicas.len());
        let count = self.replicas.len();
        (0..count).map(|at| (first + at) % count).find(|at| {
            let host = Host::Replica(*at);
            self.replicas[*at].runs() && self.network.reaches(host, Host::Queue)
        })
    }

    /// Submits a build, for the first time or because it is not known any more.
    pub(super) fn submit(&mut self, at: usize) {
        if self.builds[at].summary.is_some() {
            return;
        }
        let Some(replica) = self.reachable_replica() else {
            return self.agenda.after(RETRY_MS, Event::Submit(at));
        };
        let now = self.time();
        let shape = self.builds[at].shape();
        let graph = self.shapes[shape].graph();
        for source in self.shapes[shape].sources() {
            self.store.put(source);
        }
        self.store.put(graph);
        let record = record(at, graph, self.shapes[shape].size(), now.wall_ms);
        let owner = self.owner_of(replica);
        let build = BuildId(at as u128);
        let submitted = self.registry.table().submit(build, &owner, &record, now);
        self.builds[at].submitted(submitted.is_some());
        if let Some(ownership) = submitted {
            self.note(|| format!("build {at} is submitted to s{replica}"));
            // Should it end before that, the build is known, and another replica takes it over.
            let delay = self.random.below(CHECKING_MS);
            let open = ReplicaEvent::Open(at, ownership, Box::new(record));
            self.replica_after(replica, delay, open);
        }
        self.agenda.after(WATCH_MS, Event::Watch(at));
    }

    /// Looks at what has become of a build.
    pub(super) fn look_at(&mut self, at: usize) {
        if self.builds[at].summary.is_some() {
            return;
        }
        if self.reachable_replica().is_none() {
            return self.agenda.after(RETRY_MS, Event::Watch(at));
        }
        let build = BuildId(at as u128);
        let after = self.builds[at].after;
        let events = self.registry.table().events(build, after, usize::MAX);
        let Some(events) = events else {
            let now = self.agenda.now();
            let since = *self.builds[at].unknown_since.get_or_insert(now);
            return match now >= since + LOST_MS {
                true => self.submit(at),
                false => self.agenda.after(WATCH_MS, Event::Watch(at)),
            };
        };
        self.builds[at].unknown_since = None;
        let over = self.registry.table().get(build);
        if events.is_empty() && over.is_some_and(|record| record.finished_ms != 0) {
            return self.hear_all(at);
        }
        for event in events {
            self.see(at, event);
            if self.violation.is_some() {
                return;
            }
        }
        self.agenda.after(WATCH_MS, Event::Watch(at));
    }

    /// A build is over, and its client has seen what is not in this log: it was another owner's, and was lost.
    fn hear_all(&mut self, at: usize) {
        let build = BuildId(at as u128);
        if !self.builds[at].retold {
            return self.violated(format!("build {at} is over, and its end is not told"));
        }
        self.builds[at].submitted(true);
        self.builds[at].retold = true;
        let events = self.registry.table().events(build, 0, usize::MAX);
        for event in events.unwrap_or_default() {
            self.see(at, event);
        }
    }

    fn see(&mut self, at: usize, bytes: Bytes) {
        let Ok(event) = v1::BuildEvent::decode(bytes.clone()) else {
            return self.violated(format!("build {at} has an event that cannot be read"));
        };
        // Of the log of one owner nothing may be missing but live output, which nothing here prints; the next begins anew.
        let next = event.cursor == self.builds[at].after + 1;
        if !next && event.cursor < EPOCH_MS * 1000 {
            let after = self.builds[at].after;
            let cursor = event.cursor;
            return self.violated(format!("build {at}: event {cursor} comes after {after}"));
        }
        self.note(|| format!("build {at} event {}", event.cursor));
        self.builds[at].keep(event.cursor, bytes);
        let event = match event.event {
            Some(v1::build_event::Event::Accepted(accepted)) => BuildEvent::Accepted {
                total: accepted.total,
            },
            Some(v1::build_event::Event::Node(node)) => match convert::node_event(node) {
                Ok((node, event)) => BuildEvent::Node { node, event },
                Err(error) => return self.violated(format!("build {at}: {error}")),
            },
            Some(v1::build_event::Event::Finished(finished)) => match convert::summary(&finished) {
                Ok(summary) => BuildEvent::Finished(Box::new(summary)),
                Err(error) => return self.violated(format!("build {at}: {error}")),
            },
            Some(v1::build_event::Event::Wanted(wanted)) => return self.provide(at, &wanted),
            Some(v1::build_event::Event::Log(_)) | None => return,
        };
        if let BuildEvent::Node { node, event } = &event
            && !self.builds[at].retold
            && self.builds[at].is_told_twice(node.0, event)
        {
            return self.violated(format!("build {at} is told twice: {node:?} {event:?}"));
        }
        self.watch(at, event);
    }

    /// Brings what a build asks for, and says so.
    fn provide(&mut self, at: usize, wanted: &v1::Wanted) {
        let shape = &self.shapes[self.builds[at].shape()];
        let has: Vec<Digest> = shape.sources().chain([shape.graph()]).collect();
        let mut provided = v1::ProvideRequest::default();
        for digest in wanted
            .digests
            .iter()
            .filter_map(|one| Digest::try_from(one).ok())
        {
            match has.contains(&digest) {
                true => {
                    self.store.put(digest);
                    provided.provided.push(digest.into());
                }
                false => provided.unavailable.push(digest.into()),
            }
        }
        self.note(|| {
            format!(
                "build {at}: its client provides {}",
                provided.provided.len()
            )
        });
        let build = BuildId(at as u128);
        self.registry.table().provide(build, &provided);
        self.ring();
    }

    /// Ends a build for its client, who tries again until there is a scheduler that hears it.
    pub(super) fn cancel(&mut self, at: usize) {
        let open = self.builds.get(at).is_some_and(super::Build::is_open);
        if !open || self.calm {
            return;
        }
        let reachable = self.reachable_replica().is_some();
        if reachable && self.registry.table().cancel(BuildId(at as u128)) {
            self.builds[at].cancelled = true;
            self.ring();
        } else {
            let again = Event::Fault(crate::weather::Fault::Cancel(at));
            self.agenda.after(RETRY_MS, again);
        }
    }

    /// What clients have seen is what the registry has, as far as it has it.
    pub(super) fn compare_logs(&mut self) {
        for at in 0..self.builds.len() {
            let build = BuildId(at as u128);
            let Some(events) = self.registry.table().events(build, 0, usize::MAX) else {
                continue;
            };
            if !self.builds[at].retold && !self.builds[at].has_seen(&events) {
                return self.violated(format!(
                    "build {at}: the registry has other events than its client has seen"
                ));
            }
        }
    }
}

impl super::Build {
    /// Whether something is told of a node that was done, or that has ended in another way, and was not reopened.
    fn is_told_twice(&self, node: u32, event: &NodeEvent) -> bool {
        let ended = self.has_ended(node);
        match event {
            NodeEvent::Finished { .. }
            | NodeEvent::Failed { .. }
            | NodeEvent::Skipped { .. }
            | NodeEvent::Queued
            | NodeEvent::Started { .. } => ended,
            NodeEvent::Cancelled
            | NodeEvent::Reopened { .. }
            | NodeEvent::Nondeterministic { .. } => false,
        }
    }
}
