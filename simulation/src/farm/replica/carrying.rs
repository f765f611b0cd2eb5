//! What an engine wants done: asked of Redis and of the store, with delays, losses and tries again.

use std::time::Duration;

use gofarm_engine::core::{News, Outcome};
use gofarm_engine::{Answer, Away, Command, GraphRead, Message, Recording, ToQueue, Told};
use gofarm_proto::v1;

use super::super::wire::{self, Ask, Sender};
use super::super::{Farm, brief};
use super::{ANSWER_MS, Asked, Errand, ReplicaEvent, owner};
use crate::flaw::Flaw;
use crate::network::Host;

/// How long a wait for news lasts that finds none, and between the looks of one wait while news are expected, and while none
/// are, milliseconds.
const NEWS_MS: u64 = 10_000;
const NEWS_LOOK_MS: u64 = 50;
const IDLE_NEWS_LOOK_MS: u64 = 1_000;
/// How long a store that cannot be reached is left alone, and after how long a cache that cannot be asked has nothing, milliseconds.
const STORE_MS: u64 = 100;
const STORE_PATIENCE_MS: u64 = 120_000;

fn millis(time: Duration) -> u64 {
    time.as_millis() as u64
}

impl Farm {
    pub(super) fn set_about(&mut self, at: usize, command: Command) {
        match command {
            Command::TellQueue(said) => {
                self.note(|| format!("s{at}: {}", tells(&said)));
                self.check_cancels(at, &said);
                self.ask_redis(at, Ask::Tell(said));
            }
            Command::ListenToQueue { pause } => {
                self.replica_after(at, millis(pause), ReplicaEvent::Ask(Ask::News(0)));
            }
            Command::LookAtQueue { pause } => {
                self.replica_after(at, millis(pause), ReplicaEvent::Ask(Ask::Look));
            }
            Command::Renew(held) => self.ask_redis(at, Ask::Renew(held)),
            Command::TakeOver { most } if !self.is_flawed(Flaw::NoTakeOver) => {
                self.ask_redis(at, Ask::TakeOver(most));
            }
            Command::TakeOver { .. } => self.tell(at, Message::Taken(Ok(Vec::new()))),
            Command::ReadBuild(ownership) => self.ask_redis(at, Ask::Read(ownership)),
            Command::Write { restores, appends } => {
                self.ask_redis(at, Ask::Write { restores, appends })
            }
            Command::HandOver {
                appends,
                held,
                records,
            } => {
                if self.network.reaches(Host::Replica(at), Host::Store) {
                    self.record(records);
                }
                let restores = Vec::new();
                self.say_once(at, Ask::Write { restores, appends });
                self.say_once(at, Ask::Release(held));
            }
            Command::ListenToRegistry => self.replicas[at].listens = true,
            Command::LookUp(asked) => self.run_later(at, Errand::LookUp(asked)),
            Command::Record(records) if self.is_flawed(Flaw::ForgetsResults) => {
                self.tell(at, Message::Recorded(keys(&records)));
            }
            Command::Record(records) => self.run_later(at, Errand::RecordMissing(records)),
            Command::FindMissing(asked) => self.run_later(at, Errand::FindMissing(asked)),
            Command::ReadGraph { build, pause, .. } => {
                let since = self.agenda.now();
                let errand = ReplicaEvent::Store(Errand::ReadGraph(build), since);
                self.replica_after(at, millis(pause) + 1, errand);
            }
            Command::Explain(unplaced) => {
                let outcome = Outcome::Unplaceable {
                    reason: unplaced.reason,
                };
                let news = News::Done {
                    key: unplaced.key,
                    run: unplaced.run,
                    worker: unplaced.worker,
                    lease: None,
                    outcome,
                };
                self.tell(at, Message::Explained(news));
            }
            Command::Measure(_) => self.tell(at, Message::Measured),
            Command::Tell(told) => {
                if let Told::LetGo(build) = &*told {
                    self.note(|| format!("s{at} lets go of build {}", build.0));
                }
                let now = self.agenda.now();
                self.replicas[at].wishes.see(&told, now);
            }
            // Nothing is evicted here, nothing is large enough for an archive, and clients watch the registry.
            Command::KeepInUse { .. } | Command::Archive(_) | Command::Want { .. } => {}
        }
    }

    /// Asks Redis.
    pub(super) fn ask_redis(&mut self, at: usize, what: Ask) {
        let id = self.next_call();
        let asked = Asked {
            what,
            tried: 0,
            failed: false,
            until: self.agenda.now() + NEWS_MS,
        };
        self.replicas[at].asked.insert(id, asked);
        self.send_asked(at, id);
    }

    /// Says something without waiting for an answer.
    fn say_once(&mut self, at: usize, what: Ask) {
        let sender = Sender {
            replica: at,
            life: self.replicas[at].life,
            id: self.next_call(),
            tried: 0,
        };
        let message = wire::Message::Ask(sender, what);
        self.send_once(Host::Replica(at), Host::Queue, message);
    }

    pub(super) fn send_asked(&mut self, at: usize, id: u64) {
        let replica = &self.replicas[at];
        let Some(asked) = replica.asked.get(&id) else {
            return;
        };
        let sender = Sender {
            replica: at,
            life: replica.life,
            id,
            tried: asked.tried,
        };
        let tried = asked.tried;
        let what = match &asked.what {
            Ask::News(_) => Ask::News(replica.heard),
            what => what.clone(),
        };
        let message = wire::Message::Ask(sender, what);
        self.send_once(Host::Replica(at), Host::Queue, message);
        self.replica_after(at, ANSWER_MS, ReplicaEvent::Unanswered(id, tried));
    }

    /// A question was not answered in time: what must be told is told again, everything else has failed.
    pub(super) fn unanswered(&mut self, at: usize, id: u64, tried: u32) {
        let Some(asked) = self.replicas[at].asked.get_mut(&id) else {
            return;
        };
        if asked.tried != tried {
            return;
        }
        asked.tried += 1;
        asked.failed = true;
        if matches!(asked.what, Ask::Tell(_) | Ask::Read(_)) {
            return self.send_asked(at, id);
        }
        let Some(Asked { what, .. }) = self.replicas[at].asked.remove(&id) else {
            return;
        };
        let message = match what {
            Ask::News(_) => Message::News(Err(Away)),
            Ask::Look => Message::QueueSeen(Err(Away)),
            Ask::Renew(_) => Message::Renewed(Err(Away)),
            Ask::TakeOver(_) => Message::Taken(Err(Away)),
            Ask::Write { restores, appends } => {
                Message::Written(wire::not_written(restores, appends))
            }
            Ask::Tell(_) | Ask::Read(_) | Ask::Release(_) => return,
        };
        self.tell(at, message);
    }

    /// News that are none: looks again after a while, within the wait. True if the wait goes on.
    pub(super) fn waits_on(&mut self, at: usize, id: u64) -> bool {
        let now = self.agenda.now();
        let replica = &mut self.replicas[at];
        let pause = match replica.open().0 {
            0 => IDLE_NEWS_LOOK_MS,
            _ => NEWS_LOOK_MS,
        };
        let Some(asked) = replica.asked.get_mut(&id) else {
            return true;
        };
        if asked.until <= now {
            return false;
        }
        asked.tried += 1;
        self.replica_after(at, pause, ReplicaEvent::AskAgain(id));
        true
    }

    pub(super) fn run_later(&mut self, at: usize, errand: Errand) {
        let delay = self.network.delay(&mut self.random);
        let since = self.agenda.now();
        self.replica_after(at, delay, ReplicaEvent::Store(errand, since));
    }

    pub(super) fn run_errand(&mut self, at: usize, errand: Errand, since: u64) {
        let reached = self.network.reaches(Host::Replica(at), Host::Store);
        let patient = self.agenda.now() < since + STORE_PATIENCE_MS;
        let message = match errand {
            Errand::LookUp(_) | Errand::Record(..) | Errand::RecordMissing(_)
                if !reached && patient =>
            {
                return self.replica_after(at, STORE_MS, ReplicaEvent::Store(errand, since));
            }
            Errand::Record(key, result) => {
                if reached && !self.store.record(key, result) {
                    self.violated(format!("two results are recorded for {key}"));
                }
                return;
            }
            Errand::RecordMissing(records) => {
                let keys = keys(&records);
                if reached {
                    self.record(records);
                }
                Message::Recorded(keys)
            }
            Errand::LookUp(asked) => {
                // Nothing is ever known before the cache knows it: other replicas record.
                let answers = asked.into_iter().map(|question| Answer {
                    key: question.key,
                    verify: question.verify,
                    result: match reached {
                        true => self.store.action(&question.key, question.verify),
                        false => None,
                    },
                });
                let answers: Vec<Answer> = answers.collect();
                self.note(|| {
                    let found = answers.iter().filter(|answer| answer.result.is_some());
                    format!(
                        "s{at}: looked up {}, found {}",
                        answers.len(),
                        found.count()
                    )
                });
                Message::Answers(answers)
            }
            Errand::FindMissing(asked) if reached => {
                let missing = asked.iter().filter(|digest| !self.store.has(digest));
                let missing = missing.copied().collect();
                Message::Missing {
                    asked,
                    missing: match self.is_flawed(Flaw::NeverProvided) {
                        true => Err(Away),
                        false => Ok(missing),
                    },
                }
            }
            Errand::FindMissing(asked) => Message::Missing {
                asked,
                missing: Err(Away),
            },
            Errand::ReadGraph(build) => {
                let number = build.0 as usize;
                let shape = self.builds[number].shape();
                let graph = self.shapes[shape].graph();
                let read = match self.shapes[shape].spec(build, self.weather.recorded) {
                    _ if !reached => GraphRead::Away,
                    _ if !self.store.has(&graph) => GraphRead::Lost(graph),
                    Ok(spec) => GraphRead::Ready {
                        spec: Box::new(spec),
                        c_toolchains: Default::default(),
                    },
                    Err(_) => GraphRead::Unreadable,
                };
                Message::GraphRead(build, read)
            }
        };
        self.tell(at, message);
    }

    /// Records what the action cache lacks.
    fn record(&mut self, records: Vec<Recording>) {
        for Recording { key, result, .. } in records {
            if !self.store.record(key, result) {
                self.violated(format!("two results are recorded for {key}"));
            }
        }
    }

    /// What queue and registry know a replica by now.
    pub(in crate::farm) fn owner_of(&self, at: usize) -> gofarm_engine::core::Owner {
        owner(at, self.replicas[at].life)
    }
}

fn keys(records: &[Recording]) -> Vec<gofarm_proto::ActionKey> {
    records.iter().map(|recording| recording.key).collect()
}

fn tells(said: &[ToQueue]) -> String {
    let said = said.iter().map(|said| match said {
        ToQueue::Enqueue(task) => {
            let key = brief(&task.key.0);
            format!("enqueue {key} run {} ({})", task.run.0, task.label)
        }
        ToQueue::Cancel(key, run) => format!("cancel {} run {}", brief(&key.0), run.0),
        ToQueue::BackUp(key, run) => format!("back up {} run {}", brief(&key.0), run.0),
    });
    said.collect::<Vec<_>>().join(", ")
}

/// A record of a build that is submitted.
pub(in crate::farm) fn record(
    build: usize,
    graph: gofarm_proto::Digest,
    size: usize,
    now_ms: u64,
) -> v1::Build {
    v1::Build {
        build: gofarm_engine::core::BuildId(build as u128).to_string(),
        options: Some(v1::BuildOptions::default()),
        graph: Some(graph.into()),
        submitted_ms: now_ms,
        counts: Some(v1::Counts {
            total: size as u32,
            ..v1::Counts::default()
        }),
        ..v1::Build::default()
    }
}
