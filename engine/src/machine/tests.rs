//! Situations that the simulation came into once, each as the few messages that lead there.

use gofarm_proto::{ActionKey, Digest, v1};

use super::*;
use crate::core::{BuildOptions, BuildSpec, News, NodeSpec, Outcome, RunId};

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
