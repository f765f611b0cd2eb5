//! What one scheduler decides under load, and what that costs: its engine, a registry in memory and the in-process queue.
//!
//! As in [`fleet`](crate::fleet), nothing goes wrong and each message takes one hop. Here the whole engine runs, not the core
//! alone: outbox, events and their encoding, placement, stragglers, durations, ownership.

use std::time::{Duration, Instant};

use gofarm_engine::core::{BuildId, BuildSpec, CoreOptions, Millis, StragglerOptions};
use gofarm_engine::registry::BuildTable;
use gofarm_engine::{
    Answer, Books, Command, Engine, EngineOptions, Fleet as Fleets, Message, Now, Opening,
    QueueSeen, TICK, ToQueue, Told, WriteOutcome, Written,
};
use gofarm_proto::{Digest, v1};
use gofarm_queue::{Lease, QueueError};

use crate::agenda::Agenda;
use crate::crew::Crew;
use crate::fleet::{Durations, Fleet};

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
        load.crew.is_at(load.agenda.now());
        load.happen(event)?;
    }
    load.borne.queue = load.crew.took;
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
    hop_us: u64,
    agenda: Agenda<Event>,
    engine: Engine,
    table: BuildTable,
    crew: Crew<'a>,
    /// The engine waits for news.
    listening: bool,
    over: usize,
    borne: Borne,
}

impl<'a> Load<'a> {
    fn new(durations: &'a Durations, fleet: Fleet) -> Load<'a> {
        let crew = Crew::new(durations, fleet);
        let engine = Engine::new(EngineOptions {
            owner: crew.owner.clone(),
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
            hop_us: fleet.hop_us,
            agenda: Agenda::new(),
            engine,
            table: BuildTable::default(),
            crew,
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
        let ownership = self.table.submit(id, &self.crew.owner, &record, now);
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
        self.agenda.after(hops * self.hop_us, Event::Tell(message));
    }

    fn set_about(&mut self, command: Command) {
        let now = self.now();
        match command {
            Command::TellQueue(said) => {
                self.agenda.after(self.hop_us, Event::ToQueue(said));
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
                let taken = self.table.take_over(&self.crew.owner, most, now);
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
            // The service has recorded them.
            Command::Record(records) => {
                let keys = records.iter().map(|recording| recording.key).collect();
                self.tell(Message::Recorded(keys));
            }
            // Nothing is lost, hopeless, kept or given up here.
            Command::Explain(_)
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
                self.crew.enqueue(tasks)?;
                self.answer(
                    1,
                    Message::QueueTold {
                        at_once: true,
                        refused: Vec::new(),
                    },
                );
                // A ring wakes as many as there are tasks.
                for _ in 0..self.crew.waiting().min(self.crew.idle_count()) {
                    if let Some(worker) = self.crew.idle() {
                        self.agenda.after(self.hop_us, Event::Poll(worker));
                    }
                }
            }
            Event::Look => {
                let reaped = self.crew.reap()?;
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
                let news = self.crew.news(NEWS)?;
                // Else somebody rings.
                if !news.is_empty() {
                    self.listening = false;
                    self.answer(1, Message::News(Ok(news)));
                }
            }
            Event::Poll(worker) => self.poll(worker)?,
            Event::Done(worker, lease) => {
                self.borne.executed += 1;
                self.crew.complete(&lease)?;
                self.ring();
                self.poll(worker)?;
            }
        }
        Ok(())
    }

    /// Whoever listens for news has some.
    fn ring(&mut self) {
        if self.listening {
            self.agenda.after(self.hop_us, Event::Listen);
        }
    }

    /// A worker asks for its next task, and waits if there is none.
    fn poll(&mut self, worker: usize) -> Result<(), QueueError> {
        self.borne.polls += 1;
        if let Some((lease, delay)) = self.crew.ask(worker)? {
            self.ring();
            self.agenda.after(delay, Event::Done(worker, lease));
        }
        Ok(())
    }
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
