//! Farms of any size in which nothing goes wrong: how long builds take on them, and what that costs their scheduler.
//!
//! One core, one in-process queue, workers with one slot each. Every message between two of client, scheduler, queue,
//! cache and worker takes one *hop*: a question to the action cache two, from enqueueing to the start on a worker two,
//! from the end of an action to the core's hearing of it two. A worker that completes asks for the next task in the
//! same call, as the real one does. A ring of the doorbell wakes as many idle workers as there are tasks.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use gofarm_engine::core::{
    ActionResult, BuildEvent, BuildSpec, BuildSummary, Core, CoreOptions, Effect,
    Event as CoreEvent, Millis, Outcome, OutputFile, Task,
};
use gofarm_proto::{ActionKey, Digest, v1};
use gofarm_queue::{
    BlobPresence, Clock, InProcessQueue, Lease, LeaseQueue, LeaseRequest, ManualClock, News, Owner,
    QueueError, QueueOptions,
};

use crate::agenda::Agenda;
use crate::promptly::promptly;

/// Memory of a worker, bytes: enough for any action.
const MEMORY: u64 = 64 << 30;
/// News taken at once.
const NEWS: usize = 1_000;

/// The machines.
#[derive(Clone, Copy, Debug)]
pub struct Fleet {
    /// Workers, with one slot each.
    pub workers: usize,
    /// One message, microseconds.
    pub hop_us: u64,
}

/// What actions take, by definition, microseconds.
pub type Durations = HashMap<Digest, u64>;

/// Builds that have been played to their end.
#[derive(Debug, Default)]
pub struct Played {
    /// When the last build ended, microseconds.
    pub makespan_us: u64,
    /// Actions executed.
    pub executed: u64,
    /// Time that the core took, on this machine.
    pub core: Duration,
    /// Time that the queue took.
    pub queue: Duration,
    /// How the builds ended, in that order.
    pub summaries: Vec<BuildSummary>,
}

/// No schedule can be faster: the longest chain of actions, or all work shared evenly.
pub fn bound_us(graph: &v1::Graph, durations: &Durations, slots: usize) -> u64 {
    let mut ends: Vec<u64> = Vec::with_capacity(graph.nodes.len());
    let mut work = 0;
    for node in &graph.nodes {
        let start = node
            .inputs
            .iter()
            .map(|edge| ends[edge.node as usize])
            .max();
        let took = duration(node.action.as_ref(), durations);
        work += took;
        ends.push(start.unwrap_or(0) + took);
    }
    let critical = ends.into_iter().max().unwrap_or(0);
    critical.max(work / slots.max(1) as u64)
}

fn duration(definition: Option<&v1::Digest>, durations: &Durations) -> u64 {
    let digest = definition.and_then(|digest| Digest::try_from(digest).ok());
    let took = digest.and_then(|digest| durations.get(&digest));
    took.copied().unwrap_or(0)
}

/// Submits all builds at once and plays them to their end.
///
/// # Errors
///
/// What the queue refused; it has no reason to.
pub fn play(
    builds: Vec<BuildSpec>,
    durations: &Durations,
    fleet: Fleet,
) -> Result<Played, QueueError> {
    let mut farm = Farm::new(durations, fleet);
    for build in builds {
        farm.tell(CoreEvent::Submit(Box::new(build)));
    }
    while let Some(event) = farm.agenda.take() {
        let now = Duration::from_micros(farm.agenda.now());
        let passed = now.saturating_sub(Duration::from_millis(farm.clock.now().0));
        farm.clock
            .advance(Duration::from_millis(passed.as_millis() as u64));
        farm.happen(event)?;
    }
    Ok(farm.played)
}

enum Event {
    Answer(ActionKey, bool),
    Enqueue(Vec<Task>),
    Done(usize, Box<Lease>),
    Ring,
}

struct Farm<'a> {
    durations: &'a Durations,
    fleet: Fleet,
    agenda: Agenda<Event>,
    clock: Arc<ManualClock>,
    core: Core,
    queue: InProcessQueue,
    owner: Owner,
    pool: Arc<[Arc<str>]>,
    workers: Vec<Arc<str>>,
    idle: Vec<usize>,
    /// Tasks in the queue that nobody has.
    waiting: usize,
    /// The core is about to ask for news.
    rung: bool,
    outputs: [Arc<str>; 2],
    played: Played,
}

/// Blobs are no part of this.
struct Everything;

#[async_trait]
impl BlobPresence for Everything {
    async fn missing(&self, _: &[Digest]) -> Result<Vec<Digest>, String> {
        Ok(Vec::new())
    }
}

impl<'a> Farm<'a> {
    fn new(durations: &'a Durations, fleet: Fleet) -> Farm<'a> {
        let clock = Arc::new(ManualClock::default());
        // Nobody dies, so leases need not be renewed to outlast the longest action.
        let options = QueueOptions {
            lease_ttl: Duration::from_secs(1 << 20),
            ..QueueOptions::default()
        };
        Farm {
            durations,
            fleet,
            agenda: Agenda::new(),
            core: Core::new(CoreOptions::default()),
            queue: InProcessQueue::new(options, clock.clone(), Arc::new(Everything)),
            clock,
            owner: "scheduler".into(),
            pool: ["default".into()].into(),
            workers: (0..fleet.workers).map(|n| format!("w{n}").into()).collect(),
            idle: (0..fleet.workers).rev().collect(),
            waiting: 0,
            rung: false,
            outputs: ["export".into(), "object".into()],
            played: Played::default(),
        }
    }

    fn happen(&mut self, event: Event) -> Result<(), QueueError> {
        match event {
            Event::Answer(key, verify) => self.tell(CoreEvent::CacheAnswer {
                key,
                verify,
                result: None,
            }),
            Event::Enqueue(tasks) => {
                self.waiting += tasks.len();
                let begin = Instant::now();
                promptly(self.queue.enqueue(&self.owner, tasks))?;
                self.played.queue += begin.elapsed();
                while self.waiting > 0
                    && let Some(worker) = self.idle.pop()
                {
                    self.lease(worker)?;
                }
            }
            Event::Done(worker, lease) => {
                let outcome = Outcome::Succeeded(self.result(&lease.id.key));
                self.played.executed += 1;
                let begin = Instant::now();
                promptly(self.queue.complete(&lease.id, outcome))?;
                self.played.queue += begin.elapsed();
                self.ring();
                self.lease(worker)?;
            }
            Event::Ring => {
                self.rung = false;
                let begin = Instant::now();
                let news = promptly(self.queue.news(&self.owner, NEWS, Duration::ZERO))?;
                self.played.queue += begin.elapsed();
                if news.len() == NEWS {
                    self.ring();
                }
                for event in news.into_iter().filter_map(News::event) {
                    self.tell(event);
                }
            }
        }
        Ok(())
    }

    fn ring(&mut self) {
        if !self.rung {
            self.rung = true;
            self.agenda.after(self.fleet.hop_us, Event::Ring);
        }
    }

    fn tell(&mut self, event: CoreEvent) {
        let now = Millis(self.agenda.now() / 1000);
        let begin = Instant::now();
        let effects = self.core.step(event, now);
        self.played.core += begin.elapsed();
        let mut tasks = Vec::new();
        for effect in effects {
            match effect {
                Effect::LookUp { key, verify } => {
                    let delay = 2 * self.fleet.hop_us;
                    self.agenda.after(delay, Event::Answer(key, verify));
                }
                Effect::Enqueue(task) => tasks.push(task),
                Effect::Notify {
                    event: BuildEvent::Finished(summary),
                    ..
                } => {
                    self.played.makespan_us = self.agenda.now();
                    self.played.summaries.push(*summary);
                }
                Effect::Notify { .. } | Effect::Record { .. } | Effect::CancelTask { .. } => {}
            }
        }
        if !tasks.is_empty() {
            self.agenda.after(self.fleet.hop_us, Event::Enqueue(tasks));
        }
    }

    /// Gives a worker its next task, or sends it to wait.
    fn lease(&mut self, worker: usize) -> Result<(), QueueError> {
        if self.waiting == 0 {
            self.idle.push(worker);
            return Ok(());
        }
        let request = LeaseRequest {
            worker: self.workers[worker].clone(),
            pools: self.pool.clone(),
            max: 1,
            wait: Duration::ZERO,
            running: 0,
            free_memory: MEMORY,
            total_memory: MEMORY,
            ahead: false,
        };
        let begin = Instant::now();
        let lease = promptly(self.queue.lease(request))?.pop();
        self.played.queue += begin.elapsed();
        match lease {
            Some(lease) => {
                self.waiting -= 1;
                self.ring();
                let took = self.durations.get(&lease.task.definition);
                let delay = 2 * self.fleet.hop_us + took.copied().unwrap_or(0);
                self.agenda
                    .after(delay, Event::Done(worker, Box::new(lease)));
            }
            None => self.idle.push(worker),
        }
        Ok(())
    }

    /// Unlike any other: the key, and which output of it.
    fn result(&self, key: &ActionKey) -> Arc<ActionResult> {
        let outputs = (0u8..).zip(&self.outputs).map(|(number, name)| {
            let mut hash = key.0;
            hash[31] ^= number;
            OutputFile {
                name: name.clone(),
                digest: Digest { hash, size: 1 },
                executable: false,
            }
        });
        Arc::new(ActionResult {
            outputs: outputs.collect(),
            ..ActionResult::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use gofarm_engine::core::{BuildId, BuildOptions, BuildResult};

    use super::*;
    use crate::recording;

    #[test]
    fn a_fleet_is_as_fast_as_its_hops_allow() {
        // 0 and 1 at once, then 2: 300 ms and 100 ms, on one worker 500 ms.
        let actions = recording::read("compile 300 a\ncompile 100 b\ncompile 100 c 0 1\n").unwrap();
        let graph = recording::graph(&actions);
        let mut durations = Durations::new();
        for (node, action) in graph.nodes.iter().zip(&actions) {
            let digest = Digest::try_from(node.action.as_ref().unwrap()).unwrap();
            durations.insert(digest, action.duration_ms * 1000);
        }
        let play = |workers, hop_us| {
            let spec = BuildSpec::from_graph(BuildId(1), BuildOptions::default(), &graph, |_| None);
            let fleet = Fleet { workers, hop_us };
            let played = play(vec![spec.unwrap()], &durations, fleet).unwrap();
            assert_eq!(played.summaries[0].result, BuildResult::Succeeded);
            assert_eq!(played.executed, 3);
            played.makespan_us
        };
        assert_eq!(bound_us(&graph, &durations, 1), 500_000);
        assert_eq!(bound_us(&graph, &durations, 2), 400_000);
        assert_eq!(play(1, 0), 500_000);
        assert_eq!(play(2, 0), 400_000);
        // Twice: asking the cache, enqueueing to the start, the end to the hearing of it.
        assert_eq!(play(2, 500), 400_000 + 2 * 6 * 500);
    }
}
