//! Opening builds: those submitted here, and those taken over from an earlier owner.

use std::time::Duration;

use gofarm_proto::{Digest, v1};

use super::Engine;
use super::command::{Command, Told};
use super::event_log::EventLog;
use super::inherited::Inherited;
use super::message::{GraphRead, Left, Opening};
use super::open_build::{OpenBuild, Resuming};
use crate::core::{BuildId, BuildSpec, Event, Millis, NodeId, Prior};
use crate::registry::Ownership;

/// How often to look for a graph that is not there.
const LOOK: Duration = Duration::from_millis(500);

impl Engine {
    /// Takes in a build that was submitted here.
    pub(super) fn open(&mut self, opening: Opening) {
        let Opening {
            ownership,
            record,
            spec,
            c_toolchains,
        } = opening;
        let id = spec.id();
        if let Some(open) = self.builds.get_mut(&id) {
            // Submitted again after the registry had lost it and before it was told again: what has happened counts.
            open.ownership = ownership;
            open.is_held(self.now.at);
            open.lose(self.now.at);
            return;
        }
        let mut build = OpenBuild::new(ownership, record, EventLog::default(), self.now.at);
        build.c_toolchains = c_toolchains;
        self.builds.insert(id, build);
        self.begin(id, spec);
    }

    /// What an earlier owner left of a build has been read.
    pub(super) fn build_read(&mut self, asked: &Ownership, left: Option<Box<Left>>) {
        let id = asked.build;
        // Lost again meanwhile, if it is not there; taken once more, and read once more, if it is another one.
        if self.adopting.get(&id) != Some(asked) {
            return;
        }
        self.adopting.remove(&id);
        let Some(left) = left else {
            return;
        };
        let mut inherited = Inherited::default();
        for (event, _) in &left.events {
            if let Err(error) = inherited.add(event) {
                tracing::error!(build = %id, cursor = event.cursor, %error, "event of the earlier owner cannot be read and is passed over");
            }
        }
        let log = EventLog::inherited(left.events, self.now.wall_ms);
        let mut build = OpenBuild::new(Some(asked.clone()), left.record, log, self.now.at);
        if let Some((time_ms, finished)) = &inherited.finished {
            // The earlier owner has said its last word, and only the record does not say so.
            build.finish(finished, *time_ms);
            self.builds.insert(id, build);
            return;
        }
        let record = build.record.clone();
        build.resuming = Some(Resuming {
            inherited,
            until: None,
        });
        self.builds.insert(id, build);
        self.read_graph(id, record, Duration::ZERO);
    }

    fn read_graph(&mut self, build: BuildId, record: v1::Build, pause: Duration) {
        self.commands.push(Command::ReadGraph {
            build,
            record: Box::new(record),
            pause,
        });
    }

    pub(super) fn graph_read(&mut self, id: BuildId, graph: GraphRead) {
        let Some(build) = self.builds.get_mut(&id) else {
            return;
        };
        // Told already, for an earlier time of owning it.
        let Some(resuming) = &mut build.resuming else {
            return;
        };
        match graph {
            GraphRead::Ready {
                mut spec,
                c_toolchains,
            } => {
                build.c_toolchains = c_toolchains;
                if let Some(Resuming { inherited, .. }) = build.resuming.take() {
                    build.in_queue = inherited.in_queue;
                    if inherited.accepted {
                        let priors: Vec<(NodeId, Prior)> = inherited.priors.into_iter().collect();
                        spec.resume(priors);
                    }
                }
                self.begin(id, *spec);
            }
            GraphRead::Away => {
                let record = build.record.clone();
                self.read_graph(id, record, LOOK);
            }
            GraphRead::Lost(digest) => {
                let now = self.now.at;
                match resuming.until {
                    Some(until) if now >= until => return self.give_up(id),
                    Some(_) => {}
                    None => {
                        let patience = self.options.wanted_patience.as_millis() as u64;
                        resuming.until = Some(Millis(now.0 + patience));
                        self.ask_for_graph(id, digest);
                    }
                }
                let record = self.builds.get(&id).map(|build| build.record.clone());
                self.read_graph(id, record.unwrap_or_default(), LOOK);
            }
            GraphRead::Unreadable => self.give_up(id),
        }
    }

    /// Watchers may have the graph that the store has lost.
    fn ask_for_graph(&mut self, id: BuildId, graph: Digest) {
        let wall_ms = self.now.wall_ms;
        if let Some(build) = self.builds.get_mut(&id) {
            build.accept(wall_ms);
            build.asking.push(graph);
            build.ask(wall_ms);
        }
    }

    /// Nobody has the graph.
    fn give_up(&mut self, id: BuildId) {
        self.end_unread(id, v1::BuildResult::Failed);
    }

    /// Ends a build that is taken over and that the core does not know, since its graph is not read.
    pub(super) fn end_unread(&mut self, id: BuildId, result: v1::BuildResult) {
        let wall_ms = self.now.wall_ms;
        let Some(build) = self.builds.get_mut(&id) else {
            return;
        };
        build.accept(wall_ms);
        build.resuming = None;
        let finished = without_graph(&build.record, result, wall_ms);
        build.finish(&finished, wall_ms);
        let event = v1::build_event::Event::Finished(finished);
        build.log.push(wall_ms, event);
        self.over(id);
    }

    /// Has the core begin with a build.
    fn begin(&mut self, id: BuildId, spec: BuildSpec) {
        // What an earlier time of owning it left may be wanted again. What other builds have left waits for its time.
        for (key, run) in self.delayed.of(id) {
            self.outbox.cancel(key, run);
        }
        let Some(build) = self.builds.get_mut(&id) else {
            return;
        };
        if let Some(held) = &build.ownership {
            let resumed = build.log.confirmed() > 0;
            tracing::info!(build = %id, epoch = held.epoch, resumed, "build opened");
        }
        let kinds = spec.kinds().collect();
        self.commands
            .push(Command::Tell(Box::new(Told::Opened { build: id, kinds })));
        self.step(Event::Submit(Box::new(spec)));
    }
}

/// The end of a build whose graph was not read.
fn without_graph(record: &v1::Build, result: v1::BuildResult, wall_ms: u64) -> v1::BuildFinished {
    let mut counts = record.counts.unwrap_or_default();
    let v1::Counts {
        total,
        executed,
        cached,
        joined,
        failed,
        skipped,
        ..
    } = counts;
    counts.cancelled = total.saturating_sub(executed + cached + joined + failed + skipped);
    v1::BuildFinished {
        result: result.into(),
        counts: Some(counts),
        wall_ms: wall_ms.saturating_sub(record.submitted_ms),
        ..v1::BuildFinished::default()
    }
}
