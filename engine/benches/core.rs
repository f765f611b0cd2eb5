//! How fast the core is: transitions on one core, and taking in a large graph.
#![allow(
    missing_docs,
    clippy::expect_used,
    reason = "criterion's macros make undocumented functions, and the graph is our own"
)]

use std::hint::black_box;
use std::time::Duration;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use gofarm_engine::core::{BuildId, BuildOptions, BuildSpec, Core, CoreOptions, Event, Millis};

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

criterion_group!(benches, transitions, acceptance);
criterion_main!(benches);
