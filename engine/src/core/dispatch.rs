//! The way of a node to its result: key, action cache, join, enqueue.

use std::sync::Arc;

use gofarm_proto::ActionKey;

use super::build::State;
use super::effect::{Effect, NodeEvent, Resolution};
use super::flight::{Flight, Phase, Waiter};
use super::machine::Core;
use super::{ActionResult, Prior, RunId, Share, Task};

impl Core {
    /// Sends a node on its way, if all its inputs are done and it is not on its way yet.
    pub(super) fn dispatch(&mut self, waiter: Waiter, out: &mut Vec<Effect>) {
        let Some(build) = self.builds.get_mut(&waiter.build) else {
            return;
        };
        let node = build.node(waiter.node);
        if node.state != State::Waiting || node.pending != 0 {
            return;
        }
        if let Some(Prior::Failed(failure)) = node.prior.as_deref() {
            let failure = failure.clone();
            return self.fail(waiter, failure, out);
        }
        let bypass = node.bypass;
        let produced = match build.produced(waiter.node) {
            Ok(produced) => produced,
            Err(failure) => return self.fail(waiter, Arc::new(failure), out),
        };
        let info = build.info(waiter.node);
        let (requested, no_cache) = (info.requested, build.spec.options.no_cache);
        let key = ActionKey::new(&info.definition, produced);
        let node = build.node_mut(waiter.node);
        node.key = key;
        // What this build has had executed before is not executed again by its next owner.
        let prior = node.prior.as_deref();
        let told = matches!(prior, Some(Prior::Done { key: prior, .. }) if *prior == key);
        let no_cache = no_cache && !told;

        if self.take_from_twin(waiter, out) {
            return;
        }
        if bypass || no_cache || self.missed_in_flight(&key) {
            return self.execute(waiter, !no_cache, out);
        }
        if let Some(build) = self.builds.get_mut(&waiter.build) {
            build.set_state(waiter.node, State::LookingUp);
        }
        let question = (key, requested);
        let waiters = self.lookups.entry(question).or_insert_with(|| {
            let verify = requested;
            out.push(Effect::LookUp { key, verify });
            Vec::new()
        });
        waiters.push(waiter);
    }

    /// Ends a node with what another node of its build came to that is the same action over the same inputs.
    fn take_from_twin(&mut self, waiter: Waiter, out: &mut Vec<Effect>) -> bool {
        let Some(build) = self.builds.get(&waiter.build) else {
            return false;
        };
        let node = build.node(waiter.node);
        let Some(twin) = build.by_key.get(&node.key) else {
            return false;
        };
        let other = build.node(*twin);
        if node.bypass || other.key != node.key {
            return false;
        }
        match (other.state, other.result()) {
            (State::Done(how), Some(result))
                if other.verified || !build.info(waiter.node).requested =>
            {
                let how = match how {
                    Resolution::Cached => Resolution::Cached,
                    Resolution::Executed | Resolution::Joined => Resolution::Joined,
                };
                let (result, verified) = (result.clone(), other.verified);
                self.finish(waiter, how, result, verified, 0, out);
                true
            }
            (State::Failed, _) => match build.failures.get(twin).cloned() {
                Some(failure) => {
                    self.fail(waiter, failure, out);
                    true
                }
                None => false,
            },
            _ => false,
        }
    }

    /// Whether a task of this key is open because the cache did not have it.
    fn missed_in_flight(&self, key: &ActionKey) -> bool {
        let mut flights = self.flights.of_key(key).iter();
        flights.any(|flight| flight.missed && flight.phase != Phase::Cancelling)
    }

    pub(super) fn cache_answer(
        &mut self,
        key: ActionKey,
        verify: bool,
        result: Option<Arc<ActionResult>>,
        out: &mut Vec<Effect>,
    ) {
        let Some(waiters) = self.lookups.remove(&(key, verify)) else {
            self.ignored.unknown_lookup += 1;
            return;
        };
        let failed = result.as_ref().is_some_and(|result| result.exit_code != 0);
        self.ignored.failed_in_cache += u64::from(failed);
        let result = result.filter(|_| !failed);
        for waiter in waiters {
            if !self.is_in(waiter, State::LookingUp) {
                continue;
            }
            match &result {
                Some(result) => {
                    let how = Resolution::Cached;
                    self.finish(waiter, how, result.clone(), verify, 0, out);
                }
                // It may have run while the question was open.
                None => {
                    if !self.take_from_twin(waiter, out) {
                        self.execute(waiter, true, out);
                    }
                }
            }
        }
    }

    /// Joins the task of the node's key, or puts one into the queue. `missed`: the cache had no usable result.
    fn execute(&mut self, waiter: Waiter, missed: bool, out: &mut Vec<Effect>) {
        self.retract(waiter, true, out);
        let Some(build) = self.builds.get_mut(&waiter.build) else {
            return;
        };
        let node = build.node(waiter.node);
        let (key, bypass) = (node.key, node.bypass);
        let priority = build.priorities[waiter.node as usize];
        let pool = build.info(waiter.node).pool.clone();
        if let Some(flight) = self.flights.of_pool_mut(&key, &pool) {
            flight.missed |= missed;
            let fresh_only = build.spec.options.no_cache && !bypass;
            let joins = match &flight.phase {
                Phase::Cancelling => false,
                Phase::Queued => true,
                Phase::Running { since, .. } => !fresh_only || *since > build.submitted_step,
            };
            out.push(waiter.notify(NodeEvent::Queued));
            if !joins {
                flight.deferred.push(waiter);
                build.set_state(waiter.node, State::Deferred);
                return;
            }
            flight.waiters.push(waiter);
            build.set_state(waiter.node, State::InFlight);
            match &flight.phase {
                Phase::Running { worker, .. } => {
                    let worker = worker.clone();
                    out.push(waiter.notify(NodeEvent::Started { worker }));
                }
                Phase::Queued if priority > flight.task.priority => {
                    flight.task.priority = priority;
                    out.push(Effect::Enqueue(flight.task.clone()));
                }
                Phase::Queued | Phase::Cancelling => {}
            }
            return;
        }
        let produced = match build.produced(waiter.node) {
            Ok(produced) => produced.into(),
            Err(failure) => return self.fail(waiter, Arc::new(failure), out),
        };
        self.last_run += 1;
        let info = build.info(waiter.node);
        let task = Task {
            key,
            run: RunId(self.last_run),
            definition: info.definition,
            produced,
            label: info.label.clone(),
            package: info.package.clone(),
            kind: info.kind,
            pool,
            share: Share {
                user: build.spec.options.user.clone(),
                build: waiter.build,
            },
            priority,
            duration_estimate: info.duration_estimate,
            memory_estimate: info.memory_estimate,
            near: None,
            exclusive: false,
            attempt: 1,
        };
        build.set_state(waiter.node, State::InFlight);
        out.push(Effect::Enqueue(task.clone()));
        out.push(waiter.notify(NodeEvent::Queued));
        self.flights.insert(Flight {
            task,
            phase: Phase::Queued,
            enqueued_step: self.step,
            waiters: vec![waiter],
            deferred: Vec::new(),
            joined: false,
            missed,
            counted: 0,
            history: Vec::new(),
        });
    }

    /// Whether a node is still where a list of waiters says it is: handing out an outcome to one node may have
    /// sent another of the list elsewhere.
    pub(super) fn is_in(&self, waiter: Waiter, state: State) -> bool {
        let build = self.builds.get(&waiter.build);
        build.is_some_and(|build| build.node(waiter.node).state == state)
    }

    /// Takes a node off the lists that it waits on. The last one to leave a task has it cancelled.
    pub(super) fn detach(&mut self, waiter: Waiter, out: &mut Vec<Effect>) {
        let Some(build) = self.builds.get(&waiter.build) else {
            return;
        };
        let node = build.node(waiter.node);
        match node.state {
            State::LookingUp => {
                let question = (node.key, build.info(waiter.node).requested);
                // The question stays open without waiters: the answer is on its way and may find others.
                if let Some(waiters) = self.lookups.get_mut(&question) {
                    waiters.retain(|other| *other != waiter);
                }
            }
            State::InFlight | State::Deferred => {
                // Absent when this happens while the flight's own outcome is handed out.
                let pool = &build.info(waiter.node).pool;
                if let Some(flight) = self.flights.of_pool_mut(&node.key, pool) {
                    flight.waiters.retain(|other| *other != waiter);
                    flight.deferred.retain(|other| *other != waiter);
                    if flight.waiters.is_empty() && flight.phase != Phase::Cancelling {
                        flight.phase = Phase::Cancelling;
                        out.push(Effect::CancelTask {
                            key: flight.task.key,
                            run: flight.task.run,
                        });
                    }
                }
            }
            _ => {}
        }
    }
}
