//! Situations that the simulation came into once, each as the few messages that lead there.

use std::sync::Arc;

use gofarm_proto::{ActionKey, Digest, v1};

use super::*;
use crate::core::{BuildOptions, BuildSpec, News, NodeSpec, Outcome, RunId};
use crate::registry::{Append, Appended, BuildTable};

const BUILD: BuildId = BuildId(1);

/// An engine with one build of one action, whose task is in the queue: which it is.
struct Scene {
    engine: Engine,
    key: ActionKey,
    run: RunId,
    definition: Digest,
    at: u64,
}

impl Scene {
    fn new() -> Scene {
        let mut scene = Scene {
            engine: Engine::new(EngineOptions::embedded("owner", "this process")),
            key: ActionKey([0; 32]),
            run: RunId(0),
            definition: Digest::of(b"definition"),
            at: 0,
        };
        scene.tell(Message::Start);
        let asked = scene.submit(BUILD);
        let enqueued = scene.answered(asked);
        (scene.key, scene.run) = enqueued.expect("a task");
        scene.tell(Message::QueueTold { at_once: true });
        scene
    }

    fn tell(&mut self, message: Message) -> Vec<Command> {
        self.at += 1;
        let now = Now {
            at: Millis(self.at),
            wall_ms: self.at,
        };
        self.engine.take(message, now)
    }

    /// Submits the build, and says which questions the action cache is asked.
    fn submit(&mut self, build: BuildId) -> Vec<Question> {
        let node = NodeSpec {
            definition: self.definition,
            label: "compile a".into(),
            package: "a".into(),
            kind: v1::Kind::Compile,
            inputs: Vec::new(),
            requested: true,
            source_bytes: 1,
            estimate: None,
            platform: None,
        };
        let spec = BuildSpec::new(build, BuildOptions::default(), [node]).expect("a graph");
        let opening = Opening {
            ownership: None,
            record: v1::Build::default(),
            spec,
            c_toolchains: BTreeMap::new(),
        };
        let commands = self.tell(Message::Open(Box::new(opening)));
        let asked = commands.into_iter().filter_map(|command| match command {
            Command::LookUp(asked) => Some(asked),
            _ => None,
        });
        asked.flatten().collect()
    }

    /// The cache has nothing: what is put into the queue.
    fn answered(&mut self, asked: Vec<Question>) -> Option<(ActionKey, RunId)> {
        let answers = asked.into_iter().map(|question| Answer {
            key: question.key,
            verify: question.verify,
            result: None,
        });
        let commands = self.tell(Message::Answers(answers.collect()));
        enqueued(&commands)
    }

    /// A worker misses the definition.
    fn misses(&mut self) -> Vec<Command> {
        let done = News::Done {
            key: self.key,
            run: self.run,
            worker: Some("w".into()),
            lease: None,
            outcome: Outcome::BlobsMissing([self.definition].into()),
        };
        self.tell(Message::News(Ok(vec![done])))
    }

    /// The queue lost its data.
    fn queue_lost_everything(&mut self, incarnation: u64) -> Vec<Command> {
        self.tell(Message::QueueSeen(Ok(QueueSeen {
            incarnation,
            next: None,
        })))
    }
}

fn enqueued(commands: &[Command]) -> Option<(ActionKey, RunId)> {
    let said = commands.iter().filter_map(|command| match command {
        Command::TellQueue(said) => Some(said),
        _ => None,
    });
    said.flatten().find_map(|said| match said {
        ToQueue::Enqueue(task) => Some((task.key, task.run)),
        ToQueue::Cancel(..) | ToQueue::BackUp(..) => None,
    })
}

fn is_wanted(commands: &[Command]) -> bool {
    let mut commands = commands.iter();
    commands.any(|command| matches!(command, Command::Want { .. }))
}

#[test]
fn a_run_that_waits_for_sources_ends_with_its_build_and_the_next_build_runs_the_action() {
    let mut scene = Scene::new();
    assert!(is_wanted(&scene.misses()));
    scene.tell(Message::Cancel(BUILD));
    assert_eq!(scene.engine.open_work(), 0, "nothing is left of it");
    let asked = scene.submit(BuildId(2));
    let again = scene.answered(asked);
    assert_eq!(again.map(|(key, _)| key), Some(scene.key));
}

#[test]
fn what_waits_for_sources_is_not_put_into_the_queue_again_and_counts_no_try() {
    let mut scene = Scene::new();
    scene.queue_lost_everything(1);
    assert!(is_wanted(&scene.misses()));
    for incarnation in 2..10 {
        let commands = scene.queue_lost_everything(incarnation);
        assert_eq!(enqueued(&commands), None);
        // Enqueued before its end was heard of, it ends once more.
        let commands = scene.misses();
        assert!(!is_wanted(&commands), "asked for once");
    }
    // The sources have come.
    let asked = vec![scene.definition];
    let missing = Ok(Vec::new());
    let commands = scene.tell(Message::Missing { asked, missing });
    let again = enqueued(&commands).expect("it runs again");
    assert_eq!(again.0, scene.key);
    assert_ne!(again.1, scene.run);
}

#[test]
fn equal_messages_give_equal_commands() {
    let told = || {
        let mut scene = Scene::new();
        let mut commands = scene.misses();
        commands.extend(scene.tell(Message::Tick));
        commands.extend(scene.queue_lost_everything(2));
        format!("{commands:?}")
    };
    assert_eq!(told(), told());
}

#[test]
fn what_waits_for_the_queue_is_no_more_than_what_is_open_while_redis_flaps() {
    const NODES: u32 = 5_000;
    let mut scene = Scene::new();
    let nodes = (0..NODES).map(|number| NodeSpec {
        definition: Digest::of(&number.to_le_bytes()),
        label: "compile x".into(),
        package: "x".into(),
        kind: v1::Kind::Compile,
        inputs: Vec::new(),
        requested: false,
        source_bytes: 1,
        estimate: None,
        platform: None,
    });
    let spec = BuildSpec::new(BuildId(2), BuildOptions::default(), nodes).expect("a graph");
    let opening = Opening {
        ownership: None,
        record: v1::Build::default(),
        spec,
        c_toolchains: BTreeMap::new(),
    };
    let mut commands = scene.tell(Message::Open(Box::new(opening)));
    scene.queue_lost_everything(1);
    while let Some(command) = commands.pop() {
        if let Command::LookUp(asked) = command {
            // What is open is said anew, and these questions with it.
            commands.extend(scene.tell(Message::News(Ok(vec![News::Forgotten]))));
            assert_eq!(scene.engine.excess(), None);
            let answers = asked.into_iter().map(|question| Answer {
                key: question.key,
                verify: question.verify,
                result: None,
            });
            commands.extend(scene.tell(Message::Answers(answers.collect())));
        }
    }
    let mut told: Vec<ToQueue> = Vec::new();
    for _ in 0..60 {
        // Each call fails once, and is carried out at the second try.
        for command in scene.tell(Message::QueueTold { at_once: false }) {
            if let Command::TellQueue(said) = command {
                told.extend(said);
            }
        }
        scene.queue_lost_everything(1);
        assert_eq!(scene.engine.excess(), None);
    }
    // All had their turn.
    let keys = told.iter().filter_map(|said| match said {
        ToQueue::Enqueue(task) => Some(task.key),
        ToQueue::Cancel(..) | ToQueue::BackUp(..) => None,
    });
    let keys: std::collections::BTreeSet<ActionKey> = keys.collect();
    assert!(keys.len() as u32 >= NODES, "{} of {NODES}", keys.len());
}

#[test]
fn a_task_that_has_ended_is_not_put_into_the_queue_again() {
    let mut scene = Scene::new();
    // The queue is being told something, so what is said anew waits.
    scene.queue_lost_everything(1);
    scene.queue_lost_everything(2);
    scene.queue_lost_everything(3);
    let done = News::Done {
        key: scene.key,
        run: scene.run,
        worker: Some("w".into()),
        lease: None,
        outcome: Outcome::Succeeded(Default::default()),
    };
    scene.tell(Message::News(Ok(vec![done])));
    let commands = scene.tell(Message::QueueTold { at_once: true });
    assert_eq!(enqueued(&commands), None);
    assert_eq!(scene.engine.excess(), None);
}

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
                    Message::QueueTold { at_once: true }
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
            spec: spec(),
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

fn spec() -> BuildSpec {
    let node = NodeSpec {
        definition: Digest::of(b"definition"),
        label: "compile a".into(),
        package: "a".into(),
        kind: v1::Kind::Compile,
        inputs: Vec::new(),
        requested: true,
        source_bytes: 1,
        estimate: None,
        platform: None,
    };
    BuildSpec::new(BUILD, BuildOptions::default(), [node]).expect("a graph")
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
        spec: Box::new(spec()),
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
        spec: Box::new(spec()),
        c_toolchains: BTreeMap::new(),
    };
    b.tell(Message::GraphRead(BUILD, graph));
    assert_eq!(b.engine.open_work(), 0);
}
