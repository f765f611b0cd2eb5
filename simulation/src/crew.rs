//! The workers of a farm in which nothing goes wrong, around the queue that they ask, and the time that the queue takes.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use gofarm_engine::core::{ActionResult, Outcome, OutputFile, Task};
use gofarm_proto::{ActionKey, Digest};
use gofarm_queue::{
    BlobPresence, Clock, InProcessQueue, Lease, LeaseQueue, LeaseRequest, ManualClock, News, Owner,
    QueueError, QueueOptions, Reaped,
};

use crate::promptly::promptly;

/// Memory of a worker, bytes: enough for any action.
const MEMORY: u64 = 64 << 30;

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

/// Workers with one slot each, and their queue.
pub(crate) struct Crew<'a> {
    durations: &'a Durations,
    hop_us: u64,
    clock: Arc<ManualClock>,
    queue: InProcessQueue,
    pub owner: Owner,
    pool: Arc<[Arc<str>]>,
    workers: Vec<Arc<str>>,
    idle: Vec<usize>,
    /// Tasks in the queue that nobody has.
    waiting: usize,
    /// Time that the queue took, on this machine.
    pub took: Duration,
}

/// Blobs are no part of this.
struct Everything;

#[async_trait]
impl BlobPresence for Everything {
    async fn missing(&self, _: &[Digest]) -> Result<Vec<Digest>, String> {
        Ok(Vec::new())
    }
}

impl<'a> Crew<'a> {
    pub fn new(durations: &'a Durations, fleet: Fleet) -> Crew<'a> {
        let clock = Arc::new(ManualClock::default());
        // Nobody dies, so leases need not be renewed to outlast the longest action.
        let options = QueueOptions {
            lease_ttl: Duration::from_secs(1 << 20),
            ..QueueOptions::default()
        };
        Crew {
            durations,
            hop_us: fleet.hop_us,
            queue: InProcessQueue::new(options, clock.clone(), Arc::new(Everything)),
            clock,
            owner: "scheduler".into(),
            pool: ["default".into()].into(),
            workers: (0..fleet.workers).map(|n| format!("w{n}").into()).collect(),
            idle: (0..fleet.workers).rev().collect(),
            waiting: 0,
            took: Duration::ZERO,
        }
    }

    /// It is so late, in microseconds.
    pub fn is_at(&self, now_us: u64) {
        let passed = (now_us / 1000).saturating_sub(self.clock.now().0);
        self.clock.advance(Duration::from_millis(passed));
    }

    fn timed<T>(&mut self, call: impl FnOnce(&Self) -> T) -> T {
        let begin = Instant::now();
        let answer = call(self);
        self.took += begin.elapsed();
        answer
    }

    pub fn enqueue(&mut self, tasks: Vec<Task>) -> Result<(), QueueError> {
        self.waiting += tasks.len();
        self.timed(|crew| promptly(crew.queue.enqueue(&crew.owner, tasks)))
    }

    pub fn reap(&mut self) -> Result<Reaped, QueueError> {
        self.timed(|crew| promptly(crew.queue.reap(256)))
    }

    pub fn news(&mut self, most: usize) -> Result<Vec<News>, QueueError> {
        self.timed(|crew| promptly(crew.queue.news(&crew.owner, most, Duration::ZERO)))
    }

    /// A worker that waits for a task.
    pub fn idle(&mut self) -> Option<usize> {
        self.idle.pop()
    }

    pub fn idle_count(&self) -> usize {
        self.idle.len()
    }

    /// A worker waits for a task.
    pub fn wait(&mut self, worker: usize) {
        self.idle.push(worker);
    }

    /// Tasks in the queue that nobody has.
    pub fn waiting(&self) -> usize {
        self.waiting
    }

    /// A worker asks for its next task, and waits if there is none. With the time, in microseconds, until it has done it.
    pub fn ask(&mut self, worker: usize) -> Result<Option<(Box<Lease>, u64)>, QueueError> {
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
        let lease = self
            .timed(|crew| promptly(crew.queue.lease(request)))?
            .pop();
        let Some(lease) = lease else {
            self.wait(worker);
            return Ok(None);
        };
        self.waiting = self.waiting.saturating_sub(1);
        let took = self.durations.get(&lease.task.definition);
        let delay = 2 * self.hop_us + took.copied().unwrap_or(0);
        Ok(Some((Box::new(lease), delay)))
    }

    /// A worker has done what it had a lease for.
    pub fn complete(&mut self, lease: &Lease) -> Result<(), QueueError> {
        let outcome = Outcome::Succeeded(result(&lease.id.key));
        self.timed(|crew| promptly(crew.queue.complete(&lease.id, outcome)))
            .map(|_| ())
    }
}

/// Unlike any other: the key, and which output of it.
fn result(key: &ActionKey) -> Arc<ActionResult> {
    let outputs = (0u8..).zip(["export", "object"]).map(|(number, name)| {
        let mut hash = key.0;
        hash[31] ^= number;
        OutputFile {
            name: name.into(),
            digest: Digest { hash, size: 1 },
            executable: false,
        }
    });
    Arc::new(ActionResult {
        outputs: outputs.collect(),
        ..ActionResult::default()
    })
}
