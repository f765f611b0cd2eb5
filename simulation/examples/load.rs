//! What an action costs one scheduler with 1,000 workers and 50 builds of 5,000 actions: engine and in-process queue.
//!
//! `cargo run --release -p gofarm-simulation --example load [BUILDS [ACTIONS [WORKERS]]]`
//!
//! CPU time, not elapsed: what else runs on the machine changes little of it.

use std::error::Error;
use std::time::{Duration, Instant};

use gofarm_engine::core::{BuildId, BuildOptions, BuildSpec};
use gofarm_proto::{Digest, v1};
use gofarm_simulation::fleet::{Durations, Fleet};
use gofarm_simulation::load::bear;

mod cpu_time;
#[allow(dead_code, reason = "the simulation plays the graph itself")]
#[path = "../../engine/examples/synthetic/mod.rs"]
mod synthetic;

use cpu_time::cpu_time;

/// One message in a data centre, with the handling of a call on both sides.
const HOP_US: u64 = 500;
/// CPU of engine and queue for one action, microseconds.
const ALLOWED_US: f64 = 30.0;

fn main() -> Result<(), Box<dyn Error>> {
    let mut given = std::env::args().skip(1).map(|number| number.parse());
    let mut number = |usual| given.next().unwrap_or(Ok(usual));
    let (builds, actions, workers): (u32, u32, u32) = (number(50)?, number(5_000)?, number(1_000)?);
    let mut durations = Durations::new();
    let mut specs = Vec::new();
    for build in 0..builds {
        let mut graph = synthetic::graph(actions);
        for (index, node) in (0u32..).zip(&mut graph.nodes) {
            let name = [build.to_le_bytes(), index.to_le_bytes()].concat();
            let digest = Digest::of(&name);
            let ms = match node.kind() {
                v1::Kind::Link => 1_000,
                _ => 30 + node.source_bytes / 250,
            };
            durations.insert(digest, ms * 1000);
            node.action = Some(digest.into());
        }
        let options = BuildOptions {
            user: format!("user {}", build % 10).into(),
            ..BuildOptions::default()
        };
        specs.push(BuildSpec::from_graph(
            BuildId(build.into()),
            options,
            &graph,
            |_| None,
        )?);
    }
    let fleet = Fleet {
        workers: workers as usize,
        hop_us: HOP_US,
    };
    let (begin, cpu) = (Instant::now(), cpu_time());
    let borne = bear(specs, &durations, fleet)?;
    if borne.succeeded != builds as usize {
        return Err(format!("{} of {builds} builds succeeded", borne.succeeded).into());
    }
    // What others do on the machine makes elapsed times longer, all of them alike.
    let share = (cpu_time() - cpu).as_secs_f64() / begin.elapsed().as_secs_f64();
    let each = |time: Duration| time.as_secs_f64() * share * 1e6 / borne.executed as f64;
    let (engine, queue) = (each(borne.engine), each(borne.queue));
    let verdict = if engine + queue <= ALLOWED_US {
        "yes"
    } else {
        "no"
    };
    println!(
        "{builds} builds of {actions} actions, {workers} workers: {} executed, {} polls, simulated {:.2} s",
        borne.executed,
        borne.polls,
        borne.makespan_us as f64 / 1e6
    );
    println!(
        "engine {engine:.1} us/action, queue {queue:.1} us/action, together {:.1}; at most {ALLOWED_US}? {verdict}",
        engine + queue
    );
    Ok(())
}
