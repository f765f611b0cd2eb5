//! Takes in a graph of 100,000 actions, or as many as the first argument says, plays its build to the end, and
//! prints time and memory of each part.
//!
//! `cargo run --release -p gofarm-engine --example acceptance`

use std::time::Instant;

use gofarm_engine::core::{BuildId, BuildOptions, BuildSpec, Core, CoreOptions, Event, Millis};

mod synthetic;

fn main() {
    let nodes = std::env::args().nth(1).and_then(|arg| arg.parse().ok());
    let graph = synthetic::graph(nodes.unwrap_or(100_000));
    let read = || {
        let read = BuildSpec::from_graph(BuildId(1), BuildOptions::default(), &graph, |_| None);
        read.unwrap_or_else(|error| panic!("{error}"))
    };

    let before = resident_mib();
    let begin = Instant::now();
    let spec = read();
    let (nodes, edges) = (spec.node_count(), spec.edge_count());
    let read_ms = begin.elapsed().as_millis();
    let mut core = Core::new(CoreOptions::default());
    let effects = core.step(Event::Submit(Box::new(spec)), Millis(0));
    let total_ms = begin.elapsed().as_millis();
    println!(
        "accept: {nodes} actions, {edges} edges in {total_ms} ms ({read_ms} ms of it reading), {:.0} MiB, {} effects",
        resident_mib() - before,
        effects.len()
    );
    drop((core, effects));

    let spec = read();
    let begin = Instant::now();
    let played = synthetic::run(spec);
    let seconds = begin.elapsed().as_secs_f64();
    let counts = played.summary.map(|summary| summary.counts);
    println!(
        "build: {} transitions in {seconds:.3} s, {:.0}/s, {counts:?}",
        played.events,
        played.events as f64 / seconds
    );
}

/// Resident memory of this process; 0 where there is no /proc.
fn resident_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
    kib.unwrap_or_default() / 1024.0
}
