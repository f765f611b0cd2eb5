//! What one scheduler decides under load, and what that costs: its engine, a registry in memory and the in-process queue.
//!
//! As in [`fleet`](crate::fleet), nothing goes wrong and each message takes one hop. Here the whole engine runs, not the core
//! alone: outbox, events and their encoding, placement, stragglers, durations, ownership.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use gofarm_engine::core::{
    ActionResult, BuildId, BuildSpec, CoreOptions, Millis, Outcome, OutputFile, Owner,
    StragglerOptions,
};
use gofarm_engine::registry::BuildTable;
use gofarm_engine::{
    Answer, Books, Command, Engine, EngineOptions, Fleet as Fleets, Message, Now, Opening,
    QueueSeen, TICK, ToQueue, Told, WriteOutcome, Written,
};
use gofarm_proto::{ActionKey, Digest, v1};
use gofarm_queue::{
    BlobPresence, InProcessQueue, Lease, LeaseQueue, LeaseRequest, ManualClock, QueueError,
    QueueOptions,
};

use crate::agenda::Agenda;
use crate::fleet::{Durations, Fleet};
use crate::promptly::promptly;

/// Memory of a worker, bytes: enough for any action.
const MEMORY: u64 = 64 << 30;
/// News taken at once.
const NEWS: usize = 512;
/// A wait of the engine for its registry, which has nothing to say.
const CONTROL: Duration = Duration::from_secs(60);

/// What became of a load.
#[derive(Debug, Default)]
pub struct Borne {
    /// When the last build ended, microseconds.
    pub makespan_us: u64,
    /// Actions executed.
    pub executed: u64,
    /// Builds that ended well.
    pub succeeded: usize,
    /// Questions of workers, those that found nothing included.
    pub polls: u64,
    /// Time that the engine took, its core included, on this machine.
    pub engine: Duration,
    /// Time that the queue took.
    pub queue: Duration,
}

/// Submits all builds at once to one scheduler, and plays them to their end. Graphs share no action.
///
/// # Errors
///
/// What the queue refused; it has no reason to.
pub fn bear(
    builds: Vec<BuildSpec>,
    durations: &Durations,
    fleet: Fleet,
) -> Result<Borne, QueueError> {
    let count = builds.len();
    let mut load = Load::new(durations, fleet);
    load.tell(Message::Start);
    for spec in builds {
        load.open(spec);
    }
    load.agenda.after(us(TICK), Event::Tick);
    while load.over < count
        && let Some(event) = load.agenda.take()
    {
        let now = Millis(load.agenda.now() / 1000);
        let passed = now.since(gofarm_queue::Clock::now(&*load.clock));
        load.clock.advance(Duration::from_millis(passed));
        load.happen(event)?;
    }
    Ok(load.borne)
}

fn us(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

enum Event {
    Tick,
    Tell(Message),
    ToQueue(Vec<ToQueue>),
    Look,
    Listen,
    Poll(usize),
    Done(usize, Box<Lease>),
}

struct Load<'a> {
    durations: &'a Durations,
    fleet: Fleet,
    agenda: Agenda<Event>,
    clock: Arc<ManualClock>,
    engine: Engine,
    table: BuildTable,
    queue: InProcessQueue,
    owner: Owner,
    pool: Arc<[Arc<str>]>,
    workers: Vec<Arc<str>>,
    idle: Vec<usize>,
    /// Tasks in the queue that nobody has.
    waiting: usize,
    /// The engine waits for news.
    listening: bool,
    over: usize,
    borne: Borne,
}

/// Blobs are no part of this.
struct Everything;

#[async_trait]
impl BlobPresence for Everything {
    async fn missing(&self, _: &[Digest]) -> Result<Vec<Digest>, String> {
        Ok(Vec::new())
    }
}

impl<'a> Load<'a> {
    fn new(durations: &'a Durations, fleet: Fleet) -> Load<'a> {
        let clock = Arc::new(ManualClock::default());
        // Nobody dies, so leases need not be renewed to outlast the longest action.
        let options = QueueOptions {
            lease_ttl: Duration::from_secs(1 << 20),
            ..QueueOptions::default()
        };
        let owner: Owner = "scheduler".into();
        let engine = Engine::new(EngineOptions {
            owner: owner.clone(),
            core: CoreOptions::default(),
            wanted_patience: Duration::from_secs(30),
            books: Some(Books {
                live_output: 2 << 20,
                archive_after: Duration::from_secs(60),
                archive_from: 16 << 10,
                keep_every: Duration::from_secs(20 * 60),
            }),
            fleet: Some(Fleets {
                stragglers: StragglerOptions::default(),
            }),
            maker: None,
        });
        Load {
            durations,
            fleet,
            agenda: Agenda::new(),
            engine,
            table: BuildTable::default(),
            queue: InProcessQueue::new(options, clock.clone(), Arc::new(Everything)),
            clock,
            owner,
            pool: ["default".into()].into(),
            workers: (0..fleet.workers).map(|n| format!("w{n}").into()).collect(),
            idle: (0..fleet.workers).rev().collect(),
            waiting: 0,
            listening: false,
            over: 0,
            borne: Borne::default(),
        }
    }

    fn now(&self) -> Now {
        let ms = self.agenda.now() / 1000;
        Now {
            at: Millis(ms),
            wall_ms: ms,
        }
    }

    fn open(&mut self, spec: BuildSpec) {
        let id: BuildId = spec.id();
        let record = v1::Build {
            build: id.to_string(),
            options: Some(v1::BuildOptions::default()),
            graph: Some(Digest::of(b"graph").into()),
            counts: Some(v1::Counts {
                total: spec.node_count() as u32,
                ..v1::Counts::default()
            }),
            ..v1::Build::default()
        };
        let now = self.now();
        let ownership = self.table.submit(id, &self.owner, &record, now);
        self.tell(Message::Open(Box::new(Opening {
            ownership,
            record,
            spec,
            c_toolchains: Default::default(),
        })));
    }

    fn tell(&mut self, message: Message) {
        let now = self.now();
        let begin = Instant::now();
        let commands = self.engine.take(message, now);
        self.borne.engine += begin.elapsed();
        for command in commands {
            self.set_about(command);
        }
    }

    fn answer(&mut self, hops: u64, message: Message) {
        self.agenda
            .after(hops * self.fleet.hop_us, Event::Tell(message));
    }

    fn set_about(&mut self, command: Command) {
        let now = self.now();
        match command {
            Command::TellQueue(said) => {
                self.agenda.after(self.fleet.hop_us, Event::ToQueue(said));
            }
            Command::ListenToQueue { pause } => {
                self.listening = true;
                self.agenda.after(us(pause), Event::Listen);
            }
            Command::LookAtQueue { pause } => self.agenda.after(us(pause), Event::Look),
            Command::LookUp(asked) => {
                let answers = asked.into_iter().map(|question| Answer {
                    key: question.key,
                    verify: question.verify,
                    result: None,
                });
                let answers = Message::Answers(answers.collect());
                self.answer(2, answers);
            }
            Command::ListenToRegistry => {
                self.agenda
                    .after(us(CONTROL), Event::Tell(Message::Control));
            }
            Command::Renew(held) => {
                let tenures = self.table.renew(&held, now);
                self.answer(2, Message::Renewed(Ok(tenures)));
            }
            Command::TakeOver { most } => {
                let taken = self.table.take_over(&self.owner, most, now);
                self.answer(2, Message::Taken(Ok(taken)));
            }
            Command::Write { restores, appends } => {
                let mut written = Vec::new();
                for restore in restores {
                    let restored = self.table.restore(&restore, now);
                    written.push(Written {
                        ownership: restore.ownership,
                        outcome: WriteOutcome::Restored(Ok(restored)),
                    });
                }
                for append in appends {
                    written.push(Written {
                        outcome: WriteOutcome::Events {
                            up_to: append.up_to(),
                            dropped: append.dropped.len(),
                            over: append.record.finished_ms != 0,
                            appended: Ok(self.table.append(&append)),
                        },
                        ownership: append.ownership,
                    });
                }
                self.answer(2, Message::Written(written));
            }
            Command::Measure(_) => self.answer(2, Message::Measured),
            Command::Tell(told) => {
                if let Told::Over { record, .. } = *told {
                    self.over += 1;
                    self.borne.makespan_us = self.agenda.now();
                    let well = record.result() == v1::BuildResult::Succeeded;
                    self.borne.succeeded += usize::from(well);
                }
            }
            // Nothing is lost, hopeless, kept or given up here.
            Command::Explain(_)
            | Command::Record(_)
            | Command::FindMissing(_)
            | Command::KeepInUse { .. }
            | Command::ReadBuild(_)
            | Command::ReadGraph { .. }
            | Command::Archive(_)
            | Command::HandOver { .. }
            | Command::Want { .. } => {}
        }
    }

    fn happen(&mut self, event: Event) -> Result<(), QueueError> {
        match event {
            Event::Tick => {
                self.tell(Message::Tick);
                self.agenda.after(us(TICK), Event::Tick);
            }
            Event::Tell(message) => self.tell(message),
            Event::ToQueue(said) => {
                let mut tasks = Vec::new();
                for said in said {
                    if let ToQueue::Enqueue(task) = said {
                        tasks.push(*task);
                    }
                }
                self.waiting += tasks.len();
                let begin = Instant::now();
                promptly(self.queue.enqueue(&self.owner, tasks))?;
                self.borne.queue += begin.elapsed();
                self.answer(1, Message::QueueTold { at_once: true });
                // A ring wakes as many as there are tasks.
                for _ in 0..self.waiting.min(self.idle.len()) {
                    if let Some(worker) = self.idle.pop() {
                        self.agenda.after(self.fleet.hop_us, Event::Poll(worker));
                    }
                }
            }
            Event::Look => {
                let begin = Instant::now();
                let reaped = promptly(self.queue.reap(256))?;
                self.borne.queue += begin.elapsed();
                let seen = QueueSeen {
                    incarnation: 1,
                    next: reaped.next,
                };
                self.answer(2, Message::QueueSeen(Ok(seen)));
            }
            Event::Listen => {
                if !self.listening {
                    return Ok(());
                }
                let begin = Instant::now();
                let news = promptly(self.queue.news(&self.owner, NEWS, Duration::ZERO))?;
                self.borne.queue += begin.elapsed();
                // Else somebody rings.
                if !news.is_empty() {
                    self.listening = false;
                    self.answer(1, Message::News(Ok(news)));
                }
            }
            Event::Poll(worker) => self.poll(worker)?,
            Event::Done(worker, lease) => {
                let outcome = Outcome::Succeeded(result(&lease.id.key));
                self.borne.executed += 1;
                let begin = Instant::now();
                promptly(self.queue.complete(&lease.id, outcome))?;
                self.borne.queue += begin.elapsed();
                self.ring();
                self.poll(worker)?;
            }
        }
        Ok(())
    }

    /// Whoever listens for news has some.
    fn ring(&mut self) {
        if self.listening {
            self.agenda.after(self.fleet.hop_us, Event::Listen);
        }
    }

    /// A worker asks for its next task, and waits if there is none.
    fn poll(&mut self, worker: usize) -> Result<(), QueueError> {
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
        self.borne.polls += 1;
        let begin = Instant::now();
        let lease = promptly(self.queue.lease(request))?.pop();
        self.borne.queue += begin.elapsed();
        let Some(lease) = lease else {
            self.idle.push(worker);
            return Ok(());
        };
        self.waiting = self.waiting.saturating_sub(1);
        self.ring();
        let took = self.durations.get(&lease.task.definition).copied();
        let delay = 2 * self.fleet.hop_us + took.unwrap_or(0);
        self.agenda
            .after(delay, Event::Done(worker, Box::new(lease)));
        Ok(())
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

#[cfg(test)]
mod tests {
    use gofarm_engine::core::BuildOptions;

    use super::*;
    use crate::recording;

    #[test]
    fn a_loaded_scheduler_brings_every_build_to_its_end() {
        let actions = recording::read("compile 300 a\ncompile 100 b\ncompile 100 c 0 1\n").unwrap();
        let graph = recording::graph(&actions);
        let spec = |id| {
            let read =
                BuildSpec::from_graph(BuildId(id), BuildOptions::default(), &graph, |_| None);
            read.unwrap()
        };
        let fleet = Fleet {
            workers: 2,
            hop_us: 500,
        };
        let borne = bear(vec![spec(1), spec(2)], &Durations::new(), fleet).unwrap();
        // They are the same actions.
        assert_eq!((borne.executed, borne.succeeded), (3, 2));
        assert!(borne.polls >= 3 && borne.makespan_us > 0);
    }
}
