//! Builds, as their clients see them, and whether they come to what they must.

use std::collections::BTreeMap;
use std::sync::Arc;

use gofarm_engine::core::{
    ActionResult, Attempt, BuildEvent, BuildId, BuildResult, BuildSummary, CoreOptions,
    Event as CoreEvent, Failure, FailureClass, NodeEvent,
};
use gofarm_proto::ActionKey;
use gofarm_queue::QueueOptions;

use super::{Event, Farm, NodeMap, brief};
use crate::shape::Fate;

/// How long a client waits that finds no scheduler, milliseconds.
const RETRY_MS: u64 = 500;

/// One submitted build.
pub(super) struct Build {
    shape: usize,
    /// The replica that owns it.
    pub home: usize,
    submitted: bool,
    cancelled: bool,
    /// Submitted when nothing could go wrong any more.
    last: bool,
    results: NodeMap<(ActionKey, Arc<ActionResult>)>,
    failures: NodeMap<Arc<Failure>>,
    skipped: NodeMap<()>,
    pub summary: Option<BuildSummary>,
}

impl Build {
    pub fn new(shape: usize, home: usize) -> Build {
        Build {
            shape,
            home,
            submitted: false,
            cancelled: false,
            last: false,
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
}

impl Farm {
    /// Submits a build to its home, for the first time or because the home has forgotten it.
    pub(super) fn submit(&mut self, at: usize) {
        let build = &mut self.builds[at];
        if build.summary.is_some() {
            return;
        }
        build.submitted = true;
        build.results.clear();
        build.failures.clear();
        build.skipped.clear();
        let (home, shape) = (build.home, build.shape);
        if !self.replicas[home].up {
            // Whoever starts next takes it up.
            return;
        }
        for source in self.shapes[shape].sources() {
            self.store.put(source);
        }
        match self.shapes[shape].spec(BuildId(at as u128), self.weather.recorded) {
            Ok(spec) => {
                self.note(|| format!("build {at} is submitted to s{home}"));
                self.tell(home, CoreEvent::Submit(Box::new(spec)));
            }
            Err(error) => self.violated(format!("a random graph is refused: {error}")),
        }
    }

    /// Ends a build for its client, who tries again until there is a scheduler that hears it.
    pub(super) fn cancel(&mut self, at: usize) {
        let Some(build) = self.builds.get_mut(at) else {
            return;
        };
        if !build.is_open() {
            return;
        }
        let home = build.home;
        if self.replicas[home].up {
            build.cancelled = true;
            self.tell(home, CoreEvent::Cancel(BuildId(at as u128)));
        } else if !self.calm {
            let again = Event::Fault(crate::weather::Fault::Cancel(at));
            self.agenda.after(RETRY_MS, again);
        }
    }

    /// Submits anew what failed for reasons that are gone.
    pub(super) fn submit_again(&mut self) {
        self.again = true;
        for at in 0..self.builds.len() {
            let build = &self.builds[at];
            let environment = |failure: &Arc<Failure>| failure.class() == FailureClass::Environment;
            if build.failures.values().any(environment) || build.cancelled {
                let mut again = Build::new(build.shape, build.home);
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

    pub(super) fn watch(&mut self, id: BuildId, event: BuildEvent) {
        let at = id.0 as usize;
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
            BuildEvent::Accepted { .. } => {}
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
            // Clients have all sources.
            Failure::MissingBlob { .. } => false,
            Failure::LostAgain { digest, .. } => self.store.losses(digest) > 0,
            Failure::Unplaceable { .. } => {
                let grace = QueueOptions::default().placement_grace.as_millis() as u64;
                self.ledger.longest_pause_ms(now) >= grace
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
            .any(|failure| failure.class() == FailureClass::Environment);
        let wrong = match summary.result {
            BuildResult::Succeeded => doomed || build.results.len() != shape.size(),
            BuildResult::Failed => !doomed && !foreign,
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
