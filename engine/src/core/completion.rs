//! What happens when a task ends and when a node does.

use std::sync::Arc;

use gofarm_proto::ActionKey;

use super::build::State;
use super::effect::{BuildResult, Effect, NodeEvent, Resolution};
use super::flight::{Flight, Phase, Waiter};
use super::machine::Core;
use super::{ActionResult, Attempt, Failure, Outcome, Prior, RunId};

impl Core {
    pub(super) fn task_done(
        &mut self,
        key: ActionKey,
        run: RunId,
        worker: Option<Arc<str>>,
        outcome: Outcome,
        out: &mut Vec<Effect>,
    ) {
        let Some(mut flight) = self.flights.take_run(&key, run) else {
            self.ignored.stale_run += 1;
            return;
        };
        if flight.phase == Phase::Cancelling {
            // It may have ended by itself before the cancel came; then the work is not thrown away.
            if let Outcome::Succeeded(result) = outcome
                && result.exit_code == 0
            {
                out.push(Effect::Record { key, result });
            }
            return self.release(flight.deferred);
        }
        let mut tried = |reason: &str| {
            flight.history.push(Attempt {
                worker: worker.clone(),
                reason: reason.into(),
            });
        };
        match outcome {
            Outcome::Succeeded(result) if result.exit_code == 0 => {
                self.succeeded(flight, result, out);
            }
            Outcome::Succeeded(result) | Outcome::Failed(result) => {
                self.fail_all(flight, Failure::Action { result }, out);
            }
            Outcome::Crashed { reason } => {
                tried(&reason);
                self.attempt_failed(flight, out);
            }
            Outcome::LostLease => {
                tried("lease lost");
                self.attempt_failed(flight, out);
            }
            Outcome::BlobsMissing(digests) if digests.is_empty() => {
                // Nothing to make again, so nothing would be different the next time.
                tried("worker missed blobs without naming them");
                self.attempt_failed(flight, out);
            }
            Outcome::BlobsMissing(digests) => self.inputs_missing(flight, &digests, out),
            Outcome::OutOfMemory { alone, reason } => {
                tried(&format!("out of memory: {reason}"));
                if alone {
                    let history = std::mem::take(&mut flight.history).into();
                    self.fail_all(flight, Failure::OutOfMemory { history }, out);
                } else if !std::mem::replace(&mut flight.task.exclusive, true) {
                    flight.task.attempt += 1;
                    self.enqueue_again(flight, out);
                } else {
                    // It was to run alone and was joined to a run that did not, of another scheduler or of before it ran
                    // out of memory. That may happen again, so it counts.
                    self.attempt_failed(flight, out);
                }
            }
            // Nobody here asked for the cancel; an earlier owner of the build may have.
            Outcome::Released | Outcome::Cancelled => self.enqueue_again(flight, out),
            Outcome::Unplaceable { reason } => {
                self.fail_all(flight, Failure::Unplaceable { reason }, out);
            }
        }
    }

    fn succeeded(&mut self, flight: Flight, result: Arc<ActionResult>, out: &mut Vec<Effect>) {
        out.push(Effect::Record {
            key: flight.task.key,
            result: result.clone(),
        });
        let duration_ms = result.duration_ms();
        let mut how = match flight.joined {
            true => Resolution::Joined,
            false => Resolution::Executed,
        };
        for waiter in flight.waiters {
            if self.is_in(waiter, State::InFlight) {
                self.finish(waiter, how, result.clone(), true, duration_ms, out);
                how = Resolution::Joined;
            }
        }
        self.release(flight.deferred);
    }

    fn fail_all(&mut self, flight: Flight, failure: Failure, out: &mut Vec<Effect>) {
        let duration_ms = match &failure {
            Failure::Action { result } => result.duration_ms(),
            _ => 0,
        };
        let failure = Arc::new(failure);
        for waiter in flight.waiters {
            if !self.is_in(waiter, State::InFlight) {
                continue;
            }
            if let Some(build) = self.builds.get_mut(&waiter.build) {
                build.node_mut(waiter.node).duration_ms = duration_ms;
                // The same action over the same inputs need not be seen to fail twice.
                build.by_key.insert(flight.task.key, waiter.node);
            }
            self.fail(waiter, failure.clone(), out);
        }
        self.release(flight.deferred);
    }

    fn attempt_failed(&mut self, mut flight: Flight, out: &mut Vec<Effect>) {
        flight.counted += 1;
        if flight.counted >= self.options.max_attempts {
            let history = std::mem::take(&mut flight.history).into();
            self.fail_all(flight, Failure::AttemptsUsedUp { history }, out);
        } else {
            flight.task.attempt += 1;
            self.enqueue_again(flight, out);
        }
    }

    fn enqueue_again(&mut self, mut flight: Flight, out: &mut Vec<Effect>) {
        self.last_run += 1;
        flight.task.run = RunId(self.last_run);
        flight.phase = Phase::Queued;
        flight.joined = false;
        flight.enqueued_step = self.step;
        out.push(Effect::Enqueue(flight.task.clone()));
        // The new run begins later than whatever the deferred were waiting out.
        for waiter in std::mem::take(&mut flight.deferred) {
            if let Some(build) = self.builds.get_mut(&waiter.build) {
                build.set_state(waiter.node, State::InFlight);
                flight.waiters.push(waiter);
            }
        }
        for waiter in &flight.waiters {
            out.push(waiter.notify(NodeEvent::Queued));
        }
        self.flights.insert(flight);
    }

    /// Sends deferred nodes on their way again.
    pub(super) fn release(&mut self, deferred: Vec<Waiter>) {
        for waiter in deferred {
            if let Some(build) = self.builds.get_mut(&waiter.build)
                && build.node(waiter.node).state == State::Deferred
            {
                build.set_state(waiter.node, State::Waiting);
                self.ready.push_back(waiter);
            }
        }
    }

    /// A node has its result; `duration_ms` is what it waited for an execution.
    pub(super) fn finish(
        &mut self,
        waiter: Waiter,
        how: Resolution,
        result: Arc<ActionResult>,
        verified: bool,
        duration_ms: u64,
        out: &mut Vec<Effect>,
    ) {
        let step = self.step;
        let Some(build) = self.builds.get_mut(&waiter.build) else {
            return;
        };
        let node = build.node_mut(waiter.node);
        let key = node.key;
        let (mut how, mut duration_ms, mut told) = (how, duration_ms, false);
        match node.prior.take().map(|prior| *prior) {
            // It came to the same without being executed again.
            Some(Prior::Done {
                key: prior_key,
                how: prior,
                result: earlier,
            }) if prior_key == key && earlier.outputs == result.outputs => {
                duration_ms = Prior::duration_ms(prior, &earlier);
                (how, told) = (prior, true);
            }
            Some(Prior::Done { .. }) => {
                out.push(waiter.notify(NodeEvent::Reopened { lost: false }));
            }
            Some(Prior::Failed(_) | Prior::Skipped) | None => {}
        }
        build.set_state(waiter.node, State::Done(how));
        let before = build.set_result(waiter.node, result.clone());
        let node = build.node_mut(waiter.node);
        node.verified = verified;
        node.duration_ms = duration_ms;
        if std::mem::take(&mut node.bypass) {
            node.remade_step = step;
            if let Some(before) = before {
                self.compare(waiter, key, &before, &result, out);
            }
        }
        if !told {
            out.push(waiter.notify(NodeEvent::Finished { how, key, result }));
        }
        let Some(build) = self.builds.get_mut(&waiter.build) else {
            return;
        };
        build.by_key.insert(key, waiter.node);
        let mut started = Vec::new();
        for i in 0..build.dependents(waiter.node).len() {
            let dependent = build.dependents(waiter.node)[i];
            let node = build.node_mut(dependent);
            if node.state == State::Waiting {
                node.pending -= 1;
                if node.pending == 0 {
                    self.ready.push_back(Waiter {
                        build: waiter.build,
                        node: dependent,
                    });
                }
            } else {
                // Only possible when this node was done once before.
                started.push(dependent);
            }
        }
        if build.open == 0 {
            self.closing.push(waiter.build);
        }
        if build.reopened {
            self.end_extra_waits(waiter);
            for dependent in started {
                let build = waiter.build;
                let node = dependent;
                self.check_key(Waiter { build, node }, out);
            }
        }
    }

    /// A node will never have a result, and so will nothing that waits for it.
    pub(super) fn fail(&mut self, waiter: Waiter, failure: Arc<Failure>, out: &mut Vec<Effect>) {
        self.retract(waiter, true, out);
        let Some(build) = self.builds.get_mut(&waiter.build) else {
            return;
        };
        build.set_state(waiter.node, State::Failed);
        build.failures.insert(waiter.node, failure.clone());
        if build.node_mut(waiter.node).prior.take().is_none() {
            out.push(waiter.notify(NodeEvent::Failed { failure }));
        }
        self.skip_dependents(waiter, waiter.node, out);
        let Some(build) = self.builds.get_mut(&waiter.build) else {
            return;
        };
        if !build.spec.options.keep_going {
            self.abort(waiter.build, BuildResult::Failed, out);
        } else if build.open == 0 {
            self.closing.push(waiter.build);
        }
    }

    /// Skips whatever waits for `waiter`, directly or not; `cause` is the failed node.
    pub(super) fn skip_dependents(&mut self, waiter: Waiter, cause: u32, out: &mut Vec<Effect>) {
        let mut lost = vec![waiter.node];
        while let Some(node) = lost.pop() {
            let Some(build) = self.builds.get(&waiter.build) else {
                return;
            };
            let extra = build.extra.iter().filter(|(from, _)| *from == node);
            let mut waiting: Vec<u32> = extra.map(|(_, waiting)| *waiting).collect();
            waiting.extend_from_slice(build.dependents(node));
            for dependent in waiting {
                let skipped = Waiter {
                    build: waiter.build,
                    node: dependent,
                };
                // One that is on its way has what it needs; if not, it will come back and see.
                if self.is_in(skipped, State::Waiting) {
                    self.skip(skipped, cause, out);
                    lost.push(dependent);
                }
            }
        }
        let build = self.builds.get(&waiter.build);
        if build.is_some_and(|build| build.open == 0) {
            self.closing.push(waiter.build);
        }
    }
}
