//! Builds that an engine owns, has owned and takes over, over the table of builds.

use super::*;
use crate::registry::{Append, Appended, BuildTable, Tenure};

/// A replica with books, and the registry that it writes to.
struct Owner {
    engine: Engine,
    table: BuildTable,
    at: u64,
    read: Vec<Ownership>,
}

impl Owner {
    fn new() -> Owner {
        let books = Books {
            live_output: 1 << 20,
            archive_after: Duration::from_secs(60),
            archive_from: 1 << 20,
            keep_every: Duration::from_secs(1000),
        };
        let options = EngineOptions {
            books: Some(books),
            maker: None,
            ..EngineOptions::embedded("a", "x")
        };
        Owner {
            engine: Engine::new(options),
            table: BuildTable::default(),
            at: 0,
            read: Vec::new(),
        }
    }

    /// A clock that stands still while the machine sleeps.
    fn now(&self) -> Now {
        Now {
            at: Millis(self.at),
            wall_ms: 1_700_000_000_000 + self.at,
        }
    }

    /// Tells the engine; writes what it writes and finds nothing in the action cache. What comes of it besides.
    fn tell(&mut self, message: Message) -> Vec<Command> {
        let now = self.now();
        let mut commands = self.engine.take(message, now);
        let mut others = Vec::new();
        while let Some(command) = commands.pop() {
            let answer = match command {
                Command::Write { restores, appends } => {
                    let restores = restores.into_iter().map(|restore| Written {
                        outcome: WriteOutcome::Restored(Ok(self.table.restore(&restore, now))),
                        ownership: restore.ownership,
                    });
                    let mut written: Vec<Written> = restores.collect();
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
                    Message::Written(written)
                }
                Command::LookUp(asked) => {
                    let answers = asked.into_iter().map(|question| Answer {
                        key: question.key,
                        verify: question.verify,
                        result: None,
                    });
                    Message::Answers(answers.collect())
                }
                Command::TellQueue(said) => {
                    others.push(Command::TellQueue(said));
                    Message::QueueTold {
                        at_once: true,
                        refused: Vec::new(),
                    }
                }
                Command::ReadBuild(ownership) => {
                    self.read.push(ownership);
                    continue;
                }
                other => {
                    others.push(other);
                    continue;
                }
            };
            commands.extend(self.engine.take(answer, now));
        }
        others
    }

    fn submit(&mut self) -> Ownership {
        let record = v1::Build {
            build: BUILD.to_string(),
            submitted_ms: 1,
            ..v1::Build::default()
        };
        let owner: Arc<str> = "a".into();
        let held = self.table.submit(BUILD, &owner, &record, self.now());
        let held = held.expect("a new build");
        self.tell(Message::Start);
        let opening = Opening {
            ownership: Some(held.clone()),
            record,
            spec: spec(BUILD, Digest::of(b"definition")),
            c_toolchains: BTreeMap::new(),
        };
        self.tell(Message::Open(Box::new(opening)));
        held
    }

    /// What the registry has of the build, as it is read.
    fn left(&self) -> Option<Box<Left>> {
        let events = self.table.events(BUILD, 0, usize::MAX)?;
        let events = events.into_iter().map(|bytes| {
            let event = gofarm_proto::Message::decode(bytes.clone()).expect("an event");
            (event, bytes)
        });
        Some(Box::new(Left {
            record: self.table.get(BUILD)?,
            events: events.collect(),
        }))
    }
}

#[test]
fn a_build_that_another_had_meanwhile_is_read_anew() {
    let mut a = Owner::new();
    let held = a.submit();
    a.tell(Message::Tick);
    let tenures = a.table.renew(&[held], a.now());
    // The machine sleeps. Meanwhile another replica takes the build, tells something under its numbers, and dies.
    let later = |seconds: u64| Now {
        at: Millis(seconds * 1000),
        wall_ms: 1_700_000_000_000 + seconds * 1000,
    };
    let b: Arc<str> = "b".into();
    let taken = a.table.take_over(&b, 16, later(7));
    let last = a.left().expect("a build").events.len() as u64;
    let cursor = 1_700_000_007_000_000;
    let accepted = v1::build_event::Event::Accepted(v1::Accepted { total: 1 });
    let event = v1::BuildEvent {
        cursor,
        time_ms: 1,
        event: Some(accepted),
    };
    let append = Append {
        ownership: taken[0].clone(),
        after: last,
        events: vec![crate::registry::LoggedEvent {
            cursor,
            bytes: gofarm_proto::Message::encode_to_vec(&event).into(),
        }],
        dropped: Vec::new(),
        record: a.table.get(BUILD).expect("a build"),
    };
    assert_eq!(a.table.append(&append), Appended::Done);
    // Milliseconds have passed by the clock of the first.
    a.tell(Message::Renewed(Ok(tenures)));
    let own: Arc<str> = "a".into();
    let taken = a.table.take_over(&own, 16, later(20));
    a.tell(Message::Taken(Ok(taken.clone())));
    assert_eq!(a.read, taken, "it is read");
    // What was read for an earlier time of owning it comes late.
    let earlier = Ownership {
        epoch: 1,
        ..taken[0].clone()
    };
    a.tell(Message::BuildRead(earlier, None));
    let left = a.left();
    let commands = a.tell(Message::BuildRead(taken[0].clone(), left));
    let reads = |command: &Command| matches!(command, Command::ReadGraph { .. });
    assert!(commands.iter().any(reads));
    let before = a.left().expect("a build").events.len();
    let graph = GraphRead::Ready {
        spec: Box::new(spec(BUILD, Digest::of(b"definition"))),
        c_toolchains: BTreeMap::new(),
    };
    let mut commands = a.tell(Message::GraphRead(BUILD, graph));
    // Its own earlier run of the task ends first.
    let cancelled = commands.iter().find_map(|command| match command {
        Command::TellQueue(said) => said.iter().find_map(|said| match said {
            ToQueue::Cancel(key, run) => Some((*key, *run)),
            ToQueue::Enqueue(_) | ToQueue::BackUp(..) => None,
        }),
        _ => None,
    });
    let done = |(key, run), outcome| News::Done {
        key,
        run,
        worker: Some("w".into()),
        lease: None,
        outcome,
    };
    if let Some(run) = cancelled {
        let done = done(run, Outcome::Cancelled);
        commands.extend(a.tell(Message::News(Ok(vec![done]))));
    }
    let run = enqueued(&commands).expect("a task");
    let done = done(run, Outcome::Succeeded(Default::default()));
    a.tell(Message::News(Ok(vec![done])));
    let after = a.left().expect("a build").events.len();
    assert!(after > before, "what it says comes into the registry");
    let record = a.table.get(BUILD).expect("a build");
    assert_eq!(record.result(), v1::BuildResult::Succeeded);
}

#[test]
fn a_build_that_is_taken_over_is_cancelled_before_its_graph_is_read() {
    let mut a = Owner::new();
    let held = a.submit();
    a.table.release(&[held], a.now());
    let b: Arc<str> = "b".into();
    let taken = a.table.take_over(&b, 16, a.now());
    // The other replica begins with nothing in memory.
    let mut b = Owner {
        table: std::mem::take(&mut a.table),
        ..Owner::new()
    };
    b.tell(Message::Start);
    b.tell(Message::Tick);
    b.tell(Message::Renewed(Ok(Vec::new())));
    b.tell(Message::Taken(Ok(taken.clone())));
    let left = b.left();
    b.tell(Message::BuildRead(taken[0].clone(), left));
    // The store is away.
    b.tell(Message::GraphRead(BUILD, GraphRead::Away));
    assert!(b.table.cancel(BUILD));
    b.at += 1000;
    b.tell(Message::Tick);
    let tenures = b.table.renew(&taken, b.now());
    let commands = b.tell(Message::Renewed(Ok(tenures)));
    let told_over = commands.iter().any(|command| match command {
        Command::Tell(told) => matches!(**told, Told::Over { .. }),
        _ => false,
    });
    assert!(told_over);
    let record = b.table.get(BUILD).expect("a build");
    assert_eq!(record.result(), v1::BuildResult::Cancelled);
    assert_eq!(b.engine.open_builds().count(), 0);
    // Its graph comes too late.
    let graph = GraphRead::Ready {
        spec: Box::new(spec(BUILD, Digest::of(b"definition"))),
        c_toolchains: BTreeMap::new(),
    };
    b.tell(Message::GraphRead(BUILD, graph));
    assert_eq!(b.engine.open_work(), 0);
}

/// The keys of what is recorded, and by whom it was made.
fn recorded(commands: Vec<Command>) -> Vec<(ActionKey, String)> {
    let mut recordings = Vec::new();
    for command in commands {
        match command {
            Command::Record(records) | Command::HandOver { records, .. } => {
                recordings.extend(records);
            }
            _ => {}
        }
    }
    let recorded = recordings.into_iter();
    recorded
        .map(|recording| (recording.key, recording.made.worker))
        .collect()
}

/// An owner whose only action a worker has made.
fn heard_of_a_success() -> (Owner, ActionKey) {
    let mut a = Owner::new();
    let held = a
        .table
        .submit(BUILD, &"a".into(), &v1::Build::default(), a.now());
    let opening = Opening {
        ownership: held,
        record: v1::Build::default(),
        spec: spec(BUILD, Digest::of(b"definition")),
        c_toolchains: BTreeMap::new(),
    };
    let commands = a.tell(Message::Open(Box::new(opening)));
    let (key, run) = enqueued(&commands).expect("a task");
    let done = News::Done {
        key,
        run,
        worker: Some("w".into()),
        lease: None,
        outcome: Outcome::Succeeded(Default::default()),
    };
    let commands = a.tell(Message::News(Ok(vec![done])));
    assert_eq!(recorded(commands), [], "its worker's replica does it");
    (a, key)
}

#[test]
fn an_accepted_result_that_nobody_has_recorded_is_recorded_by_the_owner() {
    let (mut a, key) = heard_of_a_success();
    assert_eq!(recorded(a.tell(Message::Tick)), []);
    assert!(a.engine.open_work() > 0);
    a.at += 2000;
    let records = recorded(a.tell(Message::Tick));
    assert_eq!(records, [(key, "w".to_owned())]);
    a.at += 2000;
    assert_eq!(recorded(a.tell(Message::Tick)), [], "once");
    a.tell(Message::Recorded(vec![key]));
    assert_eq!(a.engine.open_work(), 0);
}

#[test]
fn an_owner_that_goes_away_records_what_may_not_be_recorded() {
    let (mut a, key) = heard_of_a_success();
    let late = Vec::new();
    let records = recorded(a.tell(Message::Stop { late }));
    assert_eq!(records, [(key, "w".to_owned())]);
}

#[test]
fn an_owner_that_goes_away_says_what_it_is_recording() {
    let (mut a, key) = heard_of_a_success();
    a.at += 2000;
    assert_eq!(recorded(a.tell(Message::Tick)).len(), 1);
    let late = Vec::new();
    let records = recorded(a.tell(Message::Stop { late }));
    assert_eq!(
        records,
        [(key, "w".to_owned())],
        "nobody has heard of its end"
    );
}

#[test]
fn an_owner_does_not_record_what_was_taken_back_meanwhile() {
    let (mut a, key) = heard_of_a_success();
    a.tell(Message::TakenBack(vec![(key, Vec::new())]));
    a.at += 2000;
    assert_eq!(recorded(a.tell(Message::Tick)), []);
}

fn cancelled(commands: &[Command]) -> Vec<(ActionKey, RunId)> {
    let said = commands.iter().filter_map(|command| match command {
        Command::TellQueue(said) => Some(said),
        _ => None,
    });
    let cancelled = said.flatten().filter_map(|said| match said {
        ToQueue::Cancel(key, run) => Some((*key, *run)),
        ToQueue::Enqueue(_) | ToQueue::BackUp(..) => None,
    });
    cancelled.collect()
}

#[test]
fn what_another_replica_may_be_about_to_join_is_not_cancelled_since_another_build_opens() {
    let mut a = Owner::new();
    let held = a.submit();
    a.tell(Message::Tick);
    let commands = a.tell(Message::Renewed(Ok(vec![Tenure::Lost])));
    assert_eq!(cancelled(&commands), []);
    let opening = Opening {
        ownership: Some(Ownership {
            build: BuildId(2),
            ..held
        }),
        record: v1::Build::default(),
        spec: spec(BuildId(2), Digest::of(b"another")),
        c_toolchains: BTreeMap::new(),
    };
    let commands = a.tell(Message::Open(Box::new(opening)));
    assert!(enqueued(&commands).is_some());
    assert_eq!(cancelled(&commands), []);
    // Nor since all is said again.
    for incarnation in [1, 2] {
        let seen = QueueSeen {
            incarnation,
            next: None,
        };
        let commands = a.tell(Message::QueueSeen(Ok(seen)));
        assert_eq!(enqueued(&commands).is_some(), incarnation == 2);
        assert_eq!(cancelled(&commands), []);
    }
    a.at += 6_000;
    assert_eq!(cancelled(&a.tell(Message::Tick)).len(), 1);
}

/// What a replica wants written anew.
fn restores(commands: &[Command]) -> usize {
    let restores = commands.iter().map(|command| match command {
        Command::Write { restores, .. } => restores.len(),
        _ => 0,
    });
    restores.sum()
}

#[test]
fn who_may_have_a_successor_lets_it_write_again_first_what_the_registry_lost() {
    for (asleep, at_once) in [(1_000, true), (7_000, false)] {
        let mut a = Owner::new();
        a.submit();
        a.tell(Message::Tick);
        a.at += asleep;
        // Straight to the engine, since the table would write at once.
        let commands = a
            .engine
            .take(Message::Renewed(Ok(vec![Tenure::Unknown])), a.now());
        assert_eq!(restores(&commands) == 1, at_once);
        if at_once {
            continue;
        }
        a.at += 2_000;
        let commands = a.engine.take(Message::Tick, a.now());
        assert_eq!(restores(&commands), 0);
        a.at += 2_000;
        let commands = a.engine.take(Message::Tick, a.now());
        assert_eq!(restores(&commands), 1, "nobody else has done so");
    }
}
