//! A graph like that of a large Go repository, and a farm that succeeds at everything at once.

use std::collections::VecDeque;
use std::sync::Arc;

use gofarm_engine::core::{
    ActionResult, BuildEvent, BuildSpec, BuildSummary, Core, CoreOptions, Effect, Event, Millis,
    Outcome, OutputFile,
};
use gofarm_proto::{Digest, v1};

/// Packages that read the exports of some 12 others nearby, and for every hundredth a link that reads the objects of
/// 400.
pub fn graph(nodes: u32) -> v1::Graph {
    // A fixed sequence (Knuth's MMIX generator): graphs are equal from run to run.
    let mut state = 1u64;
    let mut random = move |below: u32| {
        state = state
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        ((state >> 33) % u64::from(below.max(1))) as u32
    };
    let nodes = (0..nodes).map(|index| {
        let link = index % 100 == 99;
        let (count, output, kind) = match link {
            true => (400, "object", v1::Kind::Link),
            false => (random(24), "export", v1::Kind::Compile),
        };
        let mut from: Vec<u32> = (0..count.min(index))
            .map(|_| index - 1 - random(index.min(3_000)))
            // Nothing reads a program.
            .filter(|from| from % 100 != 99)
            .collect();
        from.sort_unstable();
        from.dedup();
        let label = format!("compile example.com/company/project/package{index}");
        v1::Node {
            action: Some(Digest::of(&index.to_le_bytes()).into()),
            package: label[8..].to_owned(),
            label,
            kind: kind.into(),
            inputs: from
                .into_iter()
                .map(|node| v1::Edge {
                    node,
                    output: output.to_owned(),
                })
                .collect(),
            source_bytes: u64::from(random(100_000)),
            requested: link,
            platform: None,
            c_toolchain_name: String::new(),
        }
    });
    v1::Graph {
        nodes: nodes.collect(),
    }
}

/// What a run took.
pub struct Played {
    /// Events that the core was told.
    pub events: u64,
    /// How the build ended.
    #[allow(dead_code, reason = "for the example")]
    pub summary: Option<BuildSummary>,
}

/// Plays a build to its end: every lookup misses, every task starts and succeeds.
pub fn run(spec: BuildSpec) -> Played {
    let names: [Arc<str>; 2] = ["export".into(), "object".into()];
    let worker: Arc<str> = "worker-1".into();
    let mut core = Core::new(CoreOptions::default());
    let mut events = VecDeque::from([Event::Submit(Box::new(spec))]);
    let mut effects = Vec::new();
    let mut played = Played {
        events: 0,
        summary: None,
    };
    while let Some(event) = events.pop_front() {
        core.step_into(event, Millis(played.events), &mut effects);
        played.events += 1;
        for effect in effects.drain(..) {
            match effect {
                Effect::LookUp { key, verify } => events.push_back(Event::CacheAnswer {
                    key,
                    verify,
                    result: None,
                }),
                Effect::Enqueue(task) => {
                    let (key, run) = (task.key, task.run);
                    events.push_back(Event::TaskStarted {
                        key,
                        run,
                        worker: worker.clone(),
                    });
                    let outputs = names.iter().enumerate().map(|(i, name)| {
                        // Unlike any other: the key, and which output of it.
                        let mut hash = key.0;
                        hash[31] ^= i as u8;
                        OutputFile {
                            name: name.clone(),
                            digest: Digest { hash, size: 1 },
                            executable: false,
                        }
                    });
                    let result = Arc::new(ActionResult {
                        outputs: outputs.collect(),
                        ..ActionResult::default()
                    });
                    events.push_back(Event::TaskDone {
                        key,
                        run,
                        worker: Some(worker.clone()),
                        outcome: Outcome::Succeeded(result),
                    });
                }
                Effect::Notify {
                    event: BuildEvent::Finished(summary),
                    ..
                } => played.summary = Some(*summary),
                _ => {}
            }
        }
    }
    played
}
