//! Builds, as their clients see them, and whether they come to what they must.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use gofarm_engine::core::{
    ActionResult, Attempt, BuildEvent, BuildResult, BuildSummary, CoreOptions, Failure,
    FailureClass, NodeEvent,
};
use gofarm_proto::ActionKey;
use gofarm_queue::QueueOptions;

use super::{Event, Farm, NodeMap, brief};
use crate::shape::Fate;

/// One submitted build.
pub(super) struct Build {
    shape: usize,
    submitted: bool,
    pub cancelled: bool,
    /// Submitted when nothing could go wrong any more.
    last: bool,
    /// The last event that its client has seen.
    pub after: u64,
    /// All of them, encoded.
    seen: Vec<Bytes>,
    accepted: bool,
    /// It was taken over and the registry has lost what it had of it, in any order: an owner tells some of it again.
    pub retold: bool,
    was_taken_over: bool,
    /// Since when nobody knows it.
    pub unknown_since: Option<u64>,
    results: NodeMap<(ActionKey, Arc<ActionResult>)>,
    failures: NodeMap<Arc<Failure>>,
    skipped: NodeMap<()>,
    pub summary: Option<BuildSummary>,
}

impl Build {
    pub fn new(shape: usize) -> Build {
        Build {
            shape,
            submitted: false,
            cancelled: false,
            last: false,
            after: 0,
            seen: Vec::new(),
            accepted: false,
            retold: false,
            was_taken_over: false,
            unknown_since: None,
            results: BTreeMap::new(),
            failures: BTreeMap::new(),
            skipped: BTreeMap::new(),
            summary: None,
        }
    }

    /// Whether it is under way.
    pub fn is_open(&self) -> bool {
        self.submitted && self.summary.is_none()
    }

    pub fn shape(&self) -> usize {
        self.shape
    }

    /// It was submitted. `anew`: nobody knew it, so it begins again.
    pub fn submitted(&mut self, anew: bool) {
        if anew {
            *self = Build {
                last: self.last,
                cancelled: self.cancelled,
                ..Build::new(self.shape)
            };
        }
        self.submitted = true;
        self.unknown_since = None;
    }

    /// Another replica owns it now; the registry has lost something in its life, or not.
    pub fn taken_over(&mut self, lost: bool) {
        self.was_taken_over = true;
        self.retold |= lost;
    }

    /// The registry has lost it. One that was over, or whose earlier owner may not know that it is none, may be told anew.
    pub fn lost(&mut self) {
        self.retold |= self.was_taken_over || self.summary.is_some();
    }

    /// An event was seen.
    pub fn keep(&mut self, cursor: u64, event: Bytes) {
        self.after = cursor;
        self.seen.push(event);
    }

    /// Whether these events, from the first on, are what was seen.
    pub fn has_seen(&self, events: &[Bytes]) -> bool {
        events.len() <= self.seen.len() && self.seen.starts_with(events)
    }

    /// Whether the end of a node was told.
    pub fn has_ended(&self, node: u32) -> bool {
        self.results.contains_key(&node)
            || self.failures.contains_key(&node)
            || self.skipped.contains_key(&node)
    }
}

impl Farm {
    /// Submits anew what failed for reasons that are gone.
    pub(super) fn submit_again(&mut self) {
        self.again = true;
        for at in 0..self.builds.len() {
            let build = &self.builds[at];
            let environment = |failure: &Arc<Failure>| failure.class() == FailureClass::Environment;
            let graph = self.shapes[build.shape].graph();
            let lost = build.results.len() + build.failures.len() + build.skipped.len()
                < self.shapes[build.shape].size()
                && self.store.losses(&graph) > 0;
            if build.failures.values().any(environment) || build.cancelled || lost {
                let mut again = Build::new(build.shape);
                again.last = true;
                self.builds.push(again);
                let number = self.builds.len() - 1;
                self.nodes += self.shapes[self.builds[at].shape].size();
                self.report.submitted_again += 1;
                let delay = self.random.between(1, 2_000);
                self.agenda.after(delay, Event::Submit(number));
            }
        }
    }

    pub(super) fn watch(&mut self, at: usize, event: BuildEvent) {
        self.note(|| match &event {
            BuildEvent::Node { node, event } => {
                let what = format!("{event:?}").chars().take(70).collect::<String>();
                format!("build {at} node {}: {what}", node.0)
            }
            event => format!("build {at}: {event:?}"),
        });
        let build = &mut self.builds[at];
        if build.summary.is_some() {
            return self.violated(format!(
                "build {at} says something after its end: {event:?}"
            ));
        }
        match event {
            BuildEvent::Accepted { .. } => {
                if std::mem::replace(&mut build.accepted, true) && !build.retold {
                    self.violated(format!("build {at} is accepted twice"));
                }
            }
            BuildEvent::Node { node, event } => match event {
                NodeEvent::Finished { key, result, .. } => {
                    build.results.insert(node.0, (key, result));
                }
                NodeEvent::Reopened { .. } => {
                    build.results.remove(&node.0);
                }
                NodeEvent::Failed { failure } => {
                    build.failures.insert(node.0, failure.clone());
                    self.judge(at, node.0, &failure);
                }
                NodeEvent::Skipped { .. } => {
                    build.skipped.insert(node.0, ());
                }
                NodeEvent::Nondeterministic { key, .. } => {
                    self.violated(format!("{key} came out differently"));
                }
                NodeEvent::Queued | NodeEvent::Started { .. } | NodeEvent::Cancelled => {}
            },
            BuildEvent::Finished(summary) => {
                build.summary = Some(*summary);
                self.report.builds += 1;
                self.check_end(at);
            }
        }
    }

    /// A failure that is not the action's own has to have its reason in what went wrong.
    fn judge(&mut self, at: usize, node: u32, failure: &Failure) {
        let now = self.agenda.now();
        let attempts = CoreOptions::default().max_attempts as usize;
        if self.builds[at].last && failure.class() == FailureClass::Environment {
            return self.violated(format!(
                "build {at} fails although nothing goes wrong: {failure}"
            ));
        }
        let justified = match failure {
            Failure::Action { .. } | Failure::MissingOutput { .. } => true,
            Failure::AttemptsUsedUp { history } => {
                let label = self.shapes[self.builds[at].shape].label(node);
                let memory = |attempt: &&Attempt| attempt.reason.starts_with("out of memory: ");
                // The first that runs out of memory in company does not count; those that were to be alone do.
                let in_company = history.iter().filter(memory).count();
                let counting = history.len() - in_company.min(1);
                let told = self.ledger.counted(&label, now);
                let ran_out = self.ledger.out_of_memory(&label);
                counting == attempts
                    && ran_out >= in_company
                    && told + in_company.saturating_sub(1) >= attempts
            }
            // Alone nothing runs out of memory here.
            Failure::OutOfMemory { .. } => false,
            // Clients have all sources, and may not be heard while the farm is down.
            Failure::MissingBlob { digest } => self.store.losses(digest) > 0,
            Failure::LostAgain { digest, .. } => self.store.losses(digest) > 0,
            Failure::Unplaceable { .. } => {
                let grace = QueueOptions::default().placement_grace.as_millis() as u64;
                let pool = self.shapes[self.builds[at].shape].pool();
                self.ledger.longest_pause_ms(pool, now) >= grace
            }
        };
        if !justified {
            self.violated(format!("build {at} fails without a reason: {failure}"));
        }
    }

    fn check_end(&mut self, at: usize) {
        let build = &self.builds[at];
        let Some(summary) = &build.summary else {
            return;
        };
        let shape = &self.shapes[build.shape];
        let fates = shape.fates();
        let doomed = fates.iter().any(|fate| !matches!(fate, Fate::Done(_)));
        let foreign = build
            .failures
            .values()
            .any(|failure| failure.class() == FailureClass::Environment)
            || self.store.losses(&shape.graph()) > 0;
        let wrong = match summary.result {
            BuildResult::Succeeded => doomed || build.results.len() != shape.size(),
            // Without its graph a build cannot be taken over.
            BuildResult::Failed => !doomed && !foreign && self.store.losses(&shape.graph()) == 0,
            BuildResult::Cancelled => !build.cancelled,
        };
        if wrong {
            let result = summary.result;
            return self.violated(format!("build {at} ended as {result:?}, and should not"));
        }
        let mut wrong = None;
        for (node, fate) in (0..).zip(&fates) {
            let done = build.results.get(&node);
            let same = match (fate, done) {
                (Fate::Done(expected), Some((_, result))) => expected == result,
                (_, Some(_)) => false,
                // Cut short, or skipped for a failure that has been judged.
                (Fate::Done(_), None) => {
                    foreign
                        || summary.result != BuildResult::Succeeded && !shape.keep_going
                        || build.cancelled
                }
                (Fate::Failed, None) => {
                    build.failures.contains_key(&node)
                        || foreign
                        || !shape.keep_going
                        || build.cancelled
                }
                (Fate::Skipped, None) => {
                    build.skipped.contains_key(&node)
                        || foreign
                        || !shape.keep_going
                        || build.cancelled
                }
            };
            if !same {
                wrong = Some(format!(
                    "build {at}: node {node} came to {done:?} and should have come to {fate:?}"
                ));
                break;
            }
        }
        if wrong.is_none() && summary.result == BuildResult::Succeeded {
            for node in shape.requested() {
                let Some((key, result)) = build.results.get(&node) else {
                    continue;
                };
                for output in &result.outputs {
                    if !self.store.has(&output.digest) && self.store.losses(&output.digest) == 0 {
                        wrong = Some(format!(
                            "build {at} succeeded without the blob {} of {}",
                            output.digest,
                            brief(&key.0)
                        ));
                    }
                }
            }
        }
        if let Some(wrong) = wrong {
            self.violated(wrong);
        }
    }
}
