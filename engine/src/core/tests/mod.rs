//! Histories of the whole core: written ones by subject, and random ones against a model.

mod invariants;
mod joining;
mod keep_going;
mod makers;
mod model;
mod properties;
mod recovery;
mod resume;
mod retries;
mod simple;
mod world;

use std::sync::Arc;

use gofarm_proto::{Digest, v1};

use super::*;

/// A node of a test graph: what it does decides its definition, so equal texts over equal inputs are one action.
pub(super) fn node(does: &str, inputs: &[(u32, &str)]) -> NodeSpec {
    NodeSpec {
        definition: Digest::of(does.as_bytes()),
        label: does.into(),
        package: does.into(),
        kind: match does.starts_with("link") {
            true => v1::Kind::Link,
            false => v1::Kind::Compile,
        },
        inputs: inputs
            .iter()
            .map(|(node, output)| Edge {
                node: NodeId(*node),
                output: (*output).into(),
            })
            .collect(),
        requested: false,
        source_bytes: 1000,
        estimate: None,
        platform: None,
    }
}

pub(super) fn spec(id: u128, options: BuildOptions, nodes: Vec<NodeSpec>) -> BuildSpec {
    BuildSpec::new(BuildId(id), options, nodes).unwrap()
}

/// A result with these outputs, each with this content.
pub(super) fn result(outputs: &[(&str, &str)]) -> Arc<ActionResult> {
    Arc::new(ActionResult {
        outputs: outputs
            .iter()
            .map(|(name, content)| OutputFile {
                name: (*name).into(),
                digest: Digest::of(content.as_bytes()),
                executable: false,
            })
            .collect(),
        ..ActionResult::default()
    })
}

/// A core, and what it wants, taken apart.
#[derive(Default)]
pub(super) struct Bench {
    pub core: Core,
    pub now: u64,
    pub tasks: Vec<Task>,
    pub lookups: Vec<(gofarm_proto::ActionKey, bool)>,
    pub cancelled: Vec<(gofarm_proto::ActionKey, RunId)>,
    pub recorded: Vec<gofarm_proto::ActionKey>,
    pub notes: Vec<(BuildId, BuildEvent)>,
}

impl Bench {
    pub fn with(options: CoreOptions) -> Bench {
        Bench {
            core: Core::new(options),
            ..Bench::default()
        }
    }

    /// Takes one step; tasks and lookups pile up, the rest is of this step alone.
    pub fn step(&mut self, event: Event) {
        self.cancelled.clear();
        self.recorded.clear();
        self.notes.clear();
        for effect in self.core.step(event, Millis(self.now)) {
            match effect {
                Effect::LookUp { key, verify } => self.lookups.push((key, verify)),
                Effect::Enqueue(task) => {
                    self.tasks.retain(|other| other.key != task.key);
                    self.tasks.push(task);
                }
                Effect::CancelTask { key, run } => self.cancelled.push((key, run)),
                Effect::Record { key, .. } => self.recorded.push(key),
                Effect::Notify { build, event } => self.notes.push((build, event)),
            }
        }
        self.core.check_invariants();
    }

    pub fn submit(&mut self, spec: BuildSpec) {
        self.step(Event::Submit(Box::new(spec)));
    }

    /// Answers every open lookup with "not there".
    pub fn miss_all(&mut self) {
        for (key, verify) in std::mem::take(&mut self.lookups) {
            self.step(Event::CacheAnswer {
                key,
                verify,
                result: None,
            });
        }
    }

    /// The waiting task of this label.
    pub fn task(&self, label: &str) -> Task {
        let found = self.tasks.iter().find(|task| &*task.label == label);
        found.unwrap_or_else(|| panic!("no task {label}")).clone()
    }

    pub fn start(&mut self, task: &Task) {
        self.step(Event::TaskStarted {
            key: task.key,
            run: task.run,
            worker: "w1".into(),
        });
    }

    pub fn done(&mut self, task: &Task, outcome: Outcome) {
        self.tasks.retain(|other| other.run != task.run);
        self.step(Event::TaskDone {
            key: task.key,
            run: task.run,
            worker: Some("w1".into()),
            outcome,
        });
    }

    /// Runs the task of this label to success with these outputs, and lets all that follows miss the cache.
    pub fn run(&mut self, label: &str, outputs: &[(&str, &str)]) {
        let task = self.task(label);
        self.done(&task, Outcome::Succeeded(result(outputs)));
        self.miss_all();
    }

    pub fn fail(&mut self, label: &str) {
        let task = self.task(label);
        let failed = ActionResult {
            exit_code: 1,
            ..ActionResult::default()
        };
        self.done(&task, Outcome::Failed(Arc::new(failed)));
    }

    /// The summary among this step's notes.
    pub fn summary(&self, build: u128) -> Option<&BuildSummary> {
        self.notes.iter().find_map(|(id, event)| match event {
            BuildEvent::Finished(summary) if *id == BuildId(build) => Some(&**summary),
            _ => None,
        })
    }

    /// What this step said about a node.
    pub fn said(&self, build: u128, node: u32) -> Vec<&NodeEvent> {
        let of_node = self.notes.iter().filter_map(|(id, event)| match event {
            BuildEvent::Node { node: of, event }
                if *of == NodeId(node) && *id == BuildId(build) =>
            {
                Some(event)
            }
            _ => None,
        });
        of_node.collect()
    }
}
