//! What operators see of the actions of a build: counts, spans, log lines.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::SystemTime;

use gofarm_daemon::{Place, Span, now};
use gofarm_proto::{ActionKey, v1};
use gofarm_timing::from_ms;

use gofarm_engine::WaitedFor;

use super::Observers;
use crate::metrics::Ending;
use gofarm_engine::core::{BuildId, BuildSummary, Counts, NodeEvent, NodeId, Resolution};

/// The actions of one build.
#[derive(Default)]
pub(super) struct Actions {
    /// By index in the graph.
    kinds: Box<[v1::Kind]>,
    /// From when they are queued until they end.
    under_way: HashMap<u32, UnderWay>,
    /// Actions with a span in the place that workers derive. There is one for each: an action that is made again, or that
    /// another node of the build shares, gets a span of its own that is linked to it.
    placed: HashSet<ActionKey>,
}

struct UnderWay {
    key: ActionKey,
    label: Arc<str>,
    /// The build on whose account it runs: workers' spans are there.
    account: BuildId,
    since: SystemTime,
    /// When it last came into the queue.
    queued: SystemTime,
    attempt: u32,
    worker: Option<Arc<str>>,
}

impl Actions {
    pub fn new(kinds: Box<[v1::Kind]>) -> Actions {
        Actions {
            kinds,
            ..Actions::default()
        }
    }

    /// An action came to another state. `task` is what it waits for, and whether it is the one that has it executed.
    pub fn see(
        &mut self,
        build: BuildId,
        node: NodeId,
        event: &NodeEvent,
        task: Option<&WaitedFor>,
        options: &Observers,
    ) {
        match event {
            NodeEvent::Queued => {
                if let Some(task) = task {
                    self.queued(node, task);
                }
            }
            NodeEvent::Started { worker } => {
                let Some(action) = self.under_way.get_mut(&node.0) else {
                    return;
                };
                action.worker = Some(worker.clone());
                if task.is_some_and(|task| task.first) && options.spans.samples(build.0) {
                    let parent = Place::of_action(build.0, &action.key);
                    let span = Span::below(parent, "queue", action.queued, now())
                        .with("gofarm.attempt", i64::from(action.attempt));
                    options.spans.record(span);
                }
            }
            NodeEvent::Finished { how, .. } => {
                let (ending, how) = match how {
                    Resolution::Executed => (Ending::Executed, "executed"),
                    Resolution::Cached => (Ending::Cached, "cached"),
                    Resolution::Joined => (Ending::Joined, "joined"),
                };
                self.ended(build, node, Some(ending), how, None, options);
            }
            NodeEvent::Failed { failure } => {
                let failed = Some(Ending::Failed);
                let why = Some(failure.to_string());
                self.ended(build, node, failed, "failed", why, options);
            }
            NodeEvent::Skipped { .. } => {
                self.ended(build, node, Some(Ending::Skipped), "skipped", None, options);
            }
            // Counted when the build is over, with those that had not begun.
            NodeEvent::Cancelled => self.ended(build, node, None, "cancelled", None, options),
            NodeEvent::Reopened { .. } | NodeEvent::Nondeterministic { .. } => {}
        }
    }

    fn queued(&mut self, node: NodeId, task: &WaitedFor) {
        let now = now();
        let action = self.under_way.entry(node.0).or_insert_with(|| UnderWay {
            key: task.key,
            label: task.label.clone(),
            account: task.account,
            since: now,
            queued: now,
            attempt: task.attempt,
            worker: None,
        });
        (action.queued, action.attempt) = (now, task.attempt);
    }

    fn ended(
        &mut self,
        build: BuildId,
        node: NodeId,
        ending: Option<Ending>,
        how: &'static str,
        why: Option<String>,
        options: &Observers,
    ) {
        let kind = self.kinds.get(node.0 as usize).copied();
        let kind = kind.unwrap_or_default();
        if let Some(ending) = ending {
            options.tasks.actions_ended(kind, ending, 1);
        }
        let Some(action) = self.under_way.remove(&node.0) else {
            return;
        };
        let UnderWay { key, label, .. } = &action;
        let worker = action.worker.as_deref().unwrap_or_default();
        match &why {
            Some(why) => {
                tracing::info!(%build, action = %label, %key, worker, error = why, "action failed");
            }
            None => tracing::debug!(%build, action = %label, %key, worker, how, "action ended"),
        }
        if !options.spans.samples(build.0) {
            return;
        }
        let (place, root) = (Place::of_action(build.0, key), Place::of_build(build.0));
        let mut span = match self.placed.insert(*key) {
            true => Span::at(place, "action", action.since, now()).part_of(root),
            false => Span::below(root, "action", action.since, now()).linked(place),
        };
        if action.account != build {
            span = span.linked(Place::of_action(action.account.0, key));
        }
        span = span
            .with("gofarm.label", label.to_string())
            .with("gofarm.kind", kind.word())
            .with("gofarm.key", key.to_string())
            .with("gofarm.worker", worker.to_owned())
            .with("gofarm.attempt", i64::from(action.attempt))
            .with("gofarm.how", how);
        if let Some(why) = why {
            span = span.failed(why);
        }
        options.spans.record(span);
    }
}

/// Counts what the end of a build has cut short.
pub(super) fn cut_short(summary: &BuildSummary, options: &Observers) {
    for (kind, Counts { cancelled, .. }) in &summary.kinds {
        if *cancelled > 0 {
            let tasks = &options.tasks;
            tasks.actions_ended(*kind, Ending::Cancelled, *cancelled);
        }
    }
}

/// The build is over: its span.
pub(super) fn build_over(build: BuildId, record: &v1::Build, options: &Observers) {
    if !options.spans.samples(build.0) {
        return;
    }
    let result = match record.result() {
        v1::BuildResult::Unspecified => "unspecified",
        v1::BuildResult::Succeeded => "succeeded",
        v1::BuildResult::Failed => "failed",
        v1::BuildResult::Cancelled => "cancelled",
    };
    let asked = record.options.clone().unwrap_or_default();
    let begun = from_ms(record.submitted_ms);
    let counts = record.counts.unwrap_or_default();
    let mut span = Span::at(Place::of_build(build.0), "build", begun, now())
        .with("gofarm.build", build.to_string())
        .with("gofarm.user", asked.user)
        .with("gofarm.title", asked.title)
        .with("gofarm.pool", asked.pool)
        .with("gofarm.result", result);
    for (name, count) in [
        ("gofarm.actions.total", counts.total),
        ("gofarm.actions.executed", counts.executed),
        ("gofarm.actions.cached", counts.cached),
        ("gofarm.actions.joined", counts.joined),
        ("gofarm.actions.failed", counts.failed),
        ("gofarm.actions.skipped", counts.skipped),
        ("gofarm.actions.cancelled", counts.cancelled),
    ] {
        span = span.with(name, i64::from(count));
    }
    if result == "failed" {
        span = span.failed(format!("{} actions failed", counts.failed));
    }
    options.spans.record(span);
}
