//! A scheduler replica: the engine that a real one runs, and a shell that carries out its commands over the simulated network.
//!
//! As in a real one, what is asked of Redis and is not answered for a while counts as failed, and may have been done all the same;
//! what must be told is told until it is acknowledged; the store is tried again.

mod carrying;
mod hearing;
mod wishes;

pub(super) use self::carrying::record;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use gofarm_engine::core::{ActionResult, BuildId, CoreOptions, Owner, RunId, StragglerOptions};
use gofarm_engine::registry::Ownership;
use gofarm_engine::{
    Books, Engine, EngineOptions, Fleet, GraphRead, Message, Now, Opening, Question, Recording,
    TICK,
};
use gofarm_proto::{ActionKey, v1};

use self::wishes::Wishes;
use super::wire::Ask;
use super::{Event, Farm};
use crate::flaw::Flaw;
use crate::network::Host;

/// What is asked of Redis and not answered for so long has failed, milliseconds.
const ANSWER_MS: u64 = 1_000;
/// Simulated time begins then, milliseconds since the epoch.
pub(super) const EPOCH_MS: u64 = 1_000_000;

/// One process, and the next one in its place.
#[derive(Default)]
pub(super) struct Replica {
    pub life: u32,
    pub up: bool,
    /// Stands still, as after SIGSTOP: what happens to it waits here.
    pub paused: bool,
    held: Vec<Event>,
    engine: Option<Engine>,
    /// Asked of Redis and not answered.
    asked: BTreeMap<u64, Asked>,
    /// Waits for the doorbell of owners.
    listens: bool,
    /// The number of the last news that were heard: they are acknowledged with the next question.
    heard: u64,
    /// Runs whose end was heard of.
    ended: BTreeSet<RunId>,
    /// What it was told to have succeeded, by an answer of the queue or by news.
    succeeded: BTreeSet<ActionKey>,
    wishes: Wishes,
}

/// A question to Redis that is under way.
#[derive(Clone, Debug)]
struct Asked {
    what: Ask,
    /// Which try is under way.
    tried: u32,
    /// One has failed.
    failed: bool,
    /// When a wait for news ends that finds none.
    until: u64,
}

#[derive(Clone, Debug)]
pub(super) enum ReplicaEvent {
    Tick,
    /// What was asked in this try is not answered.
    Unanswered(u64, u32),
    Ask(Ask),
    AskAgain(u64),
    /// For the store, with the time since when it is tried.
    Store(Errand, u64),
    /// A build that was submitted here is owned by now.
    Open(usize, Ownership, Box<v1::Build>),
    /// The doorbell rang.
    Control,
    Resume,
}

/// Something that the store is asked or told.
#[derive(Clone, Debug)]
pub(super) enum Errand {
    LookUp(Vec<Question>),
    Record(ActionKey, Arc<ActionResult>),
    /// What another replica should have recorded.
    RecordMissing(Vec<Recording>),
    FindMissing(Vec<gofarm_proto::Digest>),
    ReadGraph(BuildId),
}

/// What queue and registry know a process by.
pub(super) fn owner(replica: usize, life: u32) -> Owner {
    format!("s{replica}.{life}").into()
}

impl Replica {
    pub fn is_idle(&self) -> bool {
        let engine = self.engine.as_ref();
        engine.is_none_or(|engine| engine.open_work() == 0 && engine.open_builds().next().is_none())
    }

    /// Tasks and questions, and builds.
    pub fn open(&self) -> (usize, Vec<u128>) {
        let Some(engine) = &self.engine else {
            return (0, Vec::new());
        };
        let builds = engine.open_builds().map(|build| build.0).collect();
        (engine.open_work(), builds)
    }

    /// This process was told that a result was accepted.
    pub fn was_told(&mut self, key: ActionKey) {
        self.succeeded.insert(key);
    }

    /// What this process was told to have succeeded.
    pub fn succeeded(&self) -> impl Iterator<Item = &ActionKey> {
        self.succeeded.iter()
    }

    /// Whether it does anything.
    pub fn runs(&self) -> bool {
        self.up && !self.paused
    }
}

impl Farm {
    pub(super) fn start_replica(&mut self, at: usize) {
        let life = self.replicas[at].life + 1;
        let stragglers = StragglerOptions {
            slack: Duration::from_millis(self.weather.slack),
            ..StragglerOptions::default()
        };
        let engine = Engine::new(EngineOptions {
            owner: owner(at, life),
            core: CoreOptions::default(),
            wanted_patience: Duration::from_secs(30),
            books: Some(Books {
                live_output: 1 << 10,
                archive_after: Duration::from_secs(60),
                archive_from: usize::MAX,
                keep_every: Duration::from_secs(20 * 60),
            }),
            fleet: Some(Fleet { stragglers }),
            maker: None,
        });
        self.replicas[at] = Replica {
            life,
            up: true,
            engine: Some(engine),
            ..Replica::default()
        };
        self.tell(at, Message::Start);
        self.replica_after(at, TICK.as_millis() as u64, ReplicaEvent::Tick);
    }

    pub(super) fn crash_replica(&mut self, at: usize) {
        let life = self.replicas[at].life;
        self.replicas[at] = Replica {
            life,
            ..Replica::default()
        };
    }

    /// Ends a replica in order: it hands its builds over.
    pub(super) fn stop_replica(&mut self, at: usize) {
        let late = Vec::new();
        self.tell(at, Message::Stop { late });
        self.crash_replica(at);
    }

    /// A replica stands still. False if it does so already, or is down.
    pub(super) fn pause_replica(&mut self, at: usize) -> bool {
        let runs = self.replicas[at].runs();
        self.replicas[at].paused |= runs;
        runs
    }

    pub(super) fn resume_replica(&mut self, at: usize, life: u32) {
        if self.replicas[at].life != life || !self.replicas[at].paused {
            return;
        }
        self.note(|| format!("s{at} goes on"));
        self.replicas[at].paused = false;
        for event in std::mem::take(&mut self.replicas[at].held) {
            self.agenda.after(0, event);
        }
    }

    /// Keeps what happens to a replica that stands still.
    pub(super) fn hold(&mut self, at: usize, event: Event) {
        self.replicas[at].held.push(event);
    }

    pub(super) fn replica_after(&mut self, at: usize, delay: u64, event: ReplicaEvent) {
        let life = self.replicas[at].life;
        self.agenda.after(delay, Event::Replica(at, life, event));
    }

    pub(super) fn replica_event(&mut self, at: usize, life: u32, event: ReplicaEvent) {
        if !self.replicas[at].up || self.replicas[at].life != life {
            return;
        }
        if matches!(event, ReplicaEvent::Resume) {
            return self.resume_replica(at, life);
        }
        if self.replicas[at].paused {
            return self.hold(at, Event::Replica(at, life, event));
        }
        match event {
            ReplicaEvent::Tick => {
                self.tell(at, Message::Tick);
                self.replica_after(at, TICK.as_millis() as u64, ReplicaEvent::Tick);
            }
            ReplicaEvent::Unanswered(id, tried) => self.unanswered(at, id, tried),
            ReplicaEvent::Ask(what) => self.ask_redis(at, what),
            ReplicaEvent::AskAgain(id) => self.send_asked(at, id),
            ReplicaEvent::Store(errand, since) => self.run_errand(at, errand, since),
            ReplicaEvent::Open(build, ownership, record) => {
                self.open_build(at, build, ownership, *record);
            }
            ReplicaEvent::Control => {
                if std::mem::take(&mut self.replicas[at].listens) {
                    self.tell(at, Message::Control);
                }
            }
            ReplicaEvent::Resume => {}
        }
    }

    pub(super) fn time(&self) -> Now {
        let now = self.agenda.now();
        Now {
            at: gofarm_engine::core::Millis(now),
            wall_ms: EPOCH_MS + now,
        }
    }

    fn open_build(&mut self, at: usize, build: usize, ownership: Ownership, record: v1::Build) {
        let shape = self.builds[build].shape();
        let spec = self.shapes[shape].spec(BuildId(build as u128), self.weather.recorded);
        match spec {
            Ok(spec) => {
                let opening = Opening {
                    ownership: Some(ownership),
                    record,
                    spec,
                    c_toolchains: BTreeMap::new(),
                };
                self.tell(at, Message::Open(Box::new(opening)));
            }
            Err(error) => self.violated(format!("a random graph is refused: {error}")),
        }
    }

    /// Tells the engine, and sets about what it wants done.
    fn tell(&mut self, at: usize, message: Message) {
        let (now, flaw) = (self.time(), self.run.flaw);
        let Some(engine) = &mut self.replicas[at].engine else {
            return;
        };
        let opens = matches!(
            message,
            Message::Open(_) | Message::GraphRead(_, GraphRead::Ready { .. })
        );
        let mut commands = Vec::new();
        if opens && flaw == Some(Flaw::CancelsAtOnce) {
            // As if it were so late that all are due that wait for their time.
            let mut later = now;
            later.at.0 += 6_000;
            commands.extend(engine.take(Message::Tick, later));
        }
        commands.extend(engine.take(message, now));
        let excess = engine.excess();
        for command in commands {
            self.set_about(at, command);
        }
        if let Some(excess) = excess {
            self.violated(format!("s{at}: {excess}"));
        }
    }

    /// What somebody told owners: those who listen hear the bell, unless it is lost.
    pub(super) fn ring(&mut self) {
        for at in 0..self.replicas.len() {
            let host = Host::Replica(at);
            let arrivals = self.network.send(Host::Queue, host, &mut self.random);
            for delay in arrivals.into_iter().flatten() {
                self.replica_after(at, delay, ReplicaEvent::Control);
            }
        }
    }

    fn is_flawed(&self, flaw: Flaw) -> bool {
        self.run.flaw == Some(flaw)
    }
}
