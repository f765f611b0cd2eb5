//! The core's state and its one entrance.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use gofarm_proto::{ActionKey, Digest};

use super::build::Build;
use super::effect::{BuildEvent, Effect, NodeEvent};
use super::flight::{Flights, Lookups, Phase, Waiter};
use super::{BuildId, BuildSpec, Counts, Event, Millis, NodeId, RunId, Task};

/// Bounds on trying again.
#[derive(Clone, Copy, Debug)]
pub struct CoreOptions {
    /// Attempts of a task that may end with a crash or a lost lease before it fails. At least 1.
    pub max_attempts: u32,
    /// How often a build has one node run again because its blobs were lost.
    pub max_reruns: u32,
}

impl Default for CoreOptions {
    fn default() -> Self {
        CoreOptions {
            max_attempts: 3,
            max_reruns: 3,
        }
    }
}

/// Events that changed nothing, by why. Some of each are normal after a crash or a cancel; many are a fault of
/// whoever sends them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Ignored {
    /// Submissions of a build that is open.
    pub submitted_twice: u64,
    /// Cancellations of a build that is not open.
    pub unknown_build: u64,
    /// Cache answers that nobody waits for.
    pub unknown_lookup: u64,
    /// News of tasks that are not open, or of an earlier run.
    pub stale_run: u64,
    /// A worker's start told twice.
    pub started_twice: u64,
    /// Cache answers with a failed result, taken as misses.
    pub failed_in_cache: u64,
    /// Reports of missing outputs that no open build has.
    pub unknown_output: u64,
}

impl Ignored {
    /// All of them.
    pub fn total(&self) -> u64 {
        self.submitted_twice
            + self.unknown_build
            + self.unknown_lookup
            + self.stale_run
            + self.started_twice
            + self.failed_in_cache
            + self.unknown_output
    }
}

/// The state machine. See the module's page.
#[derive(Debug, Default)]
pub struct Core {
    pub(super) options: CoreOptions,
    /// Ordered, so that equal histories give equal effects.
    pub(super) builds: BTreeMap<BuildId, Build>,
    pub(super) flights: Flights,
    pub(super) lookups: Lookups,
    pub(super) last_run: u64,
    /// Number of the current step: the order of events, where the clock is too coarse.
    pub(super) step: u64,
    pub(super) now: Millis,
    pub(super) ignored: Ignored,
    /// Nodes whose inputs may all be done. Emptied within the step, by a loop rather than by recursion: chains
    /// of nodes that resolve at once may be as long as the graph.
    pub(super) ready: VecDeque<Waiter>,
    /// Builds whose last open node may have ended in this step.
    pub(super) closing: Vec<BuildId>,
}

impl Core {
    /// A core without builds.
    pub fn new(options: CoreOptions) -> Core {
        Core {
            options,
            ..Core::default()
        }
    }

    /// Takes in an event and says what is to be done, in order.
    pub fn step(&mut self, event: Event, now: Millis) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.step_into(event, now, &mut effects);
        effects
    }

    /// The same; the effects are added to `out`.
    pub fn step_into(&mut self, event: Event, now: Millis, out: &mut Vec<Effect>) {
        self.step += 1;
        self.now = now;
        match event {
            Event::Submit(spec) => self.submit(*spec, out),
            Event::CacheAnswer {
                key,
                verify,
                result,
            } => self.cache_answer(key, verify, result, out),
            Event::TaskStarted { key, run, worker } => self.task_started(key, run, worker, out),
            Event::TaskJoined { key, run } => self.task_joined(key, run),
            Event::TaskDone {
                key,
                run,
                worker,
                outcome,
            } => self.task_done(key, run, worker, outcome, out),
            Event::SourcesLost {
                build,
                key,
                run,
                digests,
            } => self.sources_lost(build, key, run, &digests, out),
            Event::OutputsMissing { key, digests } => self.outputs_missing(key, &digests, out),
            Event::Cancel(build) => self.cancel(build, out),
            Event::Forget(build) => self.forget(build, out),
            Event::Republish => self.republish(out),
        }
        while let Some(waiter) = self.ready.pop_front() {
            self.dispatch(waiter, out);
        }
        while let Some(build) = self.closing.pop() {
            self.close_if_over(build, out);
        }
    }

    /// Events that changed nothing so far.
    pub fn ignored(&self) -> Ignored {
        self.ignored
    }

    /// Builds that are not over, ascending.
    pub fn open_builds(&self) -> impl Iterator<Item = BuildId> + '_ {
        self.builds.keys().copied()
    }

    /// Tasks that are queued, running or being cancelled.
    pub fn open_tasks(&self) -> usize {
        self.flights.len()
    }

    /// Questions to the action cache that are not answered.
    pub fn open_lookups(&self) -> usize {
        self.lookups.len()
    }

    fn submit(&mut self, spec: BuildSpec, out: &mut Vec<Effect>) {
        let id = spec.id;
        if self.builds.contains_key(&id) {
            self.ignored.submitted_twice += 1;
            return;
        }
        let resumed = spec.resumed;
        let build = Build::new(spec, self.now, self.step);
        if !resumed {
            out.push(Effect::Notify {
                build: id,
                event: BuildEvent::Accepted {
                    total: build.counts.total,
                },
            });
        }
        for (node, state) in build.nodes.iter().enumerate() {
            if state.pending == 0 {
                self.ready.push_back(Waiter {
                    build: id,
                    node: node as u32,
                });
            }
        }
        self.builds.insert(id, build);
        // An empty graph is over at once.
        self.closing.push(id);
    }

    /// How far an open build has come: what has not ended is in `total` alone.
    pub fn counts(&self, build: BuildId) -> Option<Counts> {
        Some(self.builds.get(&build)?.counts)
    }

    /// Those of the blobs that no action before this node has made in this build, so that no other run can bring
    /// them back: sources and definitions. Empty for a build that is not open.
    pub fn unmade(&self, build: BuildId, node: NodeId, digests: &[Digest]) -> Vec<Digest> {
        let Some(build) = self.builds.get(&build) else {
            return Vec::new();
        };
        let makers = build.makers();
        let made = |digest: &Digest| makers.first(digest).is_some_and(|maker| maker < node.0);
        let unmade = digests.iter().filter(|digest| !made(digest));
        unmade.copied().collect()
    }

    /// The keys whose results an open build has taken.
    pub fn results(&self, build: BuildId) -> Vec<ActionKey> {
        let nodes = self.builds.get(&build).map(|build| &build.nodes);
        let done = nodes.into_iter().flatten();
        let done = done.filter(|node| node.result().is_some());
        done.map(|node| node.key).collect()
    }

    fn task_joined(&mut self, key: ActionKey, run: RunId) {
        match self.flights.of_run_mut(&key, run) {
            Some(flight) => flight.joined = true,
            None => self.ignored.stale_run += 1,
        }
    }

    /// The nodes that wait for this run of a key, if it is the current one.
    pub fn waiters(
        &self,
        key: &ActionKey,
        run: RunId,
    ) -> impl Iterator<Item = (BuildId, NodeId)> + '_ {
        let current = self.flights.of_run(key, run);
        let waiters = current.into_iter().flat_map(|flight| &flight.waiters);
        waiters.map(|waiter| (waiter.build, NodeId(waiter.node)))
    }

    /// The task that a node waits for, and whether it is the node that counts as having it executed.
    pub fn task(&self, build: BuildId, node: NodeId) -> Option<(&Task, bool)> {
        let open = self.builds.get(&build)?;
        let state = open.nodes.get(node.index())?;
        let flight = self.flights.of_pool(&state.key, &open.info(node.0).pool)?;
        let node = node.0;
        let waiter = Waiter { build, node };
        let waits = flight.waiters.contains(&waiter) || flight.deferred.contains(&waiter);
        waits.then(|| (&flight.task, flight.waiters.first() == Some(&waiter)))
    }

    fn task_started(
        &mut self,
        key: ActionKey,
        run: RunId,
        worker: Arc<str>,
        out: &mut Vec<Effect>,
    ) {
        let step = self.step;
        let Some(flight) = self.flights.of_run_mut(&key, run) else {
            self.ignored.stale_run += 1;
            return;
        };
        let since = match &flight.phase {
            // On its way out: whoever waits wants the run after this one.
            Phase::Cancelling => return,
            Phase::Running { worker: known, .. } if *known == worker => {
                self.ignored.started_twice += 1;
                return;
            }
            // Another worker, after a queue that lost its data was told of the run again; or old news told twice.
            // To take the first start for the start is safe for both.
            Phase::Running { since, .. } => *since,
            Phase::Queued => step,
        };
        flight.phase = Phase::Running {
            worker: worker.clone(),
            since,
        };
        for waiter in &flight.waiters {
            let worker = worker.clone();
            out.push(waiter.notify(NodeEvent::Started { worker }));
        }
    }

    /// Says again everything that waits for an answer, in an order that does not depend on hashing.
    fn republish(&mut self, out: &mut Vec<Effect>) {
        let mut lookups: Vec<_> = self.lookups.keys().copied().collect();
        lookups.sort_unstable();
        for (key, verify) in lookups {
            out.push(Effect::LookUp { key, verify });
        }
        let mut flights: Vec<_> = self.flights.iter().collect();
        flights.sort_unstable_by_key(|flight| flight.task.run);
        for flight in flights {
            out.push(match flight.phase {
                Phase::Cancelling => Effect::CancelTask {
                    key: flight.task.key,
                    run: flight.task.run,
                },
                Phase::Queued | Phase::Running { .. } => Effect::Enqueue(flight.task.clone()),
            });
        }
    }
}
