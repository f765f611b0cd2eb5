//! How fast the core is: transitions on one core, and taking in a large graph.
#![allow(
    missing_docs,
    clippy::expect_used,
    reason = "criterion's macros make undocumented functions, and the graph is our own"
)]

use std::hint::black_box;
use std::time::Duration;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use gofarm_engine::core::{
    ActionResult, BuildId, BuildOptions, BuildSpec, Core, CoreOptions, Edge, Effect, Event, Millis,
    NodeId, NodeSpec, Outcome, OutputFile, Task,
};
use gofarm_proto::{Digest, v1};

#[path = "../examples/synthetic/mod.rs"]
mod synthetic;

/// A whole build, each action missed in the cache, queued, started and done: three events a node.
fn transitions(c: &mut Criterion) {
    let graph = synthetic::graph(10_000);
    let read = || BuildSpec::from_graph(BuildId(1), BuildOptions::default(), &graph, |_| None);
    let mut group = c.benchmark_group("core");
    let events = synthetic::run(read().expect("a sound graph")).events;
    group.throughput(Throughput::Elements(events));
    group.bench_function("transitions", |b| {
        b.iter_batched(
            || read().expect("a sound graph"),
            |spec| black_box(synthetic::run(spec)),
            BatchSize::LargeInput,
        );
    });
    group.finish();
}

fn acceptance(c: &mut Criterion) {
    let graph = synthetic::graph(100_000);
    let mut group = c.benchmark_group("accept");
    group
        .sample_size(10)
        .measurement_time(Duration::from_secs(5));
    group.bench_function("100,000 actions", |b| {
        b.iter(|| {
            let spec = BuildSpec::from_graph(BuildId(1), BuildOptions::default(), &graph, |_| None);
            let mut core = Core::new(CoreOptions::default());
            let submit = Event::Submit(Box::new(spec.expect("a sound graph")));
            black_box(core.step(submit, Millis(0)));
            core
        });
    });
    group.finish();
}

/// Outputs of the build in which blobs are lost, and how many are lost at once.
const OUTPUTS: u32 = 10_000;
const LOST: u32 = 500;

fn output(index: u32) -> Digest {
    Digest::of(&index.to_le_bytes())
}

/// A build that has all but its link, which reads all outputs and is queued.
fn before_the_link() -> (Core, Task) {
    let node = |index: u32, inputs: Vec<Edge>| NodeSpec {
        definition: Digest::of(format!("definition {index}").as_bytes()),
        label: "compile".into(),
        package: "package".into(),
        kind: v1::Kind::Compile,
        inputs,
        requested: false,
        source_bytes: 1,
        estimate: None,
        platform: None,
    };
    let mut nodes: Vec<NodeSpec> = (0..OUTPUTS).map(|index| node(index, Vec::new())).collect();
    let edge = |from| Edge {
        node: NodeId(from),
        output: "export".into(),
    };
    nodes.push(node(OUTPUTS, (0..OUTPUTS).map(edge).collect()));
    let spec = BuildSpec::new(BuildId(1), BuildOptions::default(), nodes);
    let mut core = Core::new(CoreOptions::default());
    let mut effects = core.step(
        Event::Submit(Box::new(spec.expect("a sound graph"))),
        Millis(0),
    );
    let (mut last, mut done) = (None, 0);
    while let Some(effect) = effects.pop() {
        let event = match effect {
            Effect::LookUp { key, verify } => Event::CacheAnswer {
                key,
                verify,
                result: None,
            },
            Effect::Enqueue(task) if done == OUTPUTS => {
                last = Some(task);
                continue;
            }
            Effect::Enqueue(task) => {
                let file = OutputFile {
                    name: "export".into(),
                    digest: output(done),
                    executable: false,
                };
                done += 1;
                Event::TaskDone {
                    key: task.key,
                    run: task.run,
                    worker: None,
                    outcome: Outcome::Succeeded(std::sync::Arc::new(ActionResult {
                        outputs: [file].into(),
                        ..ActionResult::default()
                    })),
                }
            }
            _ => continue,
        };
        core.step_into(event, Millis(0), &mut effects);
    }
    (core, last.expect("the link is queued"))
}

/// What one report of lost blobs keeps everybody else waiting for.
fn losses(c: &mut Criterion) {
    let spread = (0..LOST).map(|index| output(index * (OUTPUTS / LOST)));
    let lost: Vec<Digest> = spread.collect();
    let mut group = c.benchmark_group("500 blobs of 10,000 outputs");
    group.sample_size(10);
    let (core, task) = before_the_link();
    group.bench_function("unmade", |b| {
        b.iter(|| black_box(core.unmade(BuildId(1), NodeId(OUTPUTS), &lost)));
    });
    let (key, run) = (task.key, task.run);
    let events = [
        (
            "a worker misses inputs",
            Event::TaskDone {
                key,
                run,
                worker: None,
                outcome: Outcome::BlobsMissing(lost.clone().into()),
            },
        ),
        (
            "a reader misses outputs",
            Event::OutputsMissing {
                key: core.results(BuildId(1))[0],
                digests: lost.clone().into(),
            },
        ),
    ];
    for (name, event) in events {
        group.bench_function(name, |b| {
            b.iter_batched(
                || (before_the_link().0, event.clone()),
                |(mut core, event)| {
                    black_box(core.step(event, Millis(0)));
                    core
                },
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, transitions, acceptance, losses);
criterion_main!(benches);
