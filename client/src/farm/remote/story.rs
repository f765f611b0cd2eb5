//! The events of a farm, told as an embedded build tells its own.
//!
//! Whatever the farm says again (it lost the build and was given it a second time) is told once: a node that has its
//! result keeps it until the farm says otherwise.

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::anyhow;
use gofarm_engine::core::{
    ActionResult, BuildEvent, BuildResult, BuildSummary, Counts, NodeEvent, NodeId, Resolution,
};
use gofarm_engine::{Maker, convert};
use gofarm_proto::{ActionKey, Digest, Message, v1};
use gofarm_worker::TracedCommand;

use crate::farm::build::{Build, BuildWatch, Finished, long_log};
use crate::farm::source::WorkerWatch;
use crate::farm::supply::Supply;

/// What is to be done about an event.
#[derive(Debug)]
pub(crate) enum Next {
    /// Nothing.
    Go,
    /// The farm asks for blobs.
    Wanted(Vec<Digest>),
    /// The log of an action that was just told to have ended is to be shown: this blob.
    Output(NodeId, Digest),
    /// The build is over.
    Over(BuildSummary),
}

/// What an action needs that waits for a worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Need {
    /// As in `AcquireRequest.platforms`.
    pub platform: String,
    /// What its C toolchain is called; empty without one.
    pub c_toolchain: String,
}

/// How a node has ended, as far as it was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Finished(Resolution),
    Failed,
    Skipped,
    Cancelled,
}

/// One build, as far as it was told.
pub(crate) struct Story<'a> {
    graph: &'a v1::Graph,
    watch: &'a mut dyn BuildWatch,
    worker_watch: Arc<dyn WorkerWatch>,
    /// Shows the commands of actions that start.
    commands: Option<Arc<Supply>>,
    accepted: bool,
    ends: Vec<Option<End>>,
    results: Vec<Option<Arc<ActionResult>>>,
    executed: Vec<usize>,
    /// How nodes ended that have ended otherwise the second time: by the kind, now, and when it was told.
    otherwise: Vec<(v1::Kind, Resolution, Resolution)>,
    /// Nodes that wait for a worker, and those that have one.
    queued: BTreeSet<usize>,
    running: BTreeSet<usize>,
    /// By node: the attempt whose output was shown, and how much of it.
    shown: HashMap<u32, (u32, u64)>,
}

impl<'a> Story<'a> {
    /// Of a build that is about to be submitted.
    pub fn of(build: Build<'a>) -> Story<'a> {
        let commands = build.shows_commands.then_some(build.supply);
        Story::new(build.graph, build.watch, build.worker_watch, commands)
    }

    pub fn new(
        graph: &'a v1::Graph,
        watch: &'a mut dyn BuildWatch,
        worker_watch: Arc<dyn WorkerWatch>,
        commands: Option<Arc<Supply>>,
    ) -> Story<'a> {
        let nodes = graph.nodes.len();
        Story {
            graph,
            watch,
            worker_watch,
            commands,
            accepted: false,
            ends: vec![None; nodes],
            results: vec![None; nodes],
            executed: Vec::new(),
            otherwise: Vec::new(),
            queued: BTreeSet::new(),
            running: BTreeSet::new(),
            shown: HashMap::new(),
        }
    }

    pub fn watch(&mut self) -> &mut dyn BuildWatch {
        self.watch
    }

    /// Takes the next event and tells what is new in it.
    pub fn take(&mut self, message: v1::BuildEvent) -> anyhow::Result<Next> {
        use v1::build_event::Event;
        // An event that a later farm has thought of is none of ours.
        let Some(event) = message.event else {
            return Ok(Next::Go);
        };
        match event {
            Event::Accepted(accepted) => {
                if !std::mem::replace(&mut self.accepted, true) {
                    let total = accepted.total;
                    self.watch.event(&BuildEvent::Accepted { total });
                }
            }
            Event::Node(node) => {
                let (node, event) = convert::node_event(node)?;
                if node.0 as usize >= self.ends.len() {
                    return Err(anyhow!(
                        "internal error: the farm tells of action {} of {}",
                        node.0,
                        self.ends.len()
                    ));
                }
                let told = self.node(node, event);
                if let Some((node, log)) = told.as_ref().and_then(long_log) {
                    return Ok(Next::Output(node, log));
                }
            }
            Event::Log(chunk) => self.log(&chunk),
            Event::Wanted(wanted) => {
                return Ok(Next::Wanted(convert::digests(&wanted.digests)?));
            }
            Event::Finished(finished) => {
                let summary = self.corrected(convert::summary(&finished)?);
                self.watch
                    .event(&BuildEvent::Finished(Box::new(summary.clone())));
                return Ok(Next::Over(summary));
            }
        }
        Ok(Next::Go)
    }

    /// What actions need that wait for a worker, each once. Nothing while any action has one.
    pub(super) fn waits_for(&self) -> Vec<Need> {
        let mut needs = Vec::new();
        if !self.running.is_empty() {
            return needs;
        }
        for &index in &self.queued {
            let node = &self.graph.nodes[index];
            let Some(platform) = &node.platform else {
                continue;
            };
            let mut text = format!("{}/{}", platform.os, platform.arch);
            if !platform.c_toolchain.is_empty() {
                text = format!("{text}/{}", platform.c_toolchain);
            }
            let need = Need {
                platform: text,
                c_toolchain: node.c_toolchain_name.clone(),
            };
            if !needs.contains(&need) {
                needs.push(need);
            }
        }
        needs
    }

    /// Returns what was told.
    fn node(&mut self, node: NodeId, event: NodeEvent) -> Option<BuildEvent> {
        let index = node.0 as usize;
        if !matches!(event, NodeEvent::Nondeterministic { .. }) {
            self.queued.remove(&index);
            self.running.remove(&index);
        }
        match &event {
            NodeEvent::Queued => drop(self.queued.insert(index)),
            NodeEvent::Started { .. } => drop(self.running.insert(index)),
            _ => {}
        }
        match &event {
            NodeEvent::Finished { how, result, .. } => {
                if let (Some(End::Finished(told)), Some(old)) =
                    (self.ends[index], &self.results[index])
                    && old.outputs == result.outputs
                {
                    if told != *how {
                        let kind = self.graph.nodes[index].kind();
                        self.otherwise.push((kind, *how, told));
                    }
                    return None;
                }
                self.ends[index] = Some(End::Finished(*how));
                self.results[index] = Some(result.clone());
                if *how == Resolution::Executed {
                    self.executed.push(index);
                }
            }
            NodeEvent::Failed { .. } if self.ended(index, End::Failed) => return None,
            NodeEvent::Skipped { .. } if self.ended(index, End::Skipped) => return None,
            NodeEvent::Cancelled if self.ended(index, End::Cancelled) => return None,
            NodeEvent::Queued | NodeEvent::Started { .. } if self.results[index].is_some() => {
                self.node(node, NodeEvent::Reopened { lost: true });
            }
            NodeEvent::Reopened { .. } => {
                self.ends[index] = None;
                self.results[index] = None;
            }
            _ => {}
        }
        if let NodeEvent::Started { worker } = &event {
            self.started(index, worker);
        }
        if let NodeEvent::Nondeterministic {
            outputs,
            first,
            second,
            ..
        } = &event
        {
            let label = &self.graph.nodes[index].label;
            let (first, second) = (Maker(first.as_deref()), Maker(second.as_deref()));
            self.watch.warn(&format!(
                "{label} came out differently when it was made again ({}): first by {first}, then by {second}; its tools are not deterministic, or one of the two workers is not sound",
                outputs.join(", ")
            ));
        }
        let told = BuildEvent::Node { node, event };
        self.watch.event(&told);
        Some(told)
    }

    /// Whether this end was told before.
    fn ended(&mut self, index: usize, end: End) -> bool {
        self.ends[index].replace(end) == Some(end)
    }

    fn started(&mut self, index: usize, worker: &str) {
        let Some((key, definition)) = self.key(index) else {
            return;
        };
        self.watch.task(&key, &definition);
        let Some((bytes, _)) = self
            .commands
            .as_ref()
            .and_then(|supply| supply.action(&definition))
        else {
            return;
        };
        let Ok(action) = v1::Action::decode(bytes) else {
            return;
        };
        for command in commands(&action, worker) {
            self.worker_watch.command(&command);
        }
    }

    /// What a node is executed under; none while its inputs are not there.
    fn key(&self, index: usize) -> Option<(ActionKey, Digest)> {
        let node = &self.graph.nodes[index];
        let definition = Digest::try_from(node.action.as_ref()?).ok()?;
        let mut produced = Vec::with_capacity(node.inputs.len());
        for edge in &node.inputs {
            let result = self.results.get(edge.node as usize)?.as_ref()?;
            produced.push(result.output(&edge.output)?);
        }
        Some((ActionKey::new(&definition, produced), definition))
    }

    fn log(&mut self, chunk: &v1::LogChunk) {
        let Some((key, definition)) = self
            .ends
            .get(chunk.node as usize)
            .and_then(|_| self.key(chunk.node as usize))
        else {
            return;
        };
        let (attempt, shown) = self.shown.entry(chunk.node).or_default();
        if chunk.attempt < *attempt {
            return;
        }
        if chunk.attempt > *attempt {
            (*attempt, *shown) = (chunk.attempt, 0);
        }
        let known = shown.saturating_sub(chunk.offset);
        let Some(new) = usize::try_from(known)
            .ok()
            .and_then(|known| chunk.data.get(known..))
            .filter(|new| !new.is_empty())
        else {
            return;
        };
        *shown = chunk.offset + chunk.data.len() as u64;
        self.watch.task(&key, &definition);
        self.worker_watch.log(&key, new);
    }

    /// What was executed before the farm lost the build is in its cache now; this build has had it executed all the same.
    fn corrected(&mut self, mut summary: BuildSummary) -> BuildSummary {
        for (kind, now, told) in self.otherwise.drain(..) {
            let of_kind = summary.kinds.iter_mut().find(|(other, _)| *other == kind);
            for counts in [Some(&mut summary.counts), of_kind.map(|(_, counts)| counts)]
                .into_iter()
                .flatten()
            {
                let now = counted(counts, now);
                *now = now.saturating_sub(1);
                *counted(counts, told) += 1;
            }
        }
        summary
    }

    /// The end of a build whose farm has not said how it ended.
    pub fn cancelled_summary(&self) -> BuildSummary {
        let mut all = Counts::default();
        let mut kinds: Vec<(v1::Kind, Counts)> = Vec::new();
        for (node, end) in self.graph.nodes.iter().zip(&self.ends) {
            let kind = node.kind();
            if !kinds.iter().any(|(other, _)| *other == kind) {
                kinds.push((kind, Counts::default()));
            }
            let of_kind = kinds.iter_mut().filter(|(other, _)| *other == kind);
            for counts in of_kind.map(|(_, counts)| counts).chain([&mut all]) {
                counts.total += 1;
                match end {
                    Some(End::Finished(how)) => *counted(counts, *how) += 1,
                    Some(End::Failed) => counts.failed += 1,
                    Some(End::Skipped) => counts.skipped += 1,
                    Some(End::Cancelled) | None => counts.cancelled += 1,
                }
            }
        }
        BuildSummary {
            result: BuildResult::Cancelled,
            counts: all,
            kinds,
            wall_ms: 0,
            critical_path_ms: 0,
            critical_path: Vec::new(),
        }
    }

    /// The end of the story.
    pub fn finished(self, summary: BuildSummary, uploaded: u64) -> Finished {
        Finished {
            summary,
            results: self.results,
            executed: self.executed,
            uploaded,
        }
    }
}

fn counted(counts: &mut Counts, how: Resolution) -> &mut u32 {
    match how {
        Resolution::Executed => &mut counts.executed,
        Resolution::Cached => &mut counts.cached,
        Resolution::Joined => &mut counts.joined,
    }
}

/// The commands of an action, as they are run in the exec root of a worker.
fn commands(action: &v1::Action, worker: &str) -> Vec<TracedCommand> {
    let runs = action.steps.iter().filter_map(|step| match &step.step {
        Some(v1::step::Step::Run(run)) => Some(run),
        _ => None,
    });
    runs.map(|run| {
        let mut env: std::collections::BTreeMap<String, String> = Default::default();
        let set = action.env.iter().chain(&run.env);
        env.extend(set.map(|variable| (variable.name.clone(), variable.value.clone())));
        TracedCommand {
            label: action.label.clone(),
            argv: run.argv.clone(),
            cwd: run.cwd.clone(),
            env: env.into_iter().collect(),
            exec_root: PathBuf::from(format!("{worker}:{}", gofarm_proto::EXEC_ROOT)),
        }
    })
    .collect()
}
