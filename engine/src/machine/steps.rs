//! From the core's effects to what is told, asked and written.

use super::Engine;
use super::command::{Command, Recording, Told, WaitedFor};
use crate::convert;
use crate::core::{BuildEvent, BuildId, Effect, Event, NodeEvent, NodeId, Outcome};
use crate::maker::provenance;

impl Engine {
    /// Tells the core, and sees to what follows.
    pub(super) fn step(&mut self, event: Event) {
        let mut cancelled = Vec::new();
        for effect in self.core.step(event, self.now.at) {
            match effect {
                // It waits for sources: the queue has ended it already, and has no end left to tell.
                Effect::CancelTask { key, run } if self.wants.give_up(&key, run) => {
                    cancelled.push((key, run));
                }
                Effect::Notify { build, event } => self.notify(build, event),
                Effect::LookUp { key, verify } => self.outbox.look_up(key, verify),
                // It waits for sources, and runs when they have come.
                Effect::Enqueue(task) if self.wants.waits(&task.key, task.run) => {}
                Effect::Enqueue(mut task) => {
                    // Not again to the one that could not bring it to an end, and to whoever is idle if it is to be alone.
                    if self.options.fleet.is_some() && task.attempt == 1 && !task.exclusive {
                        task.near = self.whereabouts.near(&task.produced, self.now.at);
                    }
                    self.outbox.enqueue(task);
                }
                // Said again, since the queue may not have heard it: it has its time.
                Effect::CancelTask { key, run } if self.delayed.has(&key, run) => {}
                Effect::CancelTask { key, run } => {
                    self.stragglers.ended(&key);
                    self.outbox.cancel(key, run);
                }
                // Expected since it was heard of, whoever wants it here.
                Effect::Record { .. } if self.options.maker.is_none() => {}
                Effect::Record { key, result } => {
                    let made = match &result.made {
                        Some(made) => (**made).clone(),
                        None => provenance("", None, &self.options.owner, self.now.wall_ms),
                    };
                    self.outbox.record(Recording { key, result, made });
                }
            }
        }
        for (key, run) in cancelled {
            self.outbox.left(&key, run);
            self.step(Event::TaskDone {
                key,
                run,
                worker: None,
                outcome: Outcome::Cancelled,
            });
        }
    }

    fn notify(&mut self, build: BuildId, event: BuildEvent) {
        let task = match &event {
            BuildEvent::Node {
                node,
                event: NodeEvent::Queued | NodeEvent::Started { .. },
            } => self.waited_for(build, *node),
            _ => None,
        };
        let Some(open) = self.builds.get_mut(&build) else {
            return;
        };
        // The record is for the registry.
        if open.ownership.is_some()
            && let Some(counts) = self.core.counts(build)
        {
            open.record.counts = Some(convert::counts_message(&counts));
        }
        open.notify(&event, self.now.wall_ms);
        let over = matches!(event, BuildEvent::Finished(_));
        self.commands
            .push(Command::Tell(Box::new(Told::Event { build, event, task })));
        if over {
            self.over(build);
        }
    }

    /// A build has come to its end. Without a registry there is nothing left to be done for it.
    pub(super) fn over(&mut self, build: BuildId) {
        let Some(open) = self.builds.get(&build) else {
            return;
        };
        let record = Box::new(open.record.clone());
        self.commands
            .push(Command::Tell(Box::new(Told::Over { build, record })));
        if !self.has_registry() {
            self.builds.remove(&build);
        }
    }

    fn waited_for(&self, build: BuildId, node: NodeId) -> Option<WaitedFor> {
        let (task, first) = self.core.task(build, node)?;
        Some(WaitedFor {
            key: task.key,
            label: task.label.clone(),
            account: task.share.build,
            attempt: task.attempt,
            first,
        })
    }
}
