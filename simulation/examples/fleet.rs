//! Fleets of 10 to 10,000 workers on a recorded and on a synthetic graph, and the memory of a busy scheduler.
//!
//! `cargo run --release -p gofarm-simulation --example fleet`

use std::error::Error;
use std::time::{Duration, Instant};

use gofarm_engine::core::{BuildId, BuildOptions, BuildResult, BuildSpec, Estimate};
use gofarm_proto::{Digest, v1};
use gofarm_simulation::fleet::{Durations, Fleet, Played, bound_us, play};
use gofarm_simulation::random::Random;
use gofarm_simulation::recording;

mod cpu_time;
#[allow(dead_code, reason = "the simulation plays the graph itself")]
#[path = "../../engine/examples/synthetic/mod.rs"]
mod synthetic;

use cpu_time::cpu_time;

const RECORDING: &str = include_str!("../recordings/cmd-go-vet-gofmt.txt");

/// One message in a data centre, with the handling of a call on both sides.
const HOP_US: u64 = 500;

/// How much longer than the bound a build may take.
const ALLOWED: f64 = 1.10;

/// A graph with what the scheduler believes of its actions and what they really take.
struct Case {
    name: &'static str,
    graph: v1::Graph,
    expected_ms: Vec<u64>,
    actual: Durations,
}

impl Case {
    /// Actions take up to 30 % more or less than what is recorded of them.
    fn new(
        name: &'static str,
        graph: v1::Graph,
        expected_ms: Vec<u64>,
    ) -> Result<Case, Box<dyn Error>> {
        let mut random = Random::new(1);
        let mut actual = Durations::new();
        for (node, expected) in graph.nodes.iter().zip(&expected_ms) {
            let digest = Digest::try_from(node.action.as_ref().ok_or("no definition")?)?;
            actual.insert(digest, expected * random.between(700, 1_300));
        }
        Ok(Case {
            name,
            graph,
            expected_ms,
            actual,
        })
    }

    fn spec(&self) -> Result<BuildSpec, Box<dyn Error>> {
        let mut expected = self.expected_ms.iter();
        let estimate = |_: &v1::Node| {
            let duration_ms = *expected.next()?;
            Some(Estimate {
                duration_ms,
                peak_memory: 64 << 20,
            })
        };
        let options = BuildOptions::default();
        Ok(BuildSpec::from_graph(
            BuildId(1),
            options,
            &self.graph,
            estimate,
        )?)
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    // First, while nothing else has been in memory.
    memory()?;
    let actions = recording::read(RECORDING)?;
    let expected = actions.iter().map(|action| action.duration_ms).collect();
    let recorded = Case::new(
        "cmd/go cmd/vet cmd/gofmt",
        recording::graph(&actions),
        expected,
    )?;
    let graph = synthetic::graph(100_000);
    let expected = graph.nodes.iter().map(synthetic_ms).collect();
    let synthetic = Case::new("synthetic", graph, expected)?;

    println!(
        "| graph | actions | workers | bound | makespan | ratio | at most {ALLOWED:.2}? | core, us/action | queue, us/action |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    for case in [&recorded, &synthetic] {
        for workers in [10, 100, 1_000, 10_000] {
            row(case, workers)?;
        }
    }
    Ok(())
}

/// As the scheduler guesses it where nothing is recorded.
fn synthetic_ms(node: &v1::Node) -> u64 {
    match node.kind() {
        v1::Kind::Link => 1_000,
        _ => 30 + node.source_bytes / 250,
    }
}

fn row(case: &Case, workers: usize) -> Result<(), Box<dyn Error>> {
    let fleet = Fleet {
        workers,
        hop_us: HOP_US,
    };
    // A small graph is played often enough for its CPU time to be seen.
    let times = 50_000usize.div_ceil(case.graph.nodes.len());
    let mut makespan_us = 0;
    let mut cost = Cost::default();
    for _ in 0..times {
        let spec = case.spec()?;
        let watch = Watch::start();
        let played = play(vec![spec], &case.actual, fleet)?;
        cost.add(watch, &played);
        let ended = played.summaries.first().map(|summary| summary.result);
        if ended != Some(BuildResult::Succeeded) || played.executed != case.graph.nodes.len() as u64
        {
            return Err(format!("the build ended as {ended:?}").into());
        }
        makespan_us = played.makespan_us;
    }
    let bound = bound_us(&case.graph, &case.actual, workers);
    let ratio = makespan_us as f64 / bound as f64;
    let (core, queue) = cost.each_us();
    println!(
        "| {} | {} | {workers} | {:.2} s | {:.2} s | {ratio:.3} | {} | {core:.1} | {queue:.1} |",
        case.name,
        case.graph.nodes.len(),
        bound as f64 / 1e6,
        makespan_us as f64 / 1e6,
        if ratio <= ALLOWED { "yes" } else { "no" },
    );
    Ok(())
}

/// What a run began with.
struct Watch {
    begin: Instant,
    cpu: Duration,
}

impl Watch {
    fn start() -> Watch {
        Watch {
            begin: Instant::now(),
            cpu: cpu_time(),
        }
    }
}

/// CPU time of core and queue. What others do on the machine meanwhile makes their elapsed times longer, all of them
/// alike, so it is taken off by what the thread as a whole had of a CPU.
#[derive(Default)]
struct Cost {
    core: f64,
    queue: f64,
    actions: u64,
}

impl Cost {
    fn add(&mut self, watch: Watch, played: &Played) {
        let share = (cpu_time() - watch.cpu).as_secs_f64() / watch.begin.elapsed().as_secs_f64();
        self.core += played.core.as_secs_f64() * share;
        self.queue += played.queue.as_secs_f64() * share;
        self.actions += played.executed;
    }

    /// Of the core and of the queue, for one action, microseconds.
    fn each_us(&self) -> (f64, f64) {
        let each = |seconds: f64| seconds * 1e6 / self.actions as f64;
        (each(self.core), each(self.queue))
    }
}

/// 100 builds of 5,000 actions, no two of which share an action, all submitted at once to 1,000 workers.
fn memory() -> Result<(), Box<dyn Error>> {
    let mut durations = Durations::new();
    let mut specs = Vec::new();
    let (mut critical, mut work) = (0, 0);
    let before = resident_mib("VmRSS:");
    for build in 0u32..100 {
        let mut graph = synthetic::graph(5_000);
        for (index, node) in (0u32..).zip(&mut graph.nodes) {
            let name = [build.to_le_bytes(), index.to_le_bytes()].concat();
            let digest = Digest::of(&name);
            durations.insert(digest, synthetic_ms(node) * 1000);
            node.action = Some(digest.into());
        }
        critical = critical.max(bound_us(&graph, &durations, usize::MAX));
        work += bound_us(&graph, &durations, 1);
        let id = BuildId(build.into());
        specs.push(BuildSpec::from_graph(
            id,
            BuildOptions::default(),
            &graph,
            |_| None,
        )?);
    }
    let fleet = Fleet {
        workers: 1_000,
        hop_us: HOP_US,
    };
    let accepted = resident_mib("VmRSS:");
    let watch = Watch::start();
    let played = play(specs, &durations, fleet)?;
    let mut cost = Cost::default();
    cost.add(watch, &played);
    let (core, queue) = cost.each_us();
    let bound = critical.max(work / fleet.workers as u64);
    println!(
        "100 builds of 5,000 actions at once on {} workers: {} executed\n\
         memory: {before:.0} MiB before, {accepted:.0} MiB with all graphs taken in, {:.0} MiB at the peak\n\
         makespan {:.2} s, bound {:.2} s, ratio {:.3}; core {core:.1} us/action, queue {queue:.1} us/action\n",
        fleet.workers,
        played.executed,
        resident_mib("VmHWM:"),
        played.makespan_us as f64 / 1e6,
        bound as f64 / 1e6,
        played.makespan_us as f64 / bound as f64,
    );
    Ok(())
}

/// Resident memory of this process; 0 where there is no /proc.
fn resident_mib(field: &str) -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
    kib.unwrap_or_default() / 1024.0
}
