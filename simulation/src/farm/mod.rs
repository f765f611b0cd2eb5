//! One farm from its first build to the calm after its last.
//!
//! Replicas carry out what their [`Engine`](gofarm_engine::Engine) decides, over a queue and a registry that both are Redis; workers
//! call a replica, which passes the call on to the queue, and records a result that was accepted; clients watch their builds in the
//! registry. A farm has one pool of workers, or two that share results and no task. Every one of these messages goes over the
//! network. After a while the faults stop, and builds that failed for the environment's reasons are submitted again.
//!
//! Checked all the time, and at the end:
//!
//! - the queue accepts no renewal and no completion under a token that has run out, was replaced or has ended;
//!   so at most one result per lease is accepted (`ledger`);
//! - no task is under two leases, or runs on two live workers, at once, but for a straggler that was backed up: that
//!   has one second worker in its life in the queue, another than the first, and once one of the two has said what is
//!   true of the action, nothing that the other says is accepted;
//! - an exclusive task is alone;
//! - a replica accepts at most one end of each run of a task;
//! - what a build wanted that another replica has now is not cancelled before that one can have joined it (`replica/wishes.rs`);
//! - the registry takes events only from the owner of a build; a client sees each event once, under the same number, whoever owns
//!   the build meanwhile and whatever the registry has lost, and nothing of what is done is told twice;
//! - a success is accepted only when its outputs are in the store;
//! - a build says nothing after its end; every build ends within a bound after the faults stopped;
//! - a build that ends by itself came to what a sequential execution comes to. Where it failed for the
//!   environment's reasons, these really occurred: so many lost attempts, such lost blobs;
//! - in the calm, a build whose owner is gone has the next one after a bounded time;
//! - what a replica has to tell the queue is never more than what is open (`Engine::excess`), however often that is said anew;
//! - each success that the queue accepted has come into the action cache in the end, unless everybody has died who was told of it: the
//!   replica of its worker by the queue's answer, the owners by the news;
//! - in the end nothing is left: no task, no lease, no question, no open build, no running process.

mod arrival;
mod builds;
mod client;
mod pools;
mod registry;
mod replica;
mod trouble;
mod wire;
mod worker;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use gofarm_engine::core::{Millis, News, Owner};
use gofarm_proto::Digest;
use gofarm_queue::{BlobPresence, Clock, InProcessQueue, LeaseQueue, ManualClock, QueueOptions};

use self::builds::Build;
use self::pools::shapes;
use self::registry::Registry;
use self::replica::Replica;
use self::wire::Message;
use self::worker::{Worker, WorkerEvent};
use crate::agenda::Agenda;
use crate::flaw::{Careless, Flaw, FlawedQueue};
use crate::ledger::Ledger;
use crate::network::{Cut, Host, Network};
use crate::promptly::promptly;
use crate::random::Random;
use crate::shape::Shape;
use crate::store::Store;
use crate::weather::{Fault, Weather};

/// The times of a farm's queue: those of a real one.
fn queue_options() -> QueueOptions {
    QueueOptions::default()
}

/// What is run.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    /// Decides everything.
    pub seed: u64,
    /// Keep the trace.
    pub traced: bool,
    /// A mistake to be found.
    pub flaw: Option<Flaw>,
}

/// A run in which everything was as it must be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Builds that ended.
    pub builds: usize,
    /// Those that failed for the environment's reasons and were submitted again.
    pub submitted_again: usize,
    /// Executions that ended on a worker, well or not.
    pub executions: u64,
    /// Changes that the queue refused for their token.
    pub fenced: u64,
    /// Stragglers that a second worker ran as well.
    pub seconds: u64,
    /// Of these, those whose second worker was first.
    pub seconds_first: u64,
    /// Times that schedulers started anew.
    pub takeovers: u64,
    /// Simulated milliseconds.
    pub ended_at: u64,
}

/// A run in which something was not.
#[derive(Clone, Debug)]
pub struct Violation {
    /// Of the run.
    pub seed: u64,
    /// When, simulated milliseconds.
    pub time: u64,
    /// What must not be.
    pub what: String,
}

/// What comes next somewhere in the farm.
#[derive(Clone, Debug)]
enum Event {
    Submit(usize),
    Arrive(Message),
    Worker(usize, u32, WorkerEvent),
    RestartWorker(usize, u32),
    ResumeWorker(usize, u32),
    Replica(usize, u32, replica::ReplicaEvent),
    RestartReplica(usize, u32),
    Watch(usize),
    Fault(Fault),
    Heal(Cut),
    Calm,
    Again,
}

/// After so long in the calm no lease of the storm is left, and its workers are known again, milliseconds.
const SETTLED_MS: u64 = 45_000;

/// In the calm a build without an owner has one after so long, milliseconds: replicas that had trouble with the registry just
/// before take nothing over for three seconds, they look every second, and messages take a while.
const TAKEN_OVER_MS: u64 = 5_000;

struct Farm {
    run: Run,
    weather: Weather,
    random: Random,
    agenda: Agenda<Event>,
    network: Network,
    clock: Arc<ManualClock>,
    store: Arc<Store>,
    memory: Arc<InProcessQueue>,
    queue: Arc<dyn LeaseQueue>,
    ledger: Ledger,
    registry: Registry,
    /// News that were taken from the queue and that their owner has not acknowledged, numbered.
    mailboxes: BTreeMap<Owner, Vec<(u64, News)>>,
    replicas: Vec<Replica>,
    workers: Vec<Worker>,
    shapes: Vec<Shape>,
    builds: Vec<Build>,
    /// Nodes that the builds have together, each one at most one key at a time.
    nodes: usize,
    calls: u64,
    calm: bool,
    /// Since when.
    calm_since: u64,
    /// What failed in the storm has been submitted again.
    again: bool,
    report: Report,
    violation: Option<String>,
    trace: Vec<String>,
}

/// Runs a farm to its end. The trace is empty unless asked for.
///
/// # Errors
///
/// The first thing found wrong.
pub fn run(run: Run) -> (Result<Report, Violation>, Vec<String>) {
    let mut farm = Farm::new(run);
    farm.play();
    let time = farm.agenda.now();
    let result = match farm.violation.take() {
        None => Ok(farm.report),
        Some(what) => Err(Violation {
            seed: run.seed,
            time,
            what,
        }),
    };
    (result, farm.trace)
}

impl Farm {
    fn new(run: Run) -> Farm {
        let mut random = Random::new(run.seed);
        let shapes = shapes(&mut random);
        let mut weather = Weather::random(&mut random, shapes.len());
        if run.flaw.is_some() {
            // A mistake need not show in fair weather.
            weather.slots = weather.slots.max(2);
            weather.workers = weather.workers.max(2);
            weather.longest = 20_000;
            weather.recorded = weather.recorded.map(|_| 2_000);
        }
        let clock = Arc::new(ManualClock::default());
        let store = Arc::new(Store::default());
        let presence: Arc<dyn BlobPresence> = match run.flaw {
            Some(Flaw::CompleteFirst) => Arc::new(Careless),
            _ => store.clone(),
        };
        let memory = InProcessQueue::new(queue_options(), clock.clone(), presence);
        let memory = Arc::new(memory);
        let queue: Arc<dyn LeaseQueue> = match run.flaw {
            Some(flaw) => Arc::new(FlawedQueue::new(memory.clone(), flaw)),
            None => memory.clone(),
        };
        let mut farm = Farm {
            network: Network::new(weather.network),
            agenda: Agenda::new(),
            ledger: Ledger::default(),
            registry: Registry::new(run.flaw),
            mailboxes: BTreeMap::new(),
            replicas: (0..weather.replicas).map(|_| Replica::default()).collect(),
            workers: (0..weather.workers)
                .map(|_| Worker::new(weather.slots))
                .collect(),
            nodes: shapes.iter().map(Shape::size).sum(),
            builds: Vec::new(),
            calls: 0,
            calm: false,
            calm_since: 0,
            again: false,
            report: Report::default(),
            violation: None,
            trace: Vec::new(),
            run,
            weather,
            random,
            clock,
            store,
            memory,
            queue,
            shapes,
        };
        farm.set_up();
        farm
    }

    fn set_up(&mut self) {
        let weather = self.weather.clone();
        self.note(|| format!("{weather:?}"));
        for shape in 0..self.shapes.len() {
            self.builds.push(Build::new(shape));
            let at = self.random.below(weather.calm_at / 2);
            self.agenda.at(at, Event::Submit(shape));
        }
        for replica in 0..self.replicas.len() {
            self.start_replica(replica);
        }
        for worker in 0..self.workers.len() {
            self.start_worker(worker);
        }
        for (time, fault) in &weather.faults {
            self.agenda.at(*time, Event::Fault(*fault));
        }
        self.agenda.at(weather.calm_at, Event::Calm);
        self.agenda.at(weather.calm_at + SETTLED_MS, Event::Again);
    }

    fn play(&mut self) {
        // Generous, but a bound: all actions one after the other, each twice, and every timeout there is.
        let work = self.nodes as u64 * self.weather.longest;
        let bound = self.weather.calm_at + SETTLED_MS + 90_000 + 4 * work;
        while let Some(event) = self.agenda.take() {
            let now = Duration::from_millis(self.agenda.now());
            let passed = now.saturating_sub(Duration::from_millis(self.clock.now().0));
            self.clock.advance(passed);
            self.happen(event);
            self.check_owners();
            if self.violation.is_some() {
                return;
            }
            if self.again && self.is_over() {
                self.compare_logs();
                self.check_recorded();
                self.report.ended_at = self.agenda.now();
                (self.report.seconds, self.report.seconds_first) = self.ledger.seconds();
                self.report.fenced += promptly(self.queue.stats()).map_or(0, |stats| stats.fenced);
                return;
            }
            if self.agenda.now() > bound {
                let left = self.left_over();
                return self.violated(format!("not over long after the faults stopped: {left}"));
            }
        }
        self.violated("nothing happens any more".to_owned());
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Submit(build) => self.submit(build),
            Event::Arrive(message) => self.arrive(message),
            Event::Worker(worker, life, event) => self.worker_event(worker, life, event),
            Event::RestartWorker(worker, life) => self.restart_worker(worker, life),
            Event::ResumeWorker(worker, life) => self.resume_worker(worker, life),
            Event::Replica(replica, life, event) => self.replica_event(replica, life, event),
            Event::RestartReplica(replica, life) => self.restart_replica(replica, life),
            Event::Watch(build) => self.look_at(build),
            Event::Fault(fault) => self.strike(fault),
            Event::Heal(cut) => self.network.heal(cut),
            Event::Calm => self.calm_down(),
            Event::Again => self.submit_again(),
        }
    }

    /// Nobody waits for long for the next owner of a build.
    fn check_owners(&mut self) {
        if !self.calm {
            return;
        }
        let (now, calm) = (self.time(), Millis(self.calm_since));
        let mut ownerless = self.registry.table().ownerless(now);
        let late = ownerless.find(|(_, since)| now.at.since(calm.max(*since)) > TAKEN_OVER_MS);
        if let Some((build, since)) = late {
            let what = format!("{build} is without an owner since {} ms", since.0);
            drop(ownerless);
            self.violated(what);
        }
    }

    /// No work is lost that was accepted and that anybody alive knows of.
    fn check_recorded(&mut self) {
        let mut known = self.replicas.iter().flat_map(Replica::succeeded);
        let lacks = known.find(|key| !self.store.was_recorded(key)).copied();
        drop(known);
        if let Some(key) = lacks {
            let what = format!("the accepted result of {key} is not in the action cache");
            self.violated(what);
        }
    }

    /// Whether all builds have ended and nothing of them is left anywhere.
    fn is_over(&mut self) -> bool {
        let over = self.builds.iter().all(|build| build.summary.is_some())
            && self.workers.iter().all(Worker::is_idle)
            && self.replicas.iter().all(Replica::is_idle)
            && self.registry.table().list(usize::MAX, true).is_empty();
        over && promptly(self.queue.stats())
            .is_ok_and(|stats| stats.queued == 0 && stats.leased == 0)
    }

    fn left_over(&self) -> String {
        let open = |build: &(usize, &Build)| build.1.summary.is_none();
        let builds: Vec<usize> = self
            .builds
            .iter()
            .enumerate()
            .filter(open)
            .map(|b| b.0)
            .collect();
        let tasks: Vec<_> = self.replicas.iter().map(Replica::open).collect();
        let held: Vec<usize> = self.workers.iter().map(Worker::held).collect();
        let stats = promptly(self.queue.stats());
        format!(
            "open builds {builds:?}, open tasks, questions and builds of replicas {tasks:?}, leases of workers {held:?}, queue {stats:?}"
        )
    }

    /// Sends a message on its way.
    fn send(&mut self, from: Host, to: Host, message: Message) {
        let arrivals = self.network.send(from, to, &mut self.random);
        for delay in arrivals.into_iter().flatten() {
            self.agenda.after(delay, Event::Arrive(message.clone()));
        }
    }

    /// The same over a connection: it arrives late or never, and not twice.
    fn send_once(&mut self, from: Host, to: Host, message: Message) {
        let arrivals = self.network.send(from, to, &mut self.random);
        if let Some(delay) = arrivals.into_iter().flatten().next() {
            self.agenda.after(delay, Event::Arrive(message));
        }
    }

    fn next_call(&mut self) -> u64 {
        self.calls += 1;
        self.calls
    }

    fn note(&mut self, text: impl FnOnce() -> String) {
        if self.run.traced {
            let now = self.agenda.now();
            self.trace.push(format!("{now:>7} {}", text()));
        }
    }

    fn violated(&mut self, what: String) {
        self.note(|| format!("VIOLATION: {what}"));
        self.violation.get_or_insert(what);
    }
}

/// Short names in traces.
fn brief(bytes: &[u8]) -> String {
    bytes
        .iter()
        .take(3)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn brief_all(digests: &[Digest]) -> Vec<String> {
    digests.iter().map(|digest| brief(&digest.hash)).collect()
}

/// Counters by name, for the summary of many runs.
impl Report {
    /// Adds another run's.
    pub fn add(&mut self, other: &Report) {
        self.builds += other.builds;
        self.submitted_again += other.submitted_again;
        self.executions += other.executions;
        self.fenced += other.fenced;
        self.takeovers += other.takeovers;
        self.seconds += other.seconds;
        self.seconds_first += other.seconds_first;
        self.ended_at += other.ended_at;
    }
}

type NodeMap<T> = BTreeMap<u32, T>;
