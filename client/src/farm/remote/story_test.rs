//! What is told of a farm's events.

use std::sync::{Arc, Mutex};
use std::time::Instant;

use gofarm_engine::convert;
use gofarm_engine::core::{
    ActionResult, BuildEvent, BuildResult, BuildSummary, Counts, Failure, Log, NodeEvent, NodeId,
    OutputFile, Resolution,
};
use gofarm_proto::{ActionKey, Digest, v1};
use gofarm_worker::TracedCommand;

use super::story::{Next, Story};
use crate::farm::build::{BuildWatch, Output};
use crate::farm::source::WorkerWatch;

/// Writes down what it is told.
#[derive(Default, Clone)]
pub(super) struct Told(Arc<Mutex<Vec<String>>>);

impl Told {
    fn add(&self, line: String) {
        self.0.lock().unwrap().push(line);
    }

    /// What was told since the last time.
    pub(super) fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl BuildWatch for Told {
    fn task(&mut self, _key: &ActionKey, _definition: &Digest) {}
    fn event(&mut self, event: &BuildEvent) {
        self.add(match event {
            BuildEvent::Accepted { total } => format!("accepted {total}"),
            BuildEvent::Finished(summary) => format!("finished {:?}", summary.result),
            BuildEvent::Node { node, event } => {
                let what = match event {
                    NodeEvent::Queued => "queued",
                    NodeEvent::Started { .. } => "started",
                    NodeEvent::Finished { how, .. } => match how {
                        Resolution::Executed => "executed",
                        Resolution::Cached => "cached",
                        Resolution::Joined => "joined",
                    },
                    NodeEvent::Failed { .. } => "failed",
                    NodeEvent::Skipped { .. } => "skipped",
                    NodeEvent::Cancelled => "cancelled",
                    NodeEvent::Reopened { .. } => "reopened",
                    NodeEvent::Nondeterministic { .. } => "nondeterministic",
                };
                format!("{} {what}", node.0)
            }
        });
    }
    fn output(&mut self, node: NodeId, piece: Output<'_>) {
        self.add(format!("{} output {piece:?}", node.0));
    }
    fn tick(&mut self) {}
    fn stage(&mut self, _text: &str) {}
    fn out_of_reach(&mut self, since: Option<Instant>) {
        let text = if since.is_some() {
            "out of reach"
        } else {
            "in reach"
        };
        self.add(text.to_owned());
    }
    fn warn(&mut self, text: &str) {
        self.add(format!("warning: {text}"));
    }
}

impl WorkerWatch for Told {
    fn log(&self, _key: &ActionKey, chunk: &[u8]) {
        self.add(format!("log {}", String::from_utf8_lossy(chunk)));
    }
    fn command(&self, command: &TracedCommand) {
        self.add(format!("run {}", command.argv.join(" ")));
    }
}

/// A package, and a program of it.
fn graph() -> v1::Graph {
    let node = |label: &str, kind: v1::Kind, inputs: Vec<v1::Edge>| v1::Node {
        action: Some(Digest::of(label.as_bytes()).into()),
        label: label.to_owned(),
        kind: kind.into(),
        inputs,
        ..v1::Node::default()
    };
    let edge = v1::Edge {
        node: 0,
        output: "object".into(),
    };
    v1::Graph {
        nodes: vec![
            node("compile m", v1::Kind::Compile, vec![]),
            node("link m", v1::Kind::Link, vec![edge]),
        ],
    }
}

fn result(content: &str) -> Arc<ActionResult> {
    Arc::new(ActionResult {
        outputs: [OutputFile {
            name: "object".into(),
            digest: Digest::of(content.as_bytes()),
            executable: false,
        }]
        .into(),
        ..ActionResult::default()
    })
}

fn finished(how: Resolution, content: &str) -> NodeEvent {
    NodeEvent::Finished {
        how,
        key: ActionKey([7; 32]),
        result: result(content),
    }
}

fn message(event: v1::build_event::Event) -> v1::BuildEvent {
    v1::BuildEvent {
        event: Some(event),
        ..v1::BuildEvent::default()
    }
}

fn node(node: u32, event: NodeEvent) -> v1::BuildEvent {
    let event = convert::node_event_message(NodeId(node), &event);
    message(v1::build_event::Event::Node(event))
}

fn accepted() -> v1::BuildEvent {
    message(v1::build_event::Event::Accepted(v1::Accepted { total: 2 }))
}

fn log(attempt: u32, offset: u64, data: &str) -> v1::BuildEvent {
    message(v1::build_event::Event::Log(v1::LogChunk {
        node: 0,
        attempt,
        offset,
        data: data.to_owned().into(),
    }))
}

fn started() -> NodeEvent {
    NodeEvent::Started {
        worker: "w1".into(),
    }
}

/// Tells these events to a story and returns what was passed on, and the last answer.
fn tell(story: &mut Story<'_>, told: &Told, events: Vec<v1::BuildEvent>) -> Vec<String> {
    for event in events {
        assert!(matches!(story.take(event).unwrap(), Next::Go));
    }
    told.take()
}

#[test]
fn what_is_told_again_after_a_loss_is_told_once() {
    let (graph, told) = (graph(), Told::default());
    let mut watch = told.clone();
    let mut story = Story::new(&graph, &mut watch, Arc::new(told.clone()), None);
    let first = vec![
        accepted(),
        node(0, NodeEvent::Queued),
        node(0, started()),
        node(0, finished(Resolution::Executed, "a")),
        node(1, NodeEvent::Queued),
    ];
    assert_eq!(
        tell(&mut story, &told, first),
        [
            "accepted 2",
            "0 queued",
            "0 started",
            "0 executed",
            "1 queued"
        ]
    );
    // The farm has lost the build and has it again; the action cache has the package.
    let second = vec![
        accepted(),
        node(0, finished(Resolution::Cached, "a")),
        node(1, NodeEvent::Queued),
        node(1, started()),
        node(1, finished(Resolution::Executed, "b")),
    ];
    assert_eq!(
        tell(&mut story, &told, second),
        ["1 queued", "1 started", "1 executed"]
    );
    let counts = |total, executed, cached| Counts {
        total,
        executed,
        cached,
        ..Counts::default()
    };
    let summary = BuildSummary {
        result: BuildResult::Succeeded,
        counts: counts(2, 1, 1),
        kinds: vec![
            (v1::Kind::Compile, counts(1, 0, 1)),
            (v1::Kind::Link, counts(1, 1, 0)),
        ],
        wall_ms: 5,
        critical_path_ms: 5,
        critical_path: vec![],
    };
    let over = message(v1::build_event::Event::Finished(convert::summary_message(
        &summary,
    )));
    let Next::Over(summary) = story.take(over).unwrap() else {
        panic!("the build is over");
    };
    assert_eq!(
        summary.counts,
        counts(2, 2, 0),
        "this build had both executed"
    );
    assert_eq!(summary.kinds[0].1, counts(1, 1, 0));
    let finished = story.finished(summary, 3);
    assert_eq!(finished.executed, [0, 1]);
    assert!(finished.results.iter().all(Option::is_some));
}

#[test]
fn what_has_to_be_made_again_is_reopened() {
    let (graph, told) = (graph(), Told::default());
    let mut watch = told.clone();
    let mut story = Story::new(&graph, &mut watch, Arc::new(told.clone()), None);
    let events = vec![
        node(0, finished(Resolution::Cached, "a")),
        node(0, NodeEvent::Queued),
        node(0, finished(Resolution::Executed, "b")),
        node(0, NodeEvent::Reopened { lost: true }),
        node(0, finished(Resolution::Executed, "b")),
    ];
    assert_eq!(
        tell(&mut story, &told, events),
        [
            "0 cached",
            "0 reopened",
            "0 queued",
            "0 executed",
            "0 reopened",
            "0 executed"
        ]
    );
}

#[test]
fn a_failure_is_told_once() {
    let (graph, told) = (graph(), Told::default());
    let mut watch = told.clone();
    let mut story = Story::new(&graph, &mut watch, Arc::new(told.clone()), None);
    let failed = || NodeEvent::Failed {
        failure: Arc::new(Failure::Action {
            result: result("x"),
        }),
    };
    let skipped = || NodeEvent::Skipped {
        waits_for: "compile m".into(),
    };
    let events = vec![
        node(0, failed()),
        node(1, skipped()),
        node(0, started()),
        node(0, failed()),
        node(1, skipped()),
    ];
    assert_eq!(
        tell(&mut story, &told, events),
        ["0 failed", "1 skipped", "0 started"]
    );
    let summary = story.cancelled_summary();
    assert_eq!((summary.counts.failed, summary.counts.skipped), (1, 1));
}

#[test]
fn output_is_shown_without_repetition() {
    let (graph, told) = (graph(), Told::default());
    let mut watch = told.clone();
    let mut story = Story::new(&graph, &mut watch, Arc::new(told.clone()), None);
    let events = vec![
        log(1, 0, "abc"),
        log(1, 0, "abc"),
        log(1, 2, "cd"),
        log(2, 0, "ab"),
        log(1, 4, "late"),
        log(2, 2, "e"),
    ];
    assert_eq!(
        tell(&mut story, &told, events),
        ["log abc", "log d", "log ab", "log e"]
    );
}

#[test]
fn an_action_that_is_not_there_is_a_defect() {
    let (graph, told) = (graph(), Told::default());
    let mut watch = told.clone();
    let mut story = Story::new(&graph, &mut watch, Arc::new(told.clone()), None);
    let error = story.take(node(9, NodeEvent::Queued)).unwrap_err();
    assert!(error.to_string().starts_with("internal error"), "{error}");
    let wanted = v1::Wanted {
        digests: vec![Digest::of(b"s").into()],
    };
    let next = story
        .take(message(v1::build_event::Event::Wanted(wanted)))
        .unwrap();
    assert!(matches!(next, Next::Wanted(digests) if digests == [Digest::of(b"s")]));
}

#[test]
fn an_action_that_came_out_differently_is_told_with_who_made_it() {
    let graph = graph();
    let mut told = Told::default();
    let watch = told.clone();
    let mut story = Story::new(&graph, &mut told, Arc::new(watch.clone()), None);
    let made = |worker: &str, counter| {
        Some(Arc::new(v1::Provenance {
            worker: worker.to_owned(),
            lease: Some(v1::FencingToken {
                incarnation: 7,
                counter,
            }),
            ..v1::Provenance::default()
        }))
    };
    let differing = |first, second| NodeEvent::Nondeterministic {
        key: ActionKey([7; 32]),
        outputs: ["export".into(), "object".into()].into(),
        first,
        second,
    };
    story
        .take(node(0, differing(made("w1", 3), made("w2", 9))))
        .unwrap();
    story.take(node(0, differing(None, made("w2", 9)))).unwrap();
    let warned = |first: &str| {
        format!(
            "warning: compile m came out differently when it was made again (export, object): first by {first}, then by w2 with lease 7.9; its tools are not deterministic, or one of the two workers is not sound"
        )
    };
    assert_eq!(
        watch.take(),
        [
            warned("w1 with lease 7.3"),
            "0 nondeterministic".to_owned(),
            warned("a worker that was not noted"),
            "0 nondeterministic".to_owned(),
        ]
    );
}

#[test]
fn a_long_log_is_asked_for_once() {
    let graph = graph();
    let mut told = Told::default();
    let watch = told.clone();
    let mut story = Story::new(&graph, &mut told, Arc::new(watch.clone()), None);
    let log = Digest::of(b"printed");
    let failed = NodeEvent::Failed {
        failure: Arc::new(Failure::Action {
            result: Arc::new(ActionResult {
                exit_code: 1,
                log: Log::Blob(log),
                ..ActionResult::default()
            }),
        }),
    };
    let next = story.take(node(0, failed.clone())).unwrap();
    assert!(
        matches!(next, Next::Output(NodeId(0), digest) if digest == log),
        "{next:?}"
    );
    // The farm had lost the build, and says it again.
    let next = story.take(node(0, failed)).unwrap();
    assert!(matches!(next, Next::Go), "{next:?}");
    assert_eq!(watch.take(), ["0 failed"]);
}
