//! What is written of builds: their events to the registry, these to an archive when they are over, and what they rest on as in use.

use std::time::Duration;

use bytes::Bytes;
use gofarm_proto::{Digest, v1};

use super::Engine;
use super::command::{Archive, Command};
use super::message::{Away, WriteOutcome, Written};
use super::open_build::OpenBuild;
use crate::core::BuildId;
use crate::registry::{Appended, Restore};

impl Engine {
    /// Writes what builds have to say.
    pub(super) fn write(&mut self) {
        let Some(books) = self.options.books else {
            return;
        };
        if self.outbox.writing {
            return;
        }
        let mut appends = Vec::new();
        let mut restores = Vec::new();
        for build in self.builds.values_mut() {
            build.log.bound(books.live_output);
            if !build.log.is_lost() {
                if build.log.is_dirty() || build.is_over() {
                    appends.extend(build.append());
                }
            } else if build.is_to_be_restored(self.now.at)
                && let Some(ownership) = build.ownership.clone()
            {
                let record = v1::Build {
                    finished_ms: 0,
                    ..build.record.clone()
                };
                restores.push(Restore {
                    ownership,
                    record,
                    confirmed: build.log.confirmed(),
                });
            }
        }
        if appends.is_empty() && restores.is_empty() {
            return;
        }
        self.outbox.writing = true;
        self.commands.push(Command::Write { restores, appends });
    }

    pub(super) fn written(&mut self, written: Vec<Written>) {
        self.outbox.writing = false;
        for Written { ownership, outcome } in written {
            let id = ownership.build;
            let Some(build) = self.builds.get_mut(&id) else {
                continue;
            };
            if build.ownership.as_ref() != Some(&ownership) {
                // Taken again meanwhile: the same is written once more under the new proof.
                continue;
            }
            match outcome {
                WriteOutcome::Events {
                    up_to,
                    dropped,
                    over,
                    appended: Ok(Appended::Done),
                } => {
                    build.log.confirm(up_to);
                    build.log.forget_dropped(dropped);
                    if over {
                        self.ended(id);
                    }
                }
                WriteOutcome::Events {
                    appended: Ok(Appended::Behind),
                    ..
                } => {
                    tracing::warn!(build = %id, "registry has lost events of a build; writing them again");
                    build.lose(self.now.at);
                }
                WriteOutcome::Restored(Ok(true)) => build.log.start_over(),
                WriteOutcome::Events {
                    appended: Ok(Appended::Lost),
                    ..
                }
                | WriteOutcome::Restored(Ok(false)) => self.lose(&ownership),
                WriteOutcome::Events {
                    appended: Err(Away),
                    ..
                }
                | WriteOutcome::Restored(Err(Away)) => {
                    tracing::debug!(build = %id, "events of a build are not written yet");
                    self.registry_failed();
                }
            }
        }
    }

    /// A build is over and the registry has all of it.
    fn ended(&mut self, id: BuildId) {
        if let Some(build) = self.builds.remove(&id) {
            tracing::info!(build = %id, result = ?build.record.result(), "build is over");
            self.archive(build);
        }
    }

    /// Has the events of a build that is over moved out of the registry. They stay there for a while: who watches it reads the last
    /// of them now. If this replica ends before they have moved they are forgotten with the build, a day later.
    fn archive(&mut self, build: OpenBuild) {
        let (Some(books), Some(ownership)) = (self.options.books, build.ownership) else {
            return;
        };
        let events = build.log.events();
        if events.iter().map(Bytes::len).sum::<usize>() < books.archive_from {
            return;
        }
        self.commands.push(Command::Archive(Box::new(Archive {
            ownership,
            record: build.record,
            events,
            pause: books.archive_after,
        })));
    }

    /// Has what builds rest on used anew, if it is time.
    ///
    /// The store removes nothing that was used within its grace, and is not told which builds there are. So the owner of a build
    /// uses anew, several times within the grace, all that the build rests on: the graph, the definitions of its actions, the files
    /// that these read, and the results that it has taken. A task under lease reads nothing else. To these come the logs that its
    /// events name, of failed actions as well: who watches the build may want to show them. A build that is younger has just been
    /// looked up and uploaded.
    pub(super) fn keep_in_use(&mut self) {
        let Some(books) = self.options.books else {
            return;
        };
        let every = books.keep_every;
        let now = self.now.at;
        let mut due: Vec<(BuildId, Digest, Vec<Digest>)> = Vec::new();
        for (id, build) in &mut self.builds {
            if Duration::from_millis(now.since(build.kept)) < every || build.is_over() {
                continue;
            }
            build.kept = now;
            let graph = build.record.graph.as_ref().map(Digest::try_from);
            if let Some(Ok(graph)) = graph {
                due.push((*id, graph, build.log.logs()));
            }
        }
        for (build, graph, logs) in due {
            let results = self.core.results(build);
            self.commands.push(Command::KeepInUse {
                build,
                graph,
                results,
                logs,
            });
        }
    }
}
