//! Situations that the simulation came into once, each as the few messages that lead there.

use std::sync::Arc;

use gofarm_proto::{ActionKey, Digest, v1};

use super::*;
use crate::core::{
    BuildEvent, BuildOptions, BuildResult, BuildSpec, News, NodeSpec, Outcome, RunId,
};

mod owning;

const BUILD: BuildId = BuildId(1);

/// A build of one action, which reads nothing that another makes.
fn spec(build: BuildId, definition: Digest) -> BuildSpec {
    let node = NodeSpec {
        definition,
        label: "compile a".into(),
        package: "a".into(),
        kind: v1::Kind::Compile,
        inputs: Vec::new(),
        requested: true,
        source_bytes: 1,
        estimate: None,
        platform: None,
    };
    BuildSpec::new(build, BuildOptions::default(), [node]).expect("a graph")
}

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
        scene.tell(Message::QueueTold {
            at_once: true,
            refused: Vec::new(),
        });
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
        let spec = spec(build, self.definition);
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

/// The builds that are told to have failed.
fn failed(commands: &[Command]) -> Vec<BuildId> {
    let told = commands.iter().filter_map(|command| match command {
        Command::Tell(told) => Some(&**told),
        _ => None,
    });
    let failed = told.filter_map(|told| match told {
        Told::Event {
            build,
            event: BuildEvent::Finished(summary),
            ..
        } if summary.result == BuildResult::Failed => Some(*build),
        _ => None,
    });
    failed.collect()
}

/// The builds that are asked for sources.
fn asked(commands: &[Command]) -> Vec<BuildId> {
    let asked = commands.iter().filter_map(|command| match command {
        Command::Want { build, .. } => Some(*build),
        _ => None,
    });
    asked.collect()
}

impl Scene {
    /// The client of a build does not have the definition.
    fn lacks(&mut self, build: BuildId) -> Vec<Command> {
        let provided = v1::ProvideRequest {
            build: build.to_string(),
            provided: Vec::new(),
            unavailable: vec![self.definition.into()],
        };
        self.tell(Message::Provided(build, provided))
    }

    /// The store says whether it has the definition.
    fn looked(&mut self, has: bool) -> Vec<Command> {
        let asked = vec![self.definition];
        let missing = match has {
            true => Vec::new(),
            false => asked.clone(),
        };
        let missing = Ok(missing);
        self.tell(Message::Missing { asked, missing })
    }
}

#[test]
fn a_client_that_lacks_a_source_fails_no_build_of_another() {
    let mut scene = Scene::new();
    let other = BuildId(2);
    assert!(scene.submit(other).is_empty(), "it joins the task at once");
    assert_eq!(asked(&scene.misses()), [BUILD, other]);
    let told = scene.lacks(BuildId(77));
    assert_eq!(failed(&told), [], "it waits for nothing");
    let told = scene.lacks(BUILD);
    assert_eq!(failed(&told), [BUILD]);
    assert_eq!(enqueued(&told), None);
    let told = scene.looked(true);
    assert_eq!(enqueued(&told).map(|(key, _)| key), Some(scene.key));
    assert_eq!(failed(&told), []);
}

#[test]
fn the_last_client_that_lacks_a_source_ends_the_wait() {
    let mut scene = Scene::new();
    let other = BuildId(2);
    scene.submit(other);
    scene.misses();
    assert_eq!(failed(&scene.lacks(other)), [other]);
    assert_eq!(failed(&scene.lacks(BUILD)), [BUILD]);
    assert_eq!(scene.engine.core.open_tasks(), 0);
    assert!(scene.engine.wants.is_empty());
}

#[test]
fn who_joins_a_run_that_waits_for_sources_is_asked_for_them_and_has_its_own_time() {
    let mut scene = Scene::new();
    scene.misses();
    scene.at += 20_000;
    let other = BuildId(2);
    assert!(scene.submit(other).is_empty(), "it joins");
    assert_eq!(asked(&scene.looked(false)), [other]);
    scene.tell(Message::Tick);
    // The time of the first is over, that of the other is not.
    scene.at += 15_000;
    assert_eq!(failed(&scene.looked(false)), [BUILD]);
    scene.tell(Message::Tick);
    scene.at += 20_000;
    assert_eq!(failed(&scene.looked(false)), [other]);
    assert!(scene.engine.wants.is_empty());
}

#[test]
fn every_build_that_misses_a_source_is_asked_however_many_gave_up_before() {
    let mut scene = Scene::new();
    assert_eq!(asked(&scene.misses()), [BUILD]);
    scene.tell(Message::Cancel(BUILD));
    for number in 2..10 {
        let build = BuildId(number);
        let asked_cache = scene.submit(build);
        (scene.key, scene.run) = scene.answered(asked_cache).expect("a task");
        scene.tell(Message::QueueTold {
            at_once: true,
            refused: Vec::new(),
        });
        assert_eq!(asked(&scene.misses()), [build]);
        scene.tell(Message::Cancel(build));
        scene.looked(false);
    }
}

#[test]
fn nothing_is_kept_of_a_task_that_waited_for_sources() {
    let mut scene = Scene::new();
    scene.misses();
    scene.tell(Message::Cancel(BUILD));
    assert!(scene.engine.wants.is_empty());
    assert!(scene.engine.outbox.task(&scene.key, scene.run).is_none());
}

#[test]
fn a_store_that_does_not_keep_sources_is_not_asked_for_ever() {
    let mut scene = Scene::new();
    for _ in 0..3 {
        assert_eq!(failed(&scene.misses()), []);
        let again = enqueued(&scene.looked(true)).expect("it runs again");
        (_, scene.run) = again;
        scene.tell(Message::QueueTold {
            at_once: true,
            refused: Vec::new(),
        });
    }
    assert_eq!(failed(&scene.misses()), [BUILD]);
    assert!(scene.engine.wants.is_empty());
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
        for command in scene.tell(Message::QueueTold {
            at_once: false,
            refused: Vec::new(),
        }) {
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
    let commands = scene.tell(Message::QueueTold {
        at_once: true,
        refused: Vec::new(),
    });
    assert_eq!(enqueued(&commands), None);
    assert_eq!(scene.engine.excess(), None);
}

#[test]
fn a_task_that_the_queue_refuses_fails_with_the_reason_and_the_next_is_told() {
    let mut scene = Scene::new();
    let other = BuildId(2);
    scene.definition = Digest::of(b"another");
    let asked = scene.submit(other);
    let (key, run) = scene.answered(asked).expect("a task");
    let refused = News::Done {
        key,
        run,
        worker: None,
        lease: None,
        outcome: Outcome::Unplaceable {
            reason: "no name".into(),
        },
    };
    let commands = scene.tell(Message::QueueTold {
        at_once: true,
        refused: vec![refused],
    });
    assert_eq!(failed(&commands), [other]);
    scene.definition = Digest::of(b"a third");
    let asked = scene.submit(BuildId(3));
    assert!(scene.answered(asked).is_some());
}

#[test]
fn what_comes_when_nothing_waits_is_no_reason_to_ask() {
    let mut scene = Scene::new();
    scene.lacks(BUILD);
    assert!(scene.engine.wants.is_empty());
}
